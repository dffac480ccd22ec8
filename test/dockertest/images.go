package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"debug/elf"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The images that this package makes.
const (
	debianTag    = "pintle-test/debian:bookworm"
	busyboxTag   = "pintle-test/busybox:latest"
	referenceTag = "pintle-test/reference" // its tag is a hash of what is in it
)

// recipeLabel holds a hash of how an imported image was made, so that another
// recipe makes another image.
const recipeLabel = "pintle-test.recipe"

//go:embed debian.sh
var debianScript string

// Debian returns the name of an image with a small Debian 12 (minbase, procps,
// and busybox under that name only).
func Debian(t testing.TB) string {
	t.Helper()
	e := require(t)
	if err := debian.get(func() error { return e.makeDebian() }); err != nil {
		skip(t, "tests on the Debian image", err)
	}
	return debianTag
}

// Busybox returns the name of an image with nothing but Debian's static busybox.
func Busybox(t testing.TB) string {
	t.Helper()
	e := require(t)
	if err := busybox.get(func() error { return e.makeBusybox() }); err != nil {
		skip(t, "tests on the busybox image", err)
	}
	return busyboxTag
}

// Reference returns the name of the reference image: pintle and the stand-in
// agent as they are in the source tree now, in examples/hermes/Dockerfile on
// the Debian image. It is the image that empty Options mean.
func Reference(t testing.TB) string {
	t.Helper()
	Debian(t)
	e := require(t)
	err := reference.get(func() (err error) {
		reference.tag, err = e.makeReference()
		return err
	})
	if err != nil {
		t.Fatalf("cannot make the reference image: %v", err)
	}
	return reference.tag
}

// Derive builds an image from Dockerfile text and the files that it copies, by
// their names in the build context. A first line "FROM reference" means the
// reference image.
func Derive(t testing.TB, dockerfile string, files map[string]string) string {
	t.Helper()
	if rest, ok := strings.CutPrefix(dockerfile, "FROM reference\n"); ok {
		dockerfile = "FROM " + Reference(t) + "\n" + rest
	}
	dir := t.TempDir()
	tag := "pintle-test/derived:" + strings.ToLower(rand.Text()[:12])
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	e := require(t)
	deriving.Lock()
	err := e.build(tag, dir, filepath.Join(dir, "Dockerfile"))
	deriving.Unlock()
	if err != nil {
		t.Fatalf("cannot make a derived image: %v", err)
	}
	t.Cleanup(func() {
		deriving.Lock()
		defer deriving.Unlock()
		e.output(commandDeadline, "image", "rm", "-f", tag)
	})
	return tag
}

// deriving is held by a build, which goes on from layers that earlier ones have
// left, and by a removal, which takes them away.
var deriving sync.Mutex

// once makes something once per test binary, and keeps the error if it failed.
type once struct {
	sync.Once
	err error
	tag string
}

func (o *once) get(make func() error) error {
	o.Do(func() { o.err = make() })
	return o.err
}

var debian, busybox, reference once

// imported makes tag by importing a root file system, unless the engine has it
// from the same recipe already. Only one test binary does it at a time.
func (e *engine) imported(tag, recipe string, rootfs func(dir string) (io.ReadCloser, error)) error {
	has := func() bool {
		got, err := e.output(commandDeadline, "image", "inspect", "--format", `{{index .Config.Labels "`+recipeLabel+`"}}`, tag)
		return err == nil && got == recipe
	}
	if has() {
		return nil
	}
	dir, err := CacheDir()
	if err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(dir, "images.lock"), lockWait)
	if err != nil {
		return err
	}
	defer lock.Close()
	if has() {
		return nil
	}
	r, err := rootfs(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(context.Background(), commandDeadline)
	defer cancel()
	cmd := e.command(ctx, "import", "--change", "LABEL "+recipeLabel+"="+recipe, "-", tag)
	cmd.Stdin = r
	_, err = outputOf(ctx, cmd)
	return err
}

// makeDebian makes the Debian image. The tar of its root file system is kept in
// the cache, for other engines and other days.
func (e *engine) makeDebian() error {
	recipe := hashOf([]byte(debianScript))
	return e.imported(debianTag, recipe, func(dir string) (io.ReadCloser, error) {
		name := filepath.Join(dir, "debian-bookworm-"+recipe+".tar")
		if f, err := os.Open(name); err == nil {
			return f, nil
		}
		if _, err := exec.LookPath("debootstrap"); err != nil {
			return nil, errors.New("no debootstrap on PATH to make it")
		}
		if os.Geteuid() != 0 {
			return nil, errors.New("debootstrap, which makes it, needs root")
		}
		if err := debootstrap(name); err != nil {
			return nil, err
		}
		old, _ := filepath.Glob(filepath.Join(dir, "debian-bookworm-*.tar"))
		for _, o := range old {
			if o != name {
				os.Remove(o)
			}
		}
		return os.Open(name)
	})
}

// debootstrap runs debian.sh in namespaces of its own, so that it cannot leave
// a process or a mount behind.
func debootstrap(out string) error {
	var said bytes.Buffer
	log, err := os.Create(out + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("bash", "-c", "mount --make-rslave / && mount -t proc proc /proc && eval \"$SCRIPT\"", "debian.sh", out)
	cmd.Env = append(os.Environ(), "SCRIPT="+debianScript, "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = log, log
	ended := make(chan struct{})
	if err := startNamespaced(cmd, 0, ended); err != nil {
		return err
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Minute):
		cmd.Process.Kill()
		<-ended
		said.WriteString("no end after 10 minutes; ")
	}
	if cmd.ProcessState.Success() {
		os.Remove(log.Name())
		return nil
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("cannot debootstrap: %s%v:\n%s", &said, cmd.ProcessState, tail(string(text), 10))
}

// makeBusybox makes the busybox image: the program and a link for each of its
// applets.
func (e *engine) makeBusybox() error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return errors.New("no busybox on PATH (Debian: busybox-static)")
	}
	if f, err := elf.Open(path); err != nil {
		return err
	} else {
		defer f.Close()
		if f.Section(".interp") != nil {
			return fmt.Errorf("%s is not static (Debian: busybox-static)", path)
		}
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		return fmt.Errorf("cannot list busybox's applets: %w", err)
	}
	var rootfs bytes.Buffer
	w := tar.NewWriter(&rootfs)
	dir := func(name string, mode int64) {
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode})
	}
	file := func(name string, mode int64, data []byte) {
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))})
		w.Write(data)
	}
	for _, d := range []string{"bin", "etc", "proc", "sys", "dev", "root", "run", "home"} {
		dir(d, 0o755)
	}
	dir("tmp", 0o1777)
	file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"))
	file("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	file("bin/busybox", 0o755, program)
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777})
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return e.imported(busyboxTag, hashOf(rootfs.Bytes()), func(string) (io.ReadCloser, error) {
		return io.NopCloser(&rootfs), nil
	})
}

// makeReference builds the programs and the reference image and returns its
// name. What has not changed is not built again.
func (e *engine) makeReference() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "pintle-test-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)

	// The build context has the layout of the source tree after `make build`.
	for _, p := range []struct{ out, pkg string }{{"bin/pintle", "./cmd/pintle"}, {"bin/hermes", "./examples/hermes/agent"}} {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, p.out), p.pkg)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot build %s: %v\n%s", p.pkg, err, out)
		}
	}
	for _, name := range sources {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644)); err != nil {
			return "", err
		}
	}

	hash, err := e.contextHash(dir)
	if err != nil {
		return "", err
	}
	tag := referenceTag + ":" + hash
	if _, err := e.output(commandDeadline, "image", "inspect", "--format", "{{.Id}}", tag); err == nil {
		return tag, nil
	}
	if err := e.build(tag, dir, filepath.Join(dir, "examples/hermes/Dockerfile"), "--build-arg", "BASE="+debianTag); err != nil {
		return "", err
	}
	if e.private != nil { // nobody else can be using the older ones
		e.forget(referenceTag, tag)
	}
	return tag, nil
}

// sources are the source tree's part in the build context. .dockerignore is among them, so that what a person builds is
// what is tested.
var sources = []string{".dockerignore", "examples/hermes/Dockerfile", "examples/hermes/pintle.yaml", "examples/hermes/env.example"}

// contextHash is a hash of all that goes into the reference image.
func (e *engine) contextHash(dir string) (string, error) {
	base, err := e.output(commandDeadline, "image", "inspect", "--format", "{{.Id}}", debianTag)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	io.WriteString(hash, base)
	for _, name := range append([]string{"bin/pintle", "bin/hermes"}, sources...) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(text))
		hash.Write(text)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// forget removes the images of a repository but one, and what only they had.
func (e *engine) forget(repository, but string) {
	list, err := e.output(commandDeadline, "images", "--format", "{{.Repository}}:{{.Tag}}", repository)
	if err != nil {
		return
	}
	for _, name := range strings.Fields(list) {
		if name != but {
			e.output(commandDeadline, "image", "rm", name)
		}
	}
	e.output(commandDeadline, "image", "prune", "-f")
}

// build runs docker build, with BuildKit where the docker command has it.
func (e *engine) build(tag, dir, dockerfile string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := e.command(ctx, append(append([]string{"build", "-t", tag, "-f", dockerfile}, args...), dir)...)
	if _, err := e.output(commandDeadline, "buildx", "version"); err != nil {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "DOCKER_BUILDKIT=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot docker build %s: %v\n%s", tag, err, tail(string(out), 20))
	}
	return nil
}

// moduleRoot returns the directory of pintle's go.mod.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || file == "" || file == os.DevNull {
		return "", errors.New("cannot find pintle's go.mod: run the tests with go test in the source tree")
	}
	return filepath.Dir(file), nil
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:12]
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
