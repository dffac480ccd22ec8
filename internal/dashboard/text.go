package dashboard

import (
	"bytes"
	"strconv"
	"strings"
)

// contentType is that of the text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// page is text in the Prometheus text format: families, each with its help, its type and its samples. The libraries of
// its field would be linked into PID 1 too, and cost it 1 to 2 ms at every start and 1 to 2 MB of memory, or leave the
// escaping to their callers (CONTRIBUTING has the figures); they read what this writes in the tests.
type page struct {
	b    bytes.Buffer
	name string // the present family's
}

// The types of a family.
const (
	gauge   = "gauge"
	counter = "counter"
)

// label is a label of a sample.
type label struct{ name, value string }

// family begins a family; its samples follow.
func (p *page) family(name, kind, help string) {
	p.name = name
	p.b.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

// sample adds a sample to the family that was begun last.
func (p *page) sample(value float64, labels ...label) {
	p.b.WriteString(p.name)
	for i, l := range labels {
		p.b.WriteByte("{,"[min(i, 1)])
		p.b.WriteString(l.name + `="`)
		_, _ = escaping.WriteString(&p.b, strings.ToValidUTF8(l.value, "\uFFFD"))
		p.b.WriteByte('"')
	}
	if len(labels) > 0 {
		p.b.WriteByte('}')
	}
	p.b.WriteByte(' ')
	p.b.Write(strconv.AppendFloat(p.b.AvailableBuffer(), value, 'f', -1, 64))
	p.b.WriteByte('\n')
}

// flag adds a sample that is 1 where it is so, else 0.
func (p *page) flag(so bool, labels ...label) {
	value := 0.0
	if so {
		value = 1
	}
	p.sample(value, labels...)
}

// escaping is that of a label's value.
var escaping = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
