package cli

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"io"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// linePrinter writes lines as a person or a program asked for them. What it has not flushed has not been seen.
type linePrinter struct {
	out    *bufio.Writer
	stderr io.Writer
	format string // text, json or raw
	// named has each line begin with its unit's name, in width columns at least.
	named bool
	width int
	// times has each line of text begin with its time; safe takes what a terminal would obey out of it.
	times, safe, colour bool
	// runs are those of the last lines: where another one begins, text says so.
	runs map[unit.Name]uint64
}

func (a *app) newLinePrinter(f *logsFlags) *linePrinter {
	return &linePrinter{
		out: bufio.NewWriterSize(a.out, 64<<10), stderr: a.Stderr, format: f.format,
		times: f.times, safe: a.StdoutIsTerminal, colour: a.wantsColour(), runs: map[unit.Name]uint64{},
	}
}

// flush has all be seen that was written.
func (p *linePrinter) flush() { p.out.Flush() } // what goes wrong is app.out's to remember

// line writes a line.
func (p *linePrinter) line(l engine.Line) error {
	switch p.format {
	case "json":
		return writeJSON(p.out, struct {
			engine.Line
			Cursor string `json:"cursor"`
		}{l, cursor{l.Unit: l.Seq}.String()}, "")
	case "raw":
		p.raw(l)
		return nil
	}
	if before, any := p.runs[l.Unit]; any && before != l.Run {
		p.boundary(l)
	}
	p.runs[l.Unit] = l.Run
	if p.times {
		p.out.WriteString(l.Time.UTC().Format("2006-01-02T15:04:05.000000Z "))
	}
	if p.named {
		p.out.WriteString(p.paint(l.Unit, fmt.Sprintf("%-*s |", p.width, l.Unit)))
		p.out.WriteByte(' ')
	}
	text := l.Text
	if p.safe {
		text = clean(text)
	}
	p.out.WriteString(text)
	p.out.WriteByte('\n')
	return nil
}

// boundary says that the lines of a unit are another run's from here on.
func (p *linePrinter) boundary(l engine.Line) {
	text := fmt.Sprintf("-- %s: run %d --", l.Unit, l.Run)
	if p.colour {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	p.out.WriteString(text + "\n")
}

// raw writes what the unit itself has written, where it has written it to, and nothing else. Who reads both streams in
// one place has their lines in order.
func (p *linePrinter) raw(l engine.Line) {
	var out io.Writer = p.out
	switch l.Stream {
	case engine.Stdout:
	case engine.Stderr:
		p.flush()
		out = p.stderr
	default:
		return
	}
	text := l.Text
	if !l.Partial {
		text += "\n"
	}
	io.WriteString(out, text) // see flush
}

// paint shows a unit's name in a colour of its own, of six.
func (p *linePrinter) paint(name unit.Name, text string) string {
	if !p.colour {
		return text
	}
	h := fnv.New32a()
	io.WriteString(h, string(name)) // never fails
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", 31+h.Sum32()%6, text)
}
