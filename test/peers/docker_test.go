package peers

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pintle/test/dockertest"
)

// TestMain ends the Docker engine after the tests, where they have started one.
func TestMain(m *testing.M) { os.Exit(dockertest.Main(m)) }

// contained is a peer as it is started in a container: flags of docker run, and the arguments behind the image.
type contained struct {
	peer  string
	flags []string
	args  []string
}

// cargo is what an image gets beside Debian: programs of this machine, so that all peers are in one image and only the entrypoint
// differs. Their libraries come with them.
type cargo struct {
	tar  *tar.Writer
	out  bytes.Buffer
	have map[string]bool
}

func newCargo() *cargo {
	c := &cargo{have: map[string]bool{}}
	c.tar = tar.NewWriter(&c.out)
	return c
}

// put adds a file by the path that it has in the image.
func (c *cargo) put(path string, mode int64, text []byte) error {
	path = strings.TrimPrefix(path, "/")
	if c.have[path] {
		return nil
	}
	c.have[path] = true
	err := c.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(text))})
	if err == nil {
		_, err = c.tar.Write(text)
	}
	if err != nil {
		return fmt.Errorf("cannot put %s into an image: %w", path, err)
	}
	return nil
}

// putFile adds a file of this machine, under another path.
func (c *cargo) putFile(path, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("cannot put %s into an image: %w", path, err)
	}
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("cannot put %s into an image: %w", path, err)
	}
	return c.put(path, int64(info.Mode().Perm()), text)
}

// library finds in what ldd prints the libraries of a program. Those of glibc the image has itself.
var (
	library = regexp.MustCompile(`=> (/\S+)`)
	glibc   = regexp.MustCompile(`/(libc|libm|libdl|libpthread|librt|libutil)\.so[^/]*$`)
)

// program adds a program of this machine's PATH with its libraries, under the same path.
func (c *cargo) program(name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("cannot put %s into an image: it is not installed", name)
	}
	return errors.Join(c.putFile(path, path), c.libraries(path))
}

func (c *cargo) libraries(path string) error {
	list, err := exec.Command("ldd", path).Output()
	if err != nil {
		return nil // it is static
	}
	for _, m := range library.FindAllStringSubmatch(string(list), -1) {
		if glibc.MatchString(m[1]) {
			continue
		}
		if err := c.putFile(m[1], m[1]); err != nil {
			return err
		}
	}
	return nil
}

// tree adds a directory of this machine, but for what only a developer needs.
func (c *cargo) tree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"test", "tests", "idlelib", "ensurepip", "lib2to3", "pydoc_data"}, d.Name()):
			return fs.SkipDir
		case d.IsDir(), strings.Contains(path, "/config-"):
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				return nil // it leads to nothing that is needed
			}
		}
		if strings.HasSuffix(path, ".so") {
			if err := c.libraries(path); err != nil {
				return err
			}
		}
		return c.putFile(path, path)
	})
}

// supervisord adds Debian's supervisord and the Python that it runs on.
func (c *cargo) supervisord() error {
	python, err := filepath.EvalSymlinks("/usr/bin/python3")
	if err != nil {
		return errors.New("cannot put supervisord into an image: there is no /usr/bin/python3")
	}
	for _, step := range []error{
		c.program("supervisord"),
		c.putFile("/usr/bin/python3", python),
		c.libraries(python),
		c.tree(filepath.Join("/usr/lib", filepath.Base(python))),
		c.tree("/usr/lib/python3/dist-packages/supervisor"),
		c.tree("/usr/lib/python3/dist-packages/pkg_resources"),
	} {
		if step != nil {
			return step
		}
	}
	// What marks supervisor as installed: its start script asks for it.
	marks, err := filepath.Glob("/usr/lib/python3/dist-packages/supervisor-*")
	if err != nil {
		return err
	}
	for _, m := range marks {
		if err := c.tree(m); err != nil {
			return err
		}
	}
	return nil
}

// image makes the image: Debian with the cargo.
func (c *cargo) image(w *workshop) string {
	w.Helper()
	w.must(c.tar.Close())
	return dockertest.Derive(w, "FROM "+dockertest.Debian(w)+"\nADD cargo.tar /\n", map[string]string{"cargo.tar": c.out.String()})
}

// in are the options of a container of the image for this peer. None has a network: that takes Docker longer than all that is
// measured, and varies by more.
func (p contained) in(image string) dockertest.Options {
	return dockertest.Options{Image: image, Flags: append([]string{"--network", "none"}, p.flags...)}
}

// bareImage is a container without an init.
const bareImage = "bare image"

// compare measures the peers in turns, and adds to the answer what each adds to the bare image, which is the first, and what it takes in
// all. Docker's own time varies by far more than what is added, so that counts within a round; and the order moves on by one
// from round to round. Each has one turn beforehand, so that all is in the page cache; who fails in that is left out.
func compare(w *workshop, a *answer, command string, peers []contained, rounds int, measure func(contained) (time.Duration, error)) {
	w.Helper()
	peers = slices.DeleteFunc(peers, func(p contained) bool {
		_, err := measure(p)
		if err == nil {
			return false
		}
		if p.peer == bareImage || p.peer == pintle.name || os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
			w.Fatalf("cannot measure %s: %v", p.peer, err)
		}
		w.Logf("cannot measure %s: %v", p.peer, err)
		a.notes = append(a.notes, p.peer+" is not measured: this machine's does not run in Debian 12.")
		return true
	})
	whole, added := make([]figure, len(peers)), make([]figure, len(peers))
	for i, p := range peers {
		whole[i] = figure{peer: p.peer, what: command + " in all", unit: "ms"}
		added[i] = figure{peer: p.peer, what: "added to the bare image", unit: "ms"}
	}
	for round := range rounds {
		for i := range peers {
			i = (i + round) % len(peers)
			took, err := measure(peers[i])
			if err != nil {
				w.Fatalf("cannot measure %s: %v", peers[i].peer, err)
			}
			whole[i].samples = append(whole[i].samples, ms(took))
		}
		for i := range peers {
			added[i].samples = append(added[i].samples, whole[i].samples[round]-whole[0].samples[round])
		}
	}
	a.figures = append(added[1:], whole...)
}

// added is what a peer adds to the bare image; none where it was not measured.
func (a answer) added(peer string) (figure, bool) {
	i := slices.IndexFunc(a.figures, func(f figure) bool { return f.peer == peer })
	if i < 0 {
		return figure{}, false
	}
	return a.figures[i], true
}
