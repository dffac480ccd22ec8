package api

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// logParameters are those of a request for one unit's lines; logQuery reads them, and setLogQuery sets them.
var logParameters = []string{"tail", "follow", "after", "since", "until", "run"}

// logLine is how a line goes over the socket.
type logLine struct {
	engine.Line
	// Bytes is the text where that is no UTF-8, which JSON has no other way to carry.
	Bytes []byte `json:"bytes,omitempty"`
}

func toWire(l engine.Line) logLine {
	if utf8.ValidString(l.Text) {
		return logLine{Line: l}
	}
	return logLine{l, []byte(l.Text)}
}

func (l logLine) line() engine.Line {
	if l.Bytes != nil {
		l.Text = string(l.Bytes)
	}
	return l.Line
}

// logsBody asks for the lines of many units, each as its own request would.
type logsBody struct {
	Units []logsOf `json:"units"`
}

// Follows tells whether any of them goes on.
func (b logsBody) Follows() bool {
	return slices.ContainsFunc(b.Units, func(u logsOf) bool { return u.Follow })
}

type logsOf struct {
	Unit   unit.Name `json:"unit"`
	Tail   *int      `json:"tail,omitempty"`
	Follow bool      `json:"follow,omitempty"`
	After  uint64    `json:"after,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Run    *int      `json:"run,omitempty"`
}

func toBody(r engine.LogRequest) logsOf {
	u := logsOf{Unit: r.Name, Follow: r.Follow, After: r.After, Since: r.Since, Until: r.Until, Run: r.Run}
	if r.Tail >= 0 {
		u.Tail = &r.Tail
	}
	return u
}

func (u logsOf) request() engine.LogRequest {
	r := engine.LogRequest{Name: u.Unit, Tail: -1, Follow: u.Follow, After: u.After, Since: u.Since, Until: u.Until, Run: u.Run}
	if u.Tail != nil {
		r.Tail = *u.Tail
	}
	return r
}

// linesOf is a stream of lines as it was before it went over the socket.
func linesOf(stream iter.Seq2[logLine, error]) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		for l, err := range stream {
			if !yield(l.line(), err) {
				return
			}
		}
	}
}

// logsBodies asks for many units in as few bodies as a server takes. A name that does not parse is refused here.
func logsBodies(reqs []engine.LogRequest) ([]logsBody, error) {
	const around = len(`{"units":[]}`)
	var bodies []logsBody
	size := maxBody
	for _, r := range reqs {
		if _, err := unit.ParseName(string(r.Name)); err != nil {
			return nil, engine.Errorf(engine.Invalid, "%v", err)
		}
		u := toBody(r)
		text, err := json.Marshal(u)
		if err != nil {
			return nil, engine.Errorf(engine.Invalid, "cannot read the logs of %s: %v", r.Name, err)
		}
		if size += len(text) + 1; size > maxBody {
			bodies, size = append(bodies, logsBody{}), around+len(text)
		}
		last := &bodies[len(bodies)-1]
		last.Units = append(last.Units, u)
	}
	return bodies, nil
}

// logs answers with the lines of one unit.
func (s *Server) logs(w http.ResponseWriter, r *request) error {
	req, err := logQuery(r.query)
	if err != nil {
		return engine.Errorf(engine.Invalid, "cannot read the logs of %s: %v", r.name, err)
	}
	req.Name = r.name
	lines := func(ctx context.Context) iter.Seq2[engine.Line, error] { return s.engine.Logs(ctx, req) }
	return pour(s, w, r, lines, toWire)
}

// manyLogs answers with the lines of the units that the body names. The peer must be allowed to read each of them.
func (s *Server) manyLogs(w http.ResponseWriter, r *request) error {
	var body logsBody
	err := decode(w, r, &body)
	if err == nil && len(body.Units) == 0 {
		err = errors.New("the body names no unit")
	}
	if err != nil {
		return engine.Errorf(engine.Invalid, "cannot read the logs: %v", err)
	}
	var reqs []engine.LogRequest
	seen := map[unit.Name]bool{}
	for _, u := range body.Units {
		if _, err := unit.ParseName(string(u.Unit)); err != nil {
			return engine.Errorf(engine.Invalid, "%v", err)
		}
		if seen[u.Unit] {
			return engine.Errorf(engine.Invalid, "cannot read the logs of %s: it is there twice", u.Unit)
		}
		seen[u.Unit] = true
		reqs = append(reqs, u.request())
	}
	if err := s.policy.permitAll(r.peer, "read the logs of", reqs); err != nil {
		return err
	}
	lines := func(ctx context.Context) iter.Seq2[engine.Line, error] { return engine.LogsOf(ctx, s.engine, reqs) }
	return pour(s, w, r, lines, toWire)
}

// logQuery reads the parameters of a request for lines.
func logQuery(query url.Values) (engine.LogRequest, error) {
	req := engine.LogRequest{Tail: -1}
	var wrong error
	// read has a parameter that is there be read, and says what it is not where that fails.
	read := func(key, isNot string, parse func(text string) error) {
		if wrong == nil && query.Has(key) && parse(query.Get(key)) != nil {
			wrong = errors.New(key + " is " + isNot)
		}
	}
	read("tail", "no number", func(text string) (err error) { req.Tail, err = strconv.Atoi(text); return })
	read("follow", "neither true nor false", func(text string) (err error) { req.Follow, err = strconv.ParseBool(text); return })
	read("after", "no line's number", func(text string) (err error) { req.After, err = strconv.ParseUint(text, 10, 64); return })
	read("since", "no time as in RFC 3339", func(text string) (err error) { req.Since, err = time.Parse(time.RFC3339Nano, text); return })
	read("until", "no time as in RFC 3339", func(text string) (err error) { req.Until, err = time.Parse(time.RFC3339Nano, text); return })
	read("run", "no number", func(text string) error {
		run, err := strconv.Atoi(text)
		req.Run = &run
		return err
	})
	return req, wrong
}

// setLogQuery is req as parameters.
func setLogQuery(req engine.LogRequest) url.Values {
	query := url.Values{"tail": {strconv.Itoa(req.Tail)}, "follow": {strconv.FormatBool(req.Follow)}}
	if req.After != 0 {
		query.Set("after", strconv.FormatUint(req.After, 10))
	}
	if !req.Since.IsZero() {
		query.Set("since", req.Since.Format(time.RFC3339Nano))
	}
	if !req.Until.IsZero() {
		query.Set("until", req.Until.Format(time.RFC3339Nano))
	}
	if req.Run != nil {
		query.Set("run", strconv.Itoa(*req.Run))
	}
	return query
}
