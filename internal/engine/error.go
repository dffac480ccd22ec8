package engine

import (
	"errors"
	"fmt"

	"pintle/internal/unit"
)

// ErrorKind is the class of an Error; a program decides by it, and the command line's exit code follows from it.
type ErrorKind string

// The kinds of error.
const (
	Invalid     ErrorKind = "invalid"     // the request itself is wrong
	NotFound    ErrorKind = "not-found"   // there is no such unit
	Denied      ErrorKind = "denied"      // the asker may not
	Conflict    ErrorKind = "conflict"    // not in this state: disabled, stopping, over a limit
	Unavailable ErrorKind = "unavailable" // no supervisor answers
	Internal    ErrorKind = "internal"    // pintle's own failure
)

// Error is a refusal or a failure. Its text reads "cannot <verb> <object>: <cause>".
type Error struct {
	Kind    ErrorKind `json:"kind"`
	Message string    `json:"message"`
	// Units are those that it is about, where several were asked for together; nil where it is about all of them.
	Units []unit.Name `json:"units,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of err; Internal for an error of another type.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// UnitsOf are the units that err is about, where several were asked for together; nil where it is about all of them.
func UnitsOf(err error) []unit.Name {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Units
	}
	return nil
}
