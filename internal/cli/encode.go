package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// writeJSON writes v as JSON: one line, or indented for people. DEL and the C1
// controls, which JSON allows as they are, are escaped too.
func writeJSON(w io.Writer, v any, indent string) error {
	text, err := marshal(v, indent)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// writeYAML writes v as YAML with the names, the order and the omissions that it has in JSON.
func writeYAML(w io.Writer, v any) error {
	text, err := marshal(v, "")
	if err != nil {
		return err
	}
	var tree any
	if err := yaml.UnmarshalWithOptions([]byte(text), &tree, yaml.UseOrderedMap()); err != nil {
		return fmt.Errorf("cannot write YAML: %w", err)
	}
	y, err := yaml.Marshal(quoteText(tree))
	if err != nil {
		return fmt.Errorf("cannot write YAML: %w", err)
	}
	_, err = w.Write(y)
	return err
}

// quoted is a string that YAML shows in double quotes, with every character
// escaped that is not printable: YAML allows some of them as they are.
type quoted string

// MarshalYAML implements yaml.BytesMarshaler.
func (q quoted) MarshalYAML() ([]byte, error) { return []byte(strconv.Quote(string(q))), nil }

// quoteText replaces the strings in tree that are not printable ASCII.
func quoteText(tree any) any {
	switch v := tree.(type) {
	case string:
		if !plain(v) {
			return quoted(v)
		}
	case []any:
		for i := range v {
			v[i] = quoteText(v[i])
		}
	case yaml.MapSlice:
		for i := range v {
			v[i].Key, v[i].Value = quoteText(v[i].Key), quoteText(v[i].Value)
		}
	}
	return tree
}

func marshal(v any, indent string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("cannot write JSON: %w", err)
	}
	if plain(strings.ReplaceAll(b.String(), "\n", "")) {
		return b.String(), nil
	}
	var safe strings.Builder
	for _, r := range b.String() { // in JSON such a character can only be within a string
		if r >= 0x7f && r <= 0x9f || reorders(r) {
			fmt.Fprintf(&safe, `\u%04x`, r)
			continue
		}
		safe.WriteRune(r)
	}
	return safe.String(), nil
}
