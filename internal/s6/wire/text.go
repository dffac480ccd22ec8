package wire

import (
	"errors"
	"strings"
	"syscall"
)

// Text is the cause of an error as s6 prints it: what strerror(3) says of it, without what was being done.
func Text(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	// Go's own table is C's, but for the first letter.
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
