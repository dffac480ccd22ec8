package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// writeYAML writes v as YAML with the names that it has in JSON.
func writeYAML(w io.Writer, v any) error {
	text, err := marshal(v, "")
	if err != nil {
		return err
	}
	y, err := yaml.JSONToYAML([]byte(text))
	if err != nil {
		return fmt.Errorf("cannot write YAML: %w", err)
	}
	_, err = w.Write(y)
	return err
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
