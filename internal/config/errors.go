package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxErrors is how many errors a load reports; a person mends no more at a time.
const maxErrors = 20

// Position is a place in a file. Lines and columns count from 1, columns in characters.
type Position struct {
	File   string
	Line   int
	Column int
}

// String is FILE:LINE:COLUMN, as editors and compilers have it.
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Error is one thing that is wrong, and where.
type Error struct {
	File         string
	Line, Column int
	// Message reads "cannot <verb> <object>: <cause>".
	Message string
}

// Error is FILE:LINE:COLUMN: message.
func (e Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors is everything that is wrong with a configuration, by file (in the order
// of reading) and position. It is the type of every error of Load.
type Errors []Error

// Error has one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// report collects what a load has to say. Its zero value is ready.
type report struct {
	files  []string // in the order of reading
	errors Errors
}

func (r *report) failf(at Position, format string, args ...any) {
	message := strings.Map(printable, fmt.Sprintf(format, args...))
	r.errors = append(r.errors, Error{at.File, at.Line, at.Column, message})
}

// printable keeps a message on one line, and from commanding a terminal.
func printable(c rune) rune {
	if unicode.IsControl(c) {
		return ' '
	}
	return c
}

// compare orders positions by file, line and column.
func (r *report) compare(a, b Position) int {
	return cmp.Or(
		slices.Index(r.files, a.File)-slices.Index(r.files, b.File),
		a.Line-b.Line,
		a.Column-b.Column,
	)
}

// result is the sorted and bounded list of errors, nil when there are none.
func (r *report) result() error {
	slices.SortFunc(r.errors, func(a, b Error) int {
		order := r.compare(Position{a.File, a.Line, a.Column}, Position{b.File, b.Line, b.Column})
		return cmp.Or(order, strings.Compare(a.Message, b.Message))
	})
	if len(r.errors) == 0 {
		return nil
	}
	return slices.Clip(r.errors[:min(len(r.errors), maxErrors)])
}
