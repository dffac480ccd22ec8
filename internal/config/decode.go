package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder fills the types of the schema from one file. What does not fit is reported
// and left as it was, so that one pass finds every error.
type decoder struct {
	*report
	src    *source
	env    environment
	fields map[reflect.Type]map[string]field // of the structs that were met
}

// place is where the decoder is: the path of keys, for messages, and the position of
// the key (or the list's entry) whose value is decoded.
type place struct {
	path string
	Position
}

// shaped is a type that takes values of more than one shape.
type shaped interface {
	from(d *decoder, n ast.Node, at place)
}

func (p place) key(name string, at Position) place {
	if strings.ContainsFunc(name, unusual) {
		name = quote(name)
	}
	if p.path != "" {
		name = p.path + "." + name
	}
	return place{name, at}
}

func (p place) entry(i int, at Position) place {
	return place{p.path + "[" + strconv.Itoa(i) + "]", at}
}

// unusual tells whether a character of a key needs quotes in a message.
func unusual(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("_-@", c))
}

// decode fills v, which can be set, from n.
func (d *decoder) decode(n ast.Node, at place, v reflect.Value) {
	switch target := v.Addr().Interface().(type) {
	case value:
		d.scalar(n, at, target)
		return
	case shaped:
		target.from(d, n, at)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, at, v.Elem())
	case reflect.Slice:
		d.list(n, at, v)
	case reflect.Map:
		d.entries(n, at, v)
	case reflect.Struct:
		d.section(n, at, v)
	}
}

// scalar fills a single value and has it checked.
func (d *decoder) scalar(n ast.Node, at place, v value) {
	if _, null := n.(*ast.NullNode); null {
		d.failf(at.Position, `cannot use %s: it has no value; write "" for an empty text`, at.path)
		return
	}
	if !isScalar(n) {
		d.failf(d.src.start(n), "cannot use %s: it is %s, and a single value is needed", at.path, describe(n))
		return
	}
	written := text(n)
	expanded, vars, err := d.env.expand(written)
	if err != nil {
		d.failf(d.src.dollar(n, written, err.offset), "%s", err.message)
		return
	}
	s := v.base()
	*s = scalar{text: expanded, at: d.src.start(n), vars: vars}
	if strings.ContainsRune(expanded, 0) {
		d.failf(s.at, "cannot use %s: it has a NUL byte, which no program can be given", at.path)
		*s = scalar{wrong: true}
		return
	}
	if err := v.check(); err != nil {
		d.failf(s.at, "cannot use %s: %s", at.path, err)
		*s = scalar{wrong: true} // as if it were not there, so that one slip is one error
	}
}

// list fills a slice.
func (d *decoder) list(n ast.Node, at place, v reflect.Value) {
	_, command := v.Interface().(argv)
	sequence, ok := n.(*ast.SequenceNode)
	switch {
	case !ok && command && isScalar(n):
		d.failf(d.src.start(n), "cannot use %s: write a list, such as [sleep, 60]; pintle asks no shell to split it", at.path)
		return
	case !ok:
		d.failf(d.src.start(n), "cannot use %s: it is %s, and a list is needed", at.path, describe(n))
		return
	case command && len(sequence.Values) == 0:
		d.failf(d.src.start(n), "cannot use %s: it is empty", at.path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	for i, entry := range sequence.Values {
		d.decode(entry, at.entry(i, d.src.start(entry)), v.Index(i))
	}
}

// entries fills a map, whose keys are free.
func (d *decoder) entries(n ast.Node, at place, v reflect.Value) {
	pairs, ok := d.pairs(n, at)
	if !ok {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for _, pair := range pairs {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.decode(pair.value, at.key(pair.key.text, pair.key.at), elem)
		v.SetMapIndex(reflect.ValueOf(pair.key), elem)
	}
}

// section fills a struct, whose keys are those of its fields.
func (d *decoder) section(n ast.Node, at place, v reflect.Value) {
	if field := v.FieldByName("At"); field.IsValid() {
		field.Set(reflect.ValueOf(at.Position))
	}
	pairs, ok := d.pairs(n, at)
	if !ok {
		return
	}
	fields := d.fieldsOf(v.Type())
	given := make(map[string]bool, len(pairs))
	means := ""
	for _, pair := range pairs {
		name := pair.key.text
		given[name] = true
		here := at.key(name, pair.key.at)
		f, known := fields[name]
		switch {
		case strings.HasPrefix(name, "x-"):
		case !known:
			d.failf(pair.key.at, "cannot use %s: there is no such key%s", here.path, suggest(name, fields))
		case f.option == "means" && means != "":
			d.failf(pair.key.at, "cannot use %s: %s is given already, and only one can be used", here.path, means)
		default:
			if f.option == "means" {
				means = name
			}
			d.decode(pair.value, here, v.FieldByIndex(f.index))
		}
	}
	var all []string
	for name, f := range fields {
		switch {
		case f.option == "required" && !given[name]:
			d.failf(at.Position, "cannot use %s: it has no %s", at.path, name)
		case f.option == "means":
			all = append(all, name)
		}
	}
	if len(all) > 0 && means == "" {
		slices.Sort(all)
		d.failf(at.Position, "cannot use %s: it has none of %s", at.path, listed(all, "and"))
	}
}

// field is a field of a struct of the schema.
type field struct {
	index  []int // see reflect.Value.FieldByIndex
	option string
}

// fieldsOf lists the fields of a struct by their keys, those of embedded structs among them.
func (d *decoder) fieldsOf(t reflect.Type) map[string]field {
	if known, ok := d.fields[t]; ok {
		return known
	}
	fields := map[string]field{}
	for _, f := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && !f.Anonymous {
			fields[name] = field{f.Index, option}
		}
	}
	d.fields[t] = fields
	return fields
}

// pair is a key and its value.
type pair struct {
	key   key
	value ast.Node
}

// pairs lists a mapping's keys and values without duplicates. A key without a value
// stands for an empty mapping, as after commenting out all that was in one.
func (d *decoder) pairs(n ast.Node, at place) ([]pair, bool) {
	if _, null := n.(*ast.NullNode); null {
		return nil, true
	}
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		d.failf(d.src.start(n), "cannot use %s: it is %s, and a mapping is needed", at.path, describe(n))
		return nil, false
	}
	seen := make(map[string]Position, len(mapping.Values))
	pairs := make([]pair, 0, len(mapping.Values))
	for _, v := range mapping.Values {
		k := key{text(v.Key), d.src.of(v.Key.GetToken())}
		first, again := seen[k.text]
		switch {
		case again:
			d.failf(k.at, "cannot use %s: it is given twice, first in line %d", at.key(k.text, k.at).path, first.Line)
			continue
		case strings.Contains(k.text, "${"):
			d.failf(k.at, "cannot use key %s: variables are expanded in values, not in keys", quote(k.text))
			continue
		case strings.ContainsRune(k.text, 0):
			d.failf(k.at, "cannot use key %s: it has a NUL byte", quote(k.text))
			continue
		}
		seen[k.text] = k.at
		pairs = append(pairs, pair{k, v.Value})
	}
	return pairs, true
}

// isScalar tells whether a node is a single value; null is none.
func isScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

// text is a single value or a key as it was written, without its quotes.
func text(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	return n.GetToken().Value
}
