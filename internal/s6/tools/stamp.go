package tools

import (
	"bufio"
	"errors"
	"io"
	"time"
)

// lines goes through stdin's lines, each with its newline but perhaps the last. What was written goes out whenever
// there is nothing to read for now. The result is the exit code.
func (c *call) lines(each func(out *bufio.Writer, line []byte)) int {
	out := bufio.NewWriterSize(c.stdout, 8192)
	in := bufio.NewReaderSize(flushing{c.stdin, out}, 8192)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			each(out, line)
		}
		if err == nil {
			continue
		}
		if failure := out.Flush(); failure != nil {
			return c.unable(exitSystem, failure, "write to stdout")
		}
		if !errors.Is(err, io.EOF) {
			return c.unable(exitSystem, err, "read from stdin")
		}
		return 0
	}
}

// flushing is a reader that flushes a writer before it may have to wait.
type flushing struct {
	io.Reader
	out *bufio.Writer
}

func (f flushing) Read(p []byte) (int, error) {
	if err := f.out.Flush(); err != nil {
		return 0, io.EOF // the flush that follows fails likewise
	}
	return f.Reader.Read(p)
}

func tai64n(c *call) int {
	return c.lines(func(out *bufio.Writer, line []byte) {
		// An error stays with the writer until it is flushed.
		_, _ = out.WriteString(now().label() + " ")
		_, _ = out.Write(line)
		if line[len(line)-1] != '\n' {
			_ = out.WriteByte('\n')
		}
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
	return c.lines(func(out *bufio.Writer, line []byte) {
		if len(line) > labelLength {
			if i, ok := parseLabel(string(line[:labelLength])); ok {
				if text, ok := i.local(zone); ok {
					_, _ = out.WriteString(text)
					line = line[labelLength:]
				}
			}
		}
		_, _ = out.Write(line)
	})
}
