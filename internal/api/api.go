// Package api carries engine.Engine over HTTP on a unix socket, and holds the
// access policy of the container.
//
// It promises that who a peer is comes from the kernel (SO_PEERCRED,
// SO_PEERGROUPS, taken when the connection is accepted) and never from a
// request; that every request passes the one table in endpoints.go, where each
// path stands beside the access it needs; that a request can choose a name, a
// desired state and a signal, which lines of logs, and whether a reload only
// tells, and nothing else; that a peer without rights sees names and states
// only; and that no number of connections, half requests or slow readers of
// unprivileged users keeps root out. A client refuses a server that neither
// root, nor the caller, nor PID 1's user runs.
//
// It does not know what a unit is doing, keeps nothing, and encrypts nothing:
// the socket never leaves the machine.
//
// The protocol is JSON. An error is an engine.Error with a status that follows
// from its kind. A stream (watch, logs) is one JSON value a line, with an empty
// line now and then as a sign of life; a stream that fails after it has begun
// ends with the line {"error": …}. A line of a log that is no UTF-8 has its
// bytes beside its text.
package api

import (
	"net/http"

	"pintle/internal/engine"
)

// socketName is the socket's name in the run-time directory.
const socketName = "pintle.sock"

// errorLine is the last line of a stream that failed after it had begun. Its
// member comes first in the line and is in no status and no log line.
type errorLine struct {
	Error *engine.Error `json:"error"`
}

const errorLineStart = `{"error":`

// createBody is all that a creator may choose beside the name.
type createBody struct {
	Down bool `json:"down"`
}

// reloadBody is all that may be chosen of a reload: what is read is the configuration's own place.
type reloadBody struct {
	DryRun bool `json:"dry_run"`
}

// signalBody names a signal as unit.ParseSignal takes it.
type signalBody struct {
	Signal string `json:"signal"`
}

// statusOf is the HTTP status of an error's kind.
func statusOf(k engine.ErrorKind) int {
	switch k {
	case engine.Invalid:
		return http.StatusBadRequest
	case engine.Denied:
		return http.StatusForbidden
	case engine.NotFound:
		return http.StatusNotFound
	case engine.Conflict:
		return http.StatusConflict
	case engine.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
