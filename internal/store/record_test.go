package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// One bad record disturbs no other: it is named, set aside, and its unit can
// have a new one (U42).
func TestBadRecordsDisturbNoOther(t *testing.T) {
	t.Parallel()
	text := func(text string) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(text), 0o600)) }
	}
	const good = `{"unit":"bad","desired":"up","generation":1,"time":"2026-01-02T03:04:05Z","actor":{"kind":"boot"}}`
	tests := map[string]struct {
		make func(t *testing.T, path string)
		file string // "bad.json" when empty
		want string
	}{
		"empty":          {make: text(""), want: "unexpected end of JSON input"},
		"truncated":      {make: text(good[:40]), want: "unexpected end of JSON input"},
		"array":          {make: text("[1]"), want: "cannot unmarshal array"},
		"null":           {make: text("null"), want: `it is about ""`},
		"number":         {make: text("7"), want: "cannot unmarshal number"},
		"trailing":       {make: text(good + "{}"), want: "invalid character"},
		"unknown word":   {make: text(strings.Replace(good, `"up"`, `"running"`, 1)), want: `desired is "running", which is neither up nor down`},
		"no word":        {make: text(`{"unit":"bad"}`), want: `desired is ""`},
		"wrong type":     {make: text(strings.Replace(good, `"up"`, `["up"]`, 1)), want: "cannot unmarshal array"},
		"another's name": {make: text(strings.Replace(good, `"bad"`, `"other"`, 1)), want: `it is about "other"`},
		"no name":        {make: text(good), file: "a b.json", want: "only letters"},
		"only a suffix":  {make: text(good), file: ".json", want: "it is empty"},
		"too large":      {make: text(good + strings.Repeat(" ", maxRecord)), want: "it is larger than 65536 bytes"},
		"not UTF-8":      {make: text(strings.Replace(good, "boot", "\xff", 1)), want: "it is not UTF-8"},
		"NULs":           {make: text(strings.Repeat("\x00", 4096)), want: "invalid character"},
		"symlink": {make: func(t *testing.T, path string) {
			must(t, os.Symlink("good.json", path))
		}, want: "it is not a regular file"},
		"FIFO": {make: func(t *testing.T, path string) {
			must(t, unix.Mkfifo(path, 0o600))
		}, want: "it is not a regular file"},
		"directory": {make: func(t *testing.T, path string) {
			must(t, os.MkdirAll(path+"/x", 0o700))
		}, want: "it is not a regular file"},
		"1 GiB of nothing": {make: func(t *testing.T, path string) {
			must(t, os.WriteFile(path, nil, 0o600))
			must(t, os.Truncate(path, 1<<30))
		}, want: "it is larger than 65536 bytes"},
		"socket": {make: func(t *testing.T, path string) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
			defer unix.Close(fd)
			must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
		}, want: "it is not a regular file"},
		"another's": {make: func(t *testing.T, path string) {
			needRoot(t)
			text(good)(t, path)
			must(t, os.Chown(path, 10000, 0))
		}, want: "it belongs to uid 10000"},
		"writable by others": {make: func(t *testing.T, path string) {
			text(good)(t, path)
			must(t, os.Chmod(path, 0o602))
		}, want: "it is writable by others (mode 0602)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.file == "" {
				tt.file = "bad.json"
			}
			dir := filepath.Join(scratch(t), "state")
			s, _ := open(t, dir)
			must(t, put(s, record("good", true, 1)))
			must(t, s.Close(t.Context()))
			path := dir + "/intents/" + tt.file
			tt.make(t, path)

			s, records := open(t, dir)
			wantRecords(t, records, record("good", true, 1))
			got := s.Conditions()
			if len(got) != 1 || got[0].Code != engine.StateUnreadable || !strings.HasPrefix(got[0].Text, "a desired state is not known: cannot read "+path+": ") ||
				!strings.Contains(got[0].Text, tt.want) || !strings.HasSuffix(got[0].Text, "; it was set aside as aside/"+tt.file) {
				t.Errorf("conditions %q", got)
			}
			if _, err := os.Lstat(dir + "/aside/" + tt.file); err != nil {
				t.Error(err)
			}
			if why, err := os.ReadFile(dir + "/aside/" + tt.file + ".why"); err != nil || !strings.Contains(string(why), tt.want) {
				t.Errorf("the reason beside it: %q, %v", why, err)
			}
			if tt.file == "bad.json" {
				must(t, put(s, record("bad", false, 2)))
				if got := s.Conditions(); got != nil {
					t.Errorf("conditions after a new record %q", got)
				}
			}
			must(t, s.Close(t.Context()))
			if tt.file == "bad.json" {
				wantRecords(t, reopen(t, dir), record("bad", false, 2), record("good", true, 1))
			}
		})
	}
}

// A file that is bad again and again leaves one file behind, and many bad ones no more than are kept of them.
func TestSetAsideIsBounded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("good", true, 1)))
	must(t, s.Close(t.Context()))
	for range 3 {
		must(t, os.WriteFile(dir+"/intents/bad.json", nil, 0o600))
		s, _ := open(t, dir)
		must(t, s.Close(t.Context()))
	}
	left := func() []string {
		names, err := filepath.Glob(dir + "/*/*")
		must(t, err)
		for i := range names {
			names[i] = strings.TrimPrefix(names[i], dir)
		}
		return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "/lives/") })
	}
	if want := []string{"/aside/bad.json", "/aside/bad.json.why", "/intents/good.json"}; !cmp.Equal(left(), want) {
		t.Errorf("left: %q", left())
	}
	for i := range 3 * mostAside {
		must(t, os.MkdirAll(fmt.Sprintf("%s/intents/bad%03d.json/x/y", dir, i), 0o700))
	}
	s, records := open(t, dir)
	wantRecords(t, records, record("good", true, 1))
	if n := len(s.Conditions()); n != 3*mostAside {
		t.Errorf("%d conditions", n)
	}
	names := left()
	if n := len(names) - 1; n != 2*mostAside || !slices.Contains(names, fmt.Sprintf("/aside/bad%03d.json", 3*mostAside-1)) {
		t.Errorf("%d files left: %q", n, names)
	}
}

// What cannot be set aside is still said, and still disturbs no other.
func TestCannotBeSetAside(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("good", true, 1)))
	must(t, s.Close(t.Context()))
	must(t, os.WriteFile(dir+"/intents/bad.json", nil, 0o600))
	disk := &faulty{calls: []string{"rename intents/bad.json"}, how: fails(syscall.EIO)}
	s, records := Open(Options{Directory: dir, UID: os.Geteuid(), mount: disk.mount})
	defer s.Close(t.Context())
	wantRecords(t, records, record("good", true, 1))
	if got := s.Conditions(); len(got) != 1 || !strings.Contains(got[0].Text, "it cannot be set aside: input/output error") {
		t.Errorf("conditions %q", got)
	}
}

// A record that the disk does not give may be a good one: it stays where it is.
func TestUnreadableIsNotSetAside(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("good", true, 1)))
	must(t, s.Close(t.Context()))
	disk := &faulty{calls: []string{"open intents/good.json"}, how: fails(syscall.EIO)}
	s, records := Open(Options{Directory: dir, UID: os.Geteuid(), mount: disk.mount})
	wantRecords(t, records)
	if got := s.Conditions(); len(got) != 1 || !strings.Contains(got[0].Text, "good.json: input/output error; it stays as it is") {
		t.Errorf("conditions %q", got)
	}
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir), record("good", true, 1))
}

// A newer pintle may have written more than this one knows.
func TestUnknownKeysArePassedOver(t *testing.T) {
	t.Parallel()
	r, err := decode("a.json", []byte(`{"unit":"a","desired":"down","lease":{"by":"x"}}`))
	must(t, err)
	if r.Unit != "a" || r.Intent.Up {
		t.Errorf("%+v", r)
	}
}

// Whatever is in a file, it is refused, or is a record that writes and reads back as itself.
func FuzzDecode(f *testing.F) {
	text, err := encode(record("gateway@coder", true, 3))
	must(f, err)
	f.Add("gateway@coder.json", text)
	f.Add("a.json", []byte(`{"unit":"a","desired":"down"}`))
	f.Add("a.json", []byte("null"))
	f.Add("../a.json", []byte("{}"))
	f.Add("a.json", []byte("{\"unit\":\"a\",\"desired\":\"up\",\"actor\":{\"command\":\"\xff\"}}"))
	f.Fuzz(func(t *testing.T, file string, text []byte) {
		r, err := decode(file, text)
		if err != nil {
			return
		}
		again, err := encode(r)
		if err != nil {
			t.Fatalf("cannot encode %+v: %v", r, err)
		}
		if r2, err := decode(string(r.Unit)+suffix, again); err != nil || !cmp.Equal(r, r2) {
			t.Fatalf("%+v became %+v, %v", r, r2, err)
		}
	})
}
