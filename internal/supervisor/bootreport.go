package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/process"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// This file writes the boot report: a line for each instance that there is when the
// container has started, as programs read it that wait for that.

// maxBootReport is the size from which on a report is set aside, as FILE.1, before it is written to.
const maxBootReport = 256 << 10

// report writes a template's part, once.
func (s *Supervisor) report(f *search) {
	if f.reported || f.t.BootReport == "" {
		return
	}
	f.reported = true
	type line struct {
		name  unit.Name
		prior string
		up    bool
	}
	var lines []line
	for _, u := range s.instancesOf(f.t.Name) {
		lines = append(lines, line{u.spec.Name, u.prior, u.intent.Up})
	}
	file, user, priorExit, at := f.t.BootReport, f.t.Spec.User, s.o.PriorExit, now()
	go func() { // there may be a thousand lines, and how a unit ended may have to be read from the disk
		slices.SortFunc(lines, func(a, b line) int { return strings.Compare(string(a.name), string(b.name)) })
		var text strings.Builder
		for _, l := range lines {
			prior, action, exit := "None", "registered", "unknown"
			if l.prior != "" {
				prior = oneWord(l.prior)
			}
			if l.up {
				action = "started"
			}
			if priorExit != nil {
				exit = priorExit(l.name)
			}
			fmt.Fprintf(&text, "%s profile=%s prior_state=%s action=%s prior_exit=%s\n",
				at.Format("2006-01-02T15:04:05-0700"), l.name.Instance(), prior, action, exit)
		}
		if err := appendAs(s.o.Accounts, user, file, text.String()); err != nil {
			s.o.Log.Warn(err.Error())
		}
	}()
}

// oneWord is what somebody else's file said, as it can stand in a line.
func oneWord(s string) string {
	s = strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f || c == '=' {
			return '_'
		}
		return c
	}, s)
	if len(s) > 40 {
		s = s[:40]
	}
	return strings.ToValidUTF8(s, "_")
}

// appendAs appends to a file that a user can write, with that user's rights.
func appendAs(accounts account.Database, user, file, text string) error {
	id, err := Identity(accounts, user)
	if err == nil {
		var inner error
		if err = process.As(id, func() { inner = appendTo(file, text) }); err == nil {
			err = inner
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write the boot report %s: %w", file, err)
	}
	return nil
}

// appendTo works in the directory that the path led to, without a symlink of somebody else's.
func appendTo(file, text string) error {
	dir, err := openOrMake(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	at, name := int(dir.Fd()), filepath.Base(file)
	f, err := openReport(at, name)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Size() >= maxBootReport {
		if err := unix.Renameat(at, name, at, name+".1"); err == nil {
			_ = f.Close()
			if f, err = openReport(at, name); err != nil {
				return err
			}
		}
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// openOrMake makes the directory where only that is missing.
func openOrMake(path string) (*os.File, error) {
	dir, err := trust.OpenForeign(path, os.Geteuid())
	if !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	above, e := trust.OpenForeign(filepath.Dir(path), os.Geteuid())
	if e != nil {
		return nil, err
	}
	defer above.Close()
	if e := unix.Mkdirat(int(above.Fd()), filepath.Base(path), 0o755); e != nil {
		return nil, fmt.Errorf("cannot make %s: %w", path, e)
	}
	return trust.OpenForeign(path, os.Geteuid())
}

func openReport(at int, name string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("it is not a regular file") // for a device, even to be opened can mean something
	}
	fd, err := unix.Openat(at, name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		_ = f.Close()
		return nil, errors.New("it is not a regular file, or has another name too")
	}
	return f, nil
}
