package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"pintle/internal/trust"
)

// Where configuration is when nobody says otherwise.
const (
	DefaultFile      = "/etc/pintle/pintle.yaml"
	DefaultDirectory = "/etc/pintle/conf.d"
)

// Options says what to load.
type Options struct {
	// Files are read in order. When there are none it is the file that PINTLE_CONFIG in
	// Environ names; without that, DefaultFile and then the files *.yaml in
	// DefaultDirectory by name (as in a shell, none that begins with a dot). Only the
	// last two may be missing.
	Files []string
	// Environ is the container's environment, NAME=VALUE, for expansion.
	Environ []string
	// UID is pintle's own; besides root only this user may own configuration.
	UID int
}

// Load reads and checks the configuration. Its error is of type Errors and holds
// everything that is wrong. No configuration at all is a valid, empty one.
func Load(o Options) (*Config, error) {
	return load(o, DefaultFile, DefaultDirectory)
}

func load(o Options, defaultFile, defaultDirectory string) (*Config, error) {
	env := newEnvironment(o.Environ)
	l := loader{uid: o.UID, env: env, report: &report{}}
	switch named := env["PINTLE_CONFIG"]; {
	case len(o.Files) > 0:
		l.read(o.Files, true)
	case named != "":
		l.read([]string{named}, true)
	default:
		l.read([]string{defaultFile}, false)
		l.read(l.list(defaultDirectory), true)
	}
	config := assemble(l.documents, l.report)
	if err := l.result(); err != nil {
		return nil, err
	}
	config.Files = l.files
	return config, nil
}

// loader reads files into documents.
type loader struct {
	*report
	uid       int
	env       environment
	documents []*document
}

// read reads files, each of which must exist where they are needed.
func (l *loader) read(files []string, needed bool) {
	for _, name := range files {
		data, err := trust.ReadFile(name, l.uid)
		if !needed && missing(name, err) {
			continue
		}
		l.files = append(l.files, name)
		if err != nil {
			l.failf(Position{name, 1, 1}, "%s", err)
			continue
		}
		l.documents = append(l.documents, decodeFile(name, data, l.env, l.report))
	}
}

// list names the configuration files in a directory, which may be missing.
func (l *loader) list(directory string) []string {
	names, err := trust.ReadDir(directory, l.uid)
	if err != nil {
		if !missing(directory, err) {
			l.files = append(l.files, directory)
			l.failf(Position{directory, 1, 1}, "%s", err)
		}
		return nil
	}
	var files []string
	for _, name := range names {
		if strings.HasSuffix(name, ".yaml") && !strings.HasPrefix(name, ".") {
			files = append(files, filepath.Join(directory, name))
		}
	}
	return files
}

// missing tells whether there is nothing of that name. A symlink to nowhere is
// something: whoever made it meant to have a configuration.
func missing(name string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// decodeFile reads one file's bytes into the schema.
func decodeFile(name string, data []byte, env environment, r *report) *document {
	doc := &document{}
	if src, root := parse(name, data, r); root != nil {
		d := decoder{report: r, src: src, env: env, fields: map[reflect.Type]map[string]field{}}
		d.decode(root, place{"", src.at(1, 1)}, reflect.ValueOf(doc).Elem())
	}
	return doc
}
