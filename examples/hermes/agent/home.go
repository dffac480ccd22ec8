package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	configKey   = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

// A home is where a profile keeps its files. Neither the root nor the profile has to exist.
type home struct {
	root    string // empty when the environment names none; only who needs the home minds
	profile string // valid as a file name
}

func openHome(profile string) (home, error) {
	if err := checkProfile(profile); err != nil {
		return home{}, fmt.Errorf("cannot use profile %q: %w", profile, err)
	}
	root := os.Getenv("HERMES_HOME")
	if user := os.Getenv("HOME"); root == "" && user != "" {
		root = filepath.Join(user, ".hermes")
	}
	return home{root, profile}, nil
}

func checkProfile(name string) error {
	if !profileName.MatchString(name) {
		return fmt.Errorf("a name is made of a-z, 0-9, _ and -, and starts with a letter or a digit")
	}
	return nil
}

// dir is the profile's directory.
func (h home) dir() (string, error) {
	switch {
	case h.root == "":
		return "", errors.New("neither HERMES_HOME nor HOME is set")
	case h.profile == "default":
		return h.root, nil
	}
	return filepath.Join(h.profiles(), h.profile), nil
}

func (h home) profiles() string { return filepath.Join(h.root, "profiles") }

func profile(h home, args []string) (int, error) {
	if len(args) == 0 {
		return 0, misuse("argument missing")
	}
	switch args[0] {
	case "create":
		if err := wantArgs(args[1:], 1); err != nil {
			return 0, err
		}
		if err := createProfile(h, args[1]); err != nil {
			return 0, fmt.Errorf("cannot create profile %q: %w", args[1], err)
		}
		fmt.Printf("profile %s: created\n", args[1])
		return 0, nil
	case "list":
		if err := wantArgs(args[1:], 0); err != nil {
			return 0, err
		}
		names, err := listProfiles(h)
		if err != nil {
			return 0, fmt.Errorf("cannot list profiles: %w", err)
		}
		fmt.Println(strings.Join(names, "\n"))
		return 0, nil
	}
	return 0, misuse("unknown command %q", "profile "+args[0])
}

func createProfile(h home, name string) error {
	if err := checkProfile(name); err != nil {
		return err
	}
	dir, err := home{h.root, name}.dir()
	if err != nil {
		return err
	}
	if name == "default" {
		return errors.New("it is the home itself")
	}
	if err := os.MkdirAll(h.profiles(), 0o750); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); errors.Is(err, fs.ErrExist) {
		return errors.New("it exists already")
	} else if err != nil {
		return err
	}
	soul := fmt.Sprintf("# %s\n\nYou are %s.\n", name, name)
	return os.WriteFile(filepath.Join(dir, "SOUL.md"), []byte(soul), 0o640)
}

// listProfiles returns "default" and the directories that have a soul; anything else there is no profile.
func listProfiles(h home) ([]string, error) {
	if _, err := h.dir(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(h.profiles())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := []string{"default"}
	for _, e := range entries {
		_, err := os.Stat(filepath.Join(h.profiles(), e.Name(), "SOUL.md"))
		if err == nil && checkProfile(e.Name()) == nil && e.Name() != "default" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func config(h home, args []string) (int, error) {
	if len(args) == 0 {
		return 0, misuse("argument missing")
	}
	switch args[0] {
	case "set":
		if err := wantArgs(args[1:], 2); err != nil {
			return 0, err
		}
		if err := setConfig(h, args[1], args[2]); err != nil {
			return 0, fmt.Errorf("cannot set %q: %w", args[1], err)
		}
		return 0, nil
	case "get":
		if err := wantArgs(args[1:], 1); err != nil {
			return 0, err
		}
		value, err := getConfig(h, args[1])
		if err != nil {
			return 0, fmt.Errorf("cannot get %q: %w", args[1], err)
		}
		fmt.Println(value)
		return 0, nil
	}
	return 0, misuse("unknown command %q", "config "+args[0])
}

// readConfig returns the path and the lines of config.yaml, none when there is no file. It knows top-level "K: V"
// lines and leaves all others as they are.
func readConfig(h home) (path string, lines []string, err error) {
	dir, err := h.dir()
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "config.yaml")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	for line := range bytes.Lines(text) {
		lines = append(lines, string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return path, lines, err
}

func getConfig(h home, key string) (string, error) {
	_, lines, err := readConfig(h)
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", errors.New("it is not set")
}

func setConfig(h home, key, value string) error {
	if !configKey.MatchString(key) {
		return errors.New("a key is made of letters, digits, ., _ and -")
	}
	if strings.ContainsAny(value, "\r\n") {
		return errors.New("the value is more than one line")
	}
	path, lines, err := readConfig(h)
	if err != nil {
		return err
	}
	entry, found := key+": "+value, false
	for i, line := range lines {
		if strings.HasPrefix(line, key+":") {
			lines[i], found = entry, true
		}
	}
	if !found {
		lines = append(lines, entry)
	}
	if err := os.MkdirAll(h.root, 0o750); err != nil {
		return err
	}
	return replaceFile(path, strings.Join(lines, "\n")+"\n")
}

// replaceFile swaps the file in one step, so that a reader sees the old text or the new one and never half of it.
func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o640), f.Close()) // Chmod: the umask has no say
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
