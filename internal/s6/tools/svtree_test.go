package tools

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// services is a scan directory with services in all states that last, but for one that crashes again and again.
const services = `
mk() { mkdir -p "$1"; printf '#!/bin/sh\n%s\n' "$2" >"$1/run"; chmod 755 "$1/run"; }
fin() { printf '#!/bin/sh\n%s\n' "$2" >"$1/finish"; chmod 755 "$1/finish"; }
>hold; mkdir scan; cd scan
mk steady 'exec sleep 1000'
mk ready 'echo >&3; exec 3>&-; exec sleep 1000'; echo 3 >ready/notification-fd
mk unready 'exec sleep 1000'; echo 3 >unready/notification-fd
mk finishing 'exec sleep 1000'; fin finishing 'exit 0'
mk stuck 'exit 4'; fin stuck 'while [ -e ../../hold ]; do sleep .2; done'; echo 0 >stuck/timeout-finish
mk crashed 'exit 3'; >crashed/down
mk killed 'kill -SEGV $$'; >killed/down
mk down 'exec sleep 1000'; >down/down
mk fails 'exit 1'; fin fails 'exit 125'
mk stubborn 'trap "" TERM; exec sleep 1000'; echo 300 >stubborn/timeout-kill
mk willful 'trap "" TERM; exec sleep 1000'
mk paused 'exec sleep 1000'
mk contrary 'exec sleep 1000'; >contrary/down
mk logged 'exec sleep 1000'; mk logged/log 'exec cat'
mk again 'exit 1'
`

// settle waits until they are in those states.
const settle = `
cd scan
until_() { i=0; until eval "$1"; do i=$((i+1)); [ $i -lt 1500 ] || { echo "never: $1" >&2; exit 1; }; sleep .04; done; }
for s in steady ready unready finishing stuck crashed killed down fails stubborn willful paused contrary logged logged/log again; do
	until_ "[ -s $s/supervise/status ] && s6-svok $s"
done
s6-svwait -t 60000 -u steady unready finishing stubborn willful paused logged logged/log && s6-svwait -t 60000 -U ready
for s in crashed killed crashed killed; do s6-svc -T 60000 -wu -o $s; s6-svwait -t 60000 -D $s; done
s6-svc -T 60000 -wu -u contrary
s6-svc -p paused; s6-svc -d willful
until_ '[ "$(s6-svstat -o exitcode stuck)" = 4 ]'
until_ '[ "$(s6-svstat -o wantedup,ready fails)" = "false false" ] && s6-svwait -t 60000 -D fails'
until_ '[ "$(s6-svstat -o paused paused)" = true ]'
until_ '[ "$(s6-svstat -o wantedup willful)" = false ]'
until_ 's6-svdt again | grep -q .'
# What is no service is put there when s6-svscan has looked already.
mkdir none plain; >plain/supervise; >file; mkdir -p bare/supervise; mkdir -p odd/supervise/control; mkdir -p old/supervise; mkfifo old/supervise/control; >old/supervise/lock
mkdir -p "with space"; ln -s steady link
`

// plant starts s6's own s6-svscan on such a directory and returns what it is in.
func plant(t *testing.T) string {
	t.Helper()
	svscan, err := exec.LookPath("s6-svscan")
	if err != nil {
		t.Skipf("s6 is not installed here: %v", err)
	}
	dir := openDir(t)
	shell(t, dir, services)
	scan := exec.Command(svscan, filepath.Join(dir, "scan"))
	if err := scan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = scan.Wait(); close(ended) }()
	t.Cleanup(func() {
		shell(t, dir, "rm hold; s6-svscanctl -t scan")
		for {
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
				// Some services are not moved by less, and others have to be started before they can end.
				shell(t, dir, "for s in scan/* scan/logged/log; do s6-svc -xk $s; done 2>/dev/null; true")
			}
		}
	})
	shell(t, dir, settle)
	return filepath.Join(dir, "scan")
}

// shell runs a script in a directory and returns what it says.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", script, err, out)
	}
	return string(out)
}

// scene is one command line for services that are there, given to both tools in turn.
type scene struct {
	name string
	args []string
	env  []string
	as   *syscall.Credential
	// before brings the services into the state that the tool is to find, and after shows what has become of them.
	before, after string
	// under is a shell command line with the tool as "$@".
	under string
	// calm is set where nothing changes, so that such scenes can be played together, after the others.
	calm    bool
	differs *difference
}

// numbersOf are what differs when a service was started twice.
var numbersOf = regexp.MustCompile(`pid \d+|\d+ seconds`)

// play gives the scenes to both tools, among the services in dir.
func play(t *testing.T, tool, dir string, scenes []scene) {
	t.Helper()
	real, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("s6 is not installed here: %v", err)
	}
	if len(scenes) < 15 {
		t.Errorf("%s has %d scenes, which is not enough to know it by", tool, len(scenes))
	}
	ours := filepath.Join(linkTools(t), tool)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			if s.calm {
				t.Parallel()
			}
			var theirs, mine outcome
			for range 5 {
				theirs, mine = s.run(t, real, dir), s.run(t, ours, dir)
				// A second can pass between the two, so where nothing is changed they are asked again.
				slow := theirs.overtaken() && s.differs == nil
				if cmp.Equal(theirs, mine) || s.after != "" && !slow {
					break
				}
			}
			if s.differs == nil {
				if diff := cmp.Diff(theirs, mine); diff != "" {
					t.Errorf("the real one is -, ours is +:\n%s", diff)
				}
				return
			}
			want := outcome{Stdout: s.differs.stdout, Stderr: s.differs.stderr, Code: s.differs.code, Tree: s.differs.tree}
			if diff := cmp.Diff(want, mine); diff != "" {
				t.Errorf("ours is not what it is meant to be (%s):\n%s", s.differs.why, diff)
			}
			if cmp.Equal(theirs, mine) {
				t.Errorf("the real one does the same, so this is no difference: %s", s.differs.why)
			}
		})
	}
}

func (s scene) run(t *testing.T, tool, dir string) outcome {
	t.Helper()
	if s.before != "" {
		shell(t, dir, s.before)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := append([]string{tool}, s.args...)
	if s.under != "" {
		args = append([]string{"/bin/sh", "-c", s.under, "sh"}, args...)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin"}, s.env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience // of a program that is left behind
	if s.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	}
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("only root can be somebody else: %v", err)
	}
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	o := outcome{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		o.Code = 128 + int(status.Signal())
	}
	if s.after != "" {
		o.Stdout = numbersOf.ReplaceAllString(o.Stdout, "N")
		o.Tree = strings.Split(numbersOf.ReplaceAllString(shell(t, dir, s.after), "N"), "\n")
	}
	o.Stderr = strings.ReplaceAll(o.Stderr, tool, "TOOL")
	return o
}
