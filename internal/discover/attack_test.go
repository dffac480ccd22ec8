package discover

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const hermit = 10000 // a service's user, who owns the directory

// roleVar has this test binary be the hermit at his work: he exchanges the two paths that it names, again and again.
const roleVar = "PINTLE_DISCOVER_TEST_SWAP"

func TestMain(m *testing.M) {
	if a, b, ok := strings.Cut(os.Getenv(roleVar), ":"); ok {
		fmt.Println("swapping")
		for {
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

// swap has the hermit exchange two paths until the test ends.
func swap(t *testing.T, a, b string) {
	t.Helper()
	// The test binary lies where he may not go.
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	exe := fmt.Sprintf("%s/pintle-swap-%d", os.TempDir(), time.Now().UnixNano())
	must(t, os.WriteFile(exe, self, 0o755))
	t.Cleanup(func() { _ = os.Remove(exe) })
	cmd := exec.Command(exe)
	cmd.Env = []string{roleVar + "=" + a + ":" + b}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: hermit, Gid: hermit}, Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		rest, _ := bufio.NewReader(out).ReadString('\n')
		_ = cmd.Wait()
		if rest != "" {
			t.Errorf("he could not go on: %s", rest)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "swapping\n" {
		t.Fatal(line, err)
	}
}

// TestSwapsLeadNowhere: whoever owns the directory may exchange everything in it, and the directory itself, for
// symlinks while it is looked at. Nothing outside is found.
func TestSwapsLeadNowhere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can act as another user")
	}
	arrange := func(t *testing.T) (p *place, trap string) {
		p = newPlace(t)
		trap = strings.TrimSuffix(p.dir, "profiles") + "trap" // as if it were outside: only root may look into it
		must(t, os.MkdirAll(trap+"/evil", 0o755))
		must(t, os.WriteFile(trap+"/evil/"+marker, nil, 0o644))
		must(t, os.Chmod(trap, 0o700))
		return p, trap
	}
	give := func(p *place) {
		top := strings.TrimSuffix(p.dir, "/profiles")
		must(p.t, exec.Command("chown", "-hR", fmt.Sprint(hermit), p.dir).Run())
		must(p.t, os.Lchown(top, hermit, hermit))
	}
	for name, test := range map[string]func(t *testing.T, p *place, trap string) (a, b string){
		"the directory": func(t *testing.T, p *place, trap string) (string, string) {
			must(t, os.Symlink(trap, p.dir+".other"))
			return p.dir, p.dir + ".other"
		},
		"an entry": func(t *testing.T, p *place, trap string) (string, string) {
			must(t, os.Mkdir(p.dir+"/evil", 0o755))
			must(t, os.Symlink(trap+"/evil", p.dir+"/.other"))
			return p.dir + "/evil", p.dir + "/.other"
		},
		"a marker": func(t *testing.T, p *place, trap string) (string, string) {
			must(t, os.Mkdir(p.dir+"/evil", 0o755))
			must(t, os.Symlink(trap+"/evil/"+marker, p.dir+"/evil/"+marker))
			must(t, unix.Mkfifo(p.dir+"/evil/other", 0o666))
			return p.dir + "/evil/" + marker, p.dir + "/evil/other"
		},
		"an entry for a device": func(t *testing.T, p *place, _ string) (string, string) {
			must(t, os.Mkdir(p.dir+"/evil", 0o755))
			must(t, unix.Mknod(p.dir+"/.other", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
			return p.dir + "/evil", p.dir + "/.other"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, trap := arrange(t)
			p.profile("good")
			a, b := test(t, p, trap)
			give(p)
			swap(t, a, b)
			w := newScanner(p.rule())
			defer w.close()
			at, found := time.Unix(1e9, 0), 0
			for i := range 2000 {
				at = at.Add(time.Duration(i%5) * time.Second)
				f := w.scan(at)
				if slices.Contains(f.Names, "evil") {
					t.Fatalf("look %d found what is outside: %+v", i, f)
				}
				if slices.Contains(f.Names, "good") {
					found++
				}
			}
			if found == 0 {
				t.Error("the good one was never found")
			}
		})
	}
}
