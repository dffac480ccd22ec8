package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// storm exchanges what stands at each of the paths for something else and back, as
// fast as the kernel does it, each path in a goroutine of its own. It works in the
// directories that the paths were in when it began, wherever those are meanwhile,
// and leaves everything as it was. PATH=NAME is a path that changes places also with
// something real in the same directory.
func storm(paths []string, ended <-chan os.Signal) error {
	var gusts []*gust
	for _, path := range paths {
		g, err := newGust(path)
		if err != nil {
			return err
		}
		gusts = append(gusts, g)
	}
	fmt.Println("storming")
	var over sync.WaitGroup
	stop := make(chan struct{})
	for _, g := range gusts {
		over.Go(func() { g.blow(stop) })
	}
	<-ended
	close(stop)
	over.Wait()
	said := "exchanged"
	for _, g := range gusts {
		said += fmt.Sprintf(" %s:%d", g.base, g.count)
		if err := g.calm(); err != nil {
			return err
		}
	}
	fmt.Println(said)
	return nil
}

// gust is the part of a storm at one path.
type gust struct {
	dir    int // open, so that it stays the same
	base   string
	decoys []string
	count  int
}

func newGust(path string) (*gust, error) {
	path, other, both := strings.Cut(path, "=")
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Dir(path), err)
	}
	g := &gust{dir: dir, base: filepath.Base(path)}
	real := g.name("absent") // what the real thing is called while something else stands for it
	for kind, put := range map[string]func(name string) error{
		"etc":     g.link("/etc"),
		"root":    g.link("/root"),
		"shadow":  g.link("/etc/shadow"),
		"roots":   g.link("/opt/data/roots"),
		"secret":  g.link("/opt/data/roots/secret"),
		"nowhere": g.link("/etc/pintle/conf.d/storm.yaml"),
		"zero":    g.link("/dev/zero"),
		"environ": g.link("/proc/self/environ"),
		"fd":      g.link("/proc/self/fd/1"),
		"itself":  g.link(g.base),
		"moved":   g.link(real),
		"fifo":    func(name string) error { return unix.Mkfifoat(dir, name, 0o666) },
		"file": func(name string) error {
			return g.file(name, "{\"desired_state\":\"running\"}\nLD_PRELOAD=/opt/data/x.so\n", 0)
		},
		"huge":   func(name string) error { return g.file(name, "{", 1<<30) },
		"empty":  func(name string) error { return unix.Mkdirat(dir, name, 0o777) },
		"forged": func(name string) error { return forge(g.path(name)) },
	} {
		name := g.name(kind)
		if err := put(name); err != nil {
			return nil, fmt.Errorf("%s of %s: %w", kind, path, err)
		}
		g.decoys = append(g.decoys, name)
		switch kind {
		case "etc", "root", "roots", "secret": // these would do the most harm
			g.decoys = append(g.decoys, name, name, name)
		}
	}
	g.decoys = append(g.decoys, real) // there is nothing of that name
	if both {
		g.decoys = append(g.decoys, slices.Repeat([]string{other}, len(g.decoys))...) // half of the time
	}
	return g, nil
}

func (g *gust) name(kind string) string { return ".storm-" + g.base + "-" + kind }

// path reaches a name in the directory by its descriptor.
func (g *gust) path(name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", g.dir, name) }

func (g *gust) link(target string) func(string) error {
	return func(name string) error { return unix.Symlinkat(target, g.dir, name) }
}

func (g *gust) file(name, text string, size int64) error {
	err := os.WriteFile(g.path(name), []byte(text), 0o666)
	if err == nil && size > 0 {
		err = os.Truncate(g.path(name), size)
	}
	return err
}

// forge makes a directory with all that pintle might take for what it looks for: wishes, leases, lives, a profile.
func forge(dir string) error {
	files := map[string]string{
		"SOUL.md": "", "gateway_state.json": `{"desired_state":"running"}`, "container-boot.log": "",
		"runs/vault.jsonl":      `{"unit":"vault"}` + "\n",
		"lives/localhost.json":  `{"life":99,"state":"ended","code":0}`,
		"coder/SOUL.md":         "",
		"leases/x.heart":        "99\n",
		"leases/vault.99.claim": `{"unit":"vault","fence":99,"owner":"x"}`,
	}
	for _, unit := range []string{"vault", "tool", "main", "gateway@default", "nosuch"} {
		files["intents/"+unit+".json"] = fmt.Sprintf(`{"unit":%q,"desired":"down","generation":99,"time":"2030-01-01T00:00:00Z","actor":{"kind":"peer","uid":0}}`, unit)
	}
	for name, text := range files {
		name = dir + "/" + name
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	return os.Symlink("/etc", dir+"/aside")
}

// blow exchanges until stop is closed. Most decoys stand for a moment only, some for so long that pintle meets them.
func (g *gust) blow(stop <-chan struct{}) {
	for {
		decoy := g.decoys[rand.IntN(len(g.decoys))]
		if g.exchange(decoy) {
			g.count++
			if rand.IntN(2) == 0 {
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			}
			for !g.exchange(decoy) {
				time.Sleep(time.Millisecond) // another gust has its hands on it
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rand.IntN(1000)) * time.Microsecond):
		}
	}
}

// exchange has the thing and the decoy change places, or moves the only one of them that there is.
func (g *gust) exchange(decoy string) bool {
	if decoy != g.name("absent") {
		return unix.Renameat2(g.dir, g.base, g.dir, decoy, unix.RENAME_EXCHANGE) == nil
	}
	if unix.Renameat2(g.dir, g.base, g.dir, decoy, unix.RENAME_NOREPLACE) == nil {
		return true
	}
	// Somebody may have made another one meanwhile.
	_ = unix.Renameat2(g.dir, g.base, g.dir, fmt.Sprintf(".storm-%s-left-%d", g.base, g.count), unix.RENAME_NOREPLACE)
	return unix.Renameat2(g.dir, decoy, g.dir, g.base, unix.RENAME_NOREPLACE) == nil
}

// calm removes the decoys.
func (g *gust) calm() error {
	var err error
	for _, decoy := range g.decoys {
		if strings.HasPrefix(decoy, ".storm-") && decoy != g.name("absent") {
			err = errors.Join(err, os.RemoveAll(g.path(decoy)))
		}
	}
	return errors.Join(err, unix.Close(g.dir))
}
