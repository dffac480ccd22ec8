package config

import (
	"reflect"

	"github.com/goccy/go-yaml/ast"
)

// The types of the file that take values of more than one shape, most of them a short
// form beside a long one, as Compose has them.

// argv is an argument vector: a list that is not empty.
type argv []word

// oneOrMore is a list that is not empty, or a single value that stands for a list of one.
type oneOrMore[T any] []T

func (v *oneOrMore[T]) from(d *decoder, n ast.Node, at place) {
	list := reflect.ValueOf((*[]T)(v)).Elem()
	if isScalar(n) {
		list.Set(reflect.MakeSlice(list.Type(), 1, 1))
		d.decode(n, at, list.Index(0))
		return
	}
	d.list(n, at, list)
	if list.Len() == 0 && !list.IsNil() {
		d.failf(d.src.start(n), "cannot use %s: it is empty", at.path)
	}
}

// envFile is a path, or a mapping that says whether it must exist.
type envFile struct {
	Path     file `yaml:"path,required"`
	Required flag `yaml:"required"`
}

func (v *envFile) from(d *decoder, n ast.Node, at place) {
	d.short(n, at, v, &v.Path)
}

// stopSignal is a signal, or a mapping that says when it is sent.
type stopSignal struct {
	At     Position
	Signal signal   `yaml:"signal,required"`
	After  duration `yaml:"after"`
}

func (v *stopSignal) from(d *decoder, n ast.Node, at place) {
	v.At = at.Position
	d.short(n, at, v, &v.Signal)
}

// ulimit is a limit that is soft and hard, or a mapping with the two.
type ulimit struct {
	Soft limit `yaml:"soft,required"`
	Hard limit `yaml:"hard,required"`
}

func (v *ulimit) from(d *decoder, n ast.Node, at place) {
	d.short(n, at, v, &v.Soft)
	if isScalar(n) {
		v.Hard = v.Soft
	}
}

// console is a format, or a mapping that also says whether who writes waits.
type console struct {
	Format oneOf[consoleWords] `yaml:"format"`
	Wait   flag                `yaml:"wait"`
}

func (v *console) from(d *decoder, n ast.Node, at place) {
	d.short(n, at, v, &v.Format)
}

// storm is a mapping, or the word off.
type storm struct {
	off oneOf[offWords]
	set stormSection
}

func (v *storm) from(d *decoder, n ast.Node, at place) {
	d.short(n, at, &v.set, &v.off)
}

// short fills the short form of a section where n is a single value, else the section.
func (d *decoder) short(n ast.Node, at place, section any, single value) {
	if isScalar(n) {
		d.scalar(n, at, single)
		return
	}
	d.section(n, at, reflect.ValueOf(section).Elem())
}

// dependencies is a list of units, or a mapping from unit to condition. They stay in
// the order of the file, and what has no valid text is left out.
type dependencies []dependency

// dependency is a unit that is depended on, by what may be a name.
type dependency struct {
	word
	dependencySection
}

type dependencySection struct {
	Condition   oneOf[conditionWords] `yaml:"condition"`
	RestartWith flag                  `yaml:"restart_with"`
	Required    flag                  `yaml:"required"`
}

func (v *dependencies) from(d *decoder, n ast.Node, at place) {
	if _, list := n.(*ast.SequenceNode); list {
		var words []word
		d.decode(n, at, reflect.ValueOf(&words).Elem())
		for _, w := range words {
			if w.given() {
				*v = append(*v, dependency{word: w})
			}
		}
		return
	}
	var sections map[key]dependencySection
	d.decode(n, at, reflect.ValueOf(&sections).Elem())
	for _, k := range keysOf(d.report, sections) {
		*v = append(*v, dependency{word{scalar{text: k.text, at: k.at}}, sections[k]})
	}
}
