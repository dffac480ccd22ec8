package tools

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// lines goes through stdin's lines, each with its newline but perhaps the last, and writes what each makes of them. It
// never waits with something unwritten. The result is the exit code.
func (c *call) lines(each func(out, line []byte) []byte) int {
	var line, out []byte
	buffer := make([]byte, 8192)
	for {
		n, err := c.stdin.Read(buffer)
		for text := buffer[:n]; len(text) > 0; {
			end := bytes.IndexByte(text, '\n') + 1
			if end == 0 {
				line = append(line, text...)
				break
			}
			out = each(out, append(line, text[:end]...))
			line, text = line[:0], text[end:]
		}
		if err != nil && len(line) > 0 {
			out = each(out, line)
		}
		if _, failure := c.stdout.Write(out); failure != nil {
			return c.unable(exitSystem, failure, "write to stdout")
		}
		out = out[:0]
		switch {
		case errors.Is(err, io.EOF):
			return 0
		case err != nil:
			return c.unable(exitSystem, err, "read from stdin")
		}
	}
}

func tai64n(c *call) int {
	return c.lines(func(out, line []byte) []byte {
		out = append(append(append(out, now().label()...), ' '), line...)
		if line[len(line)-1] != '\n' {
			out = append(out, '\n')
		}
		return out
	})
}

func tai64nlocal(c *call) int {
	zone := time.Local
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		if letter != 'g' {
			return c.wrongUsage()
		}
		zone = time.UTC
	}
	return c.lines(func(out, line []byte) []byte {
		if len(line) > labelLength {
			if i, ok := parseLabel(string(line[:labelLength])); ok {
				if text, ok := i.local(zone); ok {
					out, line = append(out, text...), line[labelLength:]
				}
			}
		}
		return append(out, line...)
	})
}
