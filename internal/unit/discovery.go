package unit

import (
	"path"
	"strings"
	"time"
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
