package boot

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"pintle/internal/config"
	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/s6/serve"
	"pintle/internal/s6/wire"
	"pintle/internal/supervisor"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// trees are the scan directories that pintle supervises in s6's place.
type trees struct {
	list  []*serve.Tree
	ended chan struct{} // closed when one of them was asked to end; nil where there are none
}

// openTrees begins to supervise scan directories. One that can't be is a condition.
func (c *container) openTrees(environ []string) {
	rule := c.config.Load().S6
	if len(rule.Scan) == 0 {
		return
	}
	version, err := s6Version(&rule, environ)
	if err != nil {
		c.say.log.Warn(err.Error())
	}
	if rule.ProcessName {
		if err := os.WriteFile("/proc/self/comm", []byte("s6-svscan"), 0); err != nil { // of the first thread
			c.say.log.Warn(fmt.Sprintf("cannot be called s6-svscan: %v", err))
		}
	}
	owner, err := supervisor.Identity(c.accounts, rule.Owner)
	if err != nil {
		c.fixed = append(c.fixed, engine.Conditionf(engine.ScanDirectoryMissing, "cannot scan %s: %v", strings.Join(rule.Scan, ", "), err))
		return
	}
	if err := layOverlay(overlayDirectory, &rule, owner, environ); err != nil {
		c.say.log.Warn(err.Error())
	}
	c.trees.ended = make(chan struct{})
	end := sync.OnceFunc(func() { close(c.trees.ended) })
	names := &serve.Names{}
	for _, directory := range ownFirst(rule.Scan) {
		tree, err := c.openTree(directory, owner, version, environ, names)
		if err != nil {
			c.fixed = append(c.fixed, engine.Conditionf(engine.ScanDirectoryMissing, "%v", err))
			continue
		}
		c.trees.list = append(c.trees.list, tree)
		go func() {
			<-tree.Ended()
			end()
		}()
	}
}

// ownFirst has the scan directories that are pintle's own user's come before those of others, who could take the names of his
// services otherwise.
func ownFirst(directories []string) []string {
	others := func(directory string) int {
		var st unix.Stat_t
		if unix.Stat(directory, &st) == nil && int(st.Uid) == os.Geteuid() {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(directories), func(a, b string) int { return others(a) - others(b) })
}

// s6Version is the release of s6 whose ways are kept.
func s6Version(rule *config.S6, environ []string) (wire.Version, error) {
	text := rule.Version
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, "PINTLE_S6_VERSION="); ok && text == "" {
			text = value
		}
	}
	if text == "" {
		return wire.Default, nil
	}
	version, err := wire.ParseVersion(text)
	if err != nil {
		return wire.Default, fmt.Errorf("cannot keep the ways of s6 %q: %w; those of %s are kept", text, err, wire.Default)
	}
	return version, nil
}

func (c *container) openTree(directory string, owner *process.Identity, version wire.Version, environ []string, names *serve.Names) (*serve.Tree, error) {
	if err := makeScanDirectory(directory, owner); err != nil {
		return nil, fmt.Errorf("cannot scan %s: %w", directory, err)
	}
	return serve.Open(serve.Options{
		Directory: directory, Version: version, Self: os.Geteuid(), Kernel: c.kernel, Accounts: c.accounts, Environ: environ,
		Logs: c.logs, Log: c.say.log, Now: now, Taken: c.declares, Names: names,
	})
}

// makeScanDirectory makes a scan directory where there is none, and gives it to its owner.
func makeScanDirectory(directory string, owner *process.Identity) error {
	dir, err := trust.Reach(directory, os.Geteuid(), func(parent int, name, _ string, last bool) error {
		err := unix.Mkdirat(parent, name, 0o755)
		if err == nil && last {
			err = giveMade(parent, name, owner)
		}
		if err == unix.EEXIST {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return dir.Close()
}

// giveMade gives a directory that was just made to its owner. Who may write its parent may have put another file there since.
func giveMade(parent int, name string, owner *process.Identity) error {
	fd, err := unix.Openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s was exchanged meanwhile", name)
	}
	return unix.Fchownat(fd, "", owner.UID, owner.GID, unix.AT_EMPTY_PATH)
}

// declares tells whether the configuration has a unit of that name, or instances may have it.
func (c *container) declares(name unit.Name) bool {
	has := func(list []unit.Spec) bool {
		return slices.ContainsFunc(list, func(s unit.Spec) bool { return s.Name == name })
	}
	cfg := c.config.Load()
	return name == unit.MainName || has(cfg.Services) || has(cfg.Oneshots) ||
		slices.ContainsFunc(cfg.Templates, func(t unit.Template) bool { return t.Name == name.Template() })
}

// keeper is the uid of who may manage a service of a tree: who it runs as.
func (t *trees) keeper(name unit.Name) (uid int, ok bool) {
	for _, tree := range t.list {
		if uid, ok = tree.Keeper(name); ok {
			return uid, ok
		}
	}
	return 0, false
}

// over is closed when a tree was asked to end; nil where there are none.
func (t *trees) over() <-chan struct{} { return t.ended }

// close ends all trees; what it returns is closed once they have ended.
func (t *trees) close() <-chan struct{} {
	var all sync.WaitGroup
	for _, tree := range t.list {
		all.Go(func() { _ = tree.Close(context.Background()) }) // it only fails with its context
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	return done
}

// hurry kills what has not ended.
func (t *trees) hurry() {
	for _, tree := range t.list {
		tree.Hurry()
	}
}

// left names the services that have not ended.
func (t *trees) left() (names []string) {
	for _, tree := range t.list {
		names = append(names, tree.Left()...)
	}
	return names
}
