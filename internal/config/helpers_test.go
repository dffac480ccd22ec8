package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// fromText loads texts as the files a.yaml, b.yaml and so on, without reading any.
func fromText(env []string, texts ...string) (*Config, error) {
	l := loader{env: newEnvironment(env), report: &report{}}
	for i, text := range texts {
		name := fmt.Sprintf("%c.yaml", 'a'+i)
		l.files = append(l.files, name)
		l.documents = append(l.documents, decodeFile(name, []byte(text), l.env, l.report))
	}
	config := assemble(l.documents, l.report)
	if err := l.result(); err != nil {
		return nil, err
	}
	config.Files = l.files
	return config, nil
}

// write makes a file in a directory and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func reference(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../../examples/hermes/pintle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
