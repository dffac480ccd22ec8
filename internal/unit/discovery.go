package unit

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Discovery says which directories declare instances of a template: those in Directory that have a Marker.
type Discovery struct {
	// Directory is absolute.
	Directory string
	// Marker is the name of a regular file; "" where every directory in Directory declares an instance.
	Marker string
	// Except are names that declare none.
	Except []string
	// KeepIntent is how long what was asked of an instance is kept after its directory is gone.
	KeepIntent time.Duration
}

// DefaultKeepIntent is how long that is where a template does not say.
const DefaultKeepIntent = 7 * 24 * time.Hour

// Origin names what declares an instance, as a clause.
func (d *Discovery) Origin(instance string) string {
	at := "declared by " + path.Join(d.Directory, instance)
	if d.Marker != "" {
		at += " (" + d.Marker + ")"
	}
	return at
}

// IntentSource is a file of somebody else's that says what is wanted of an instance of which nobody has asked anything
// of pintle yet. It is JSON, an object.
type IntentSource struct {
	// File is absolute; "%i" in it stands for the instance's name.
	File string
	// Paths lead to values in the object, their keys joined by dots. The first value that is there and not null decides.
	Paths []string
	// Up are the values that mean up; any other means down.
	Up []string
}

// FileOf is the file for one instance.
func (t *Template) FileOf(instance string) string {
	if file := t.Overrides[instance].IntentFile; file != "" {
		return file
	}
	return strings.NewReplacer("%%", "%", "%i", instance).Replace(t.IntentFrom.File)
}

// Read finds the value that decides in what the file holds; ok is false where there is none, or no object at all.
func (f *IntentSource) Read(data []byte) (value string, ok bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) { // package json would repair it
		return "", false
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return "", false
	}
	for _, path := range f.Paths {
		if value, ok := lookup(object, strings.Split(path, ".")); ok {
			return value, true
		}
	}
	return "", false
}

// Means tells whether a value means up.
func (f *IntentSource) Means(value string) (up bool) { return slices.Contains(f.Up, value) }

// lookup follows keys into an object. A value that is no text is as it was written.
func lookup(object map[string]json.RawMessage, keys []string) (value string, ok bool) {
	raw, ok := object[keys[0]]
	switch text := string(raw); {
	case !ok || text == "null":
		return "", false
	case len(keys) > 1:
		var inner map[string]json.RawMessage
		if json.Unmarshal(raw, &inner) != nil {
			return "", false
		}
		return lookup(inner, keys[1:])
	case text[0] != '"':
		return text, true
	}
	err := json.Unmarshal(raw, &value)
	return value, err == nil
}
