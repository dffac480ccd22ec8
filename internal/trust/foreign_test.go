package trust

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What is anybody's is found by its own name alone: no symlink leads to it that he could have made, and nothing but a
// directory or a regular file is opened.
func TestForeign(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	mkdir(t, dir+"/vol/sub", 0o777)
	write(t, dir+"/vol/file", "his", 0o666)
	write(t, dir+"/secret", "root's", 0o600)
	for link, to := range map[string]string{"link": dir + "/secret", "sublink": "sub", "up": ".."} {
		must(t, os.Symlink(to, dir+"/vol/"+link))
	}
	must(t, unix.Mkfifo(dir+"/vol/fifo", 0o666))
	must(t, os.Chown(dir+"/vol", hermit, hermit))
	must(t, os.Symlink("vol", dir+"/word")) // root's own
	for path, part := range map[string]string{
		"vol/file": "", "word/file": "", "vol/./file": "",
		"vol/link":           "VOL/link is a symlink that others may have put there: VOL belongs to uid 10000",
		"vol/up/secret":      "VOL/up is a symlink that others may have put there",
		"vol/sub/../file":    `its ".." can lead anywhere`,
		"vol/fifo":           "it is not a regular file",
		"vol/sub":            "it is not a regular file",
		"vol/none":           "no such file or directory",
		"vol/none/none/none": "no such file or directory",
	} {
		data, err := ReadForeign(dir+"/"+path, 0, 10)
		if part == "" {
			if err != nil || string(data) != "his" {
				t.Errorf("%s: %q, %v", path, data, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(part, "VOL", dir+"/vol")) {
			t.Errorf("%s: %v, want %s", path, err, part)
		}
		if strings.Contains(path, "none") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err := ReadForeign(dir+"/vol/file", 0, 2)
	want(t, err, "it is larger than 2 bytes")

	for path, part := range map[string]string{
		"vol": "", "vol/sub": "", "word/sub": "", "vol/sublink": "is a symlink", "vol/up": "is a symlink",
		"vol/file": "is a file that others", "secret": "it is not a directory", "none": "no such file or directory",
	} {
		f, err := OpenForeign(dir+"/"+path, 0)
		if part == "" {
			must(t, err)
			_ = f.Close()
			continue
		}
		want(t, err, part)
	}
	if entries, err := os.ReadDir(dir + "/vol"); err != nil || len(entries) != 6 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}
