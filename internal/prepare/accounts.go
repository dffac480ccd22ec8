package prepare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/trust"
)

// This file changes passwd(5) and group(5) without usermod(8), which is in few images and
// walks through the user's home. A file is replaced as a whole, so that a crash leaves the old one or
// the new one, and every line but the user's stays byte for byte. There is no lock
// (lckpwdf(3)): nothing else runs yet.

// editPasswd gives the user its ids and home, and adds it where it is missing.
func editPasswd(files account.Database, u account.Declared) error {
	uid, gid := strconv.Itoa(u.UID), strconv.Itoa(u.GID)
	return edit(or(files.Passwd, "/etc/passwd"), u.Name, 7, func(field []string) {
		field[2], field[3], field[5] = uid, gid, u.Home
	}, strings.Join([]string{u.Name, "*", uid, gid, "", u.Home, "/bin/sh"}, ":"))
}

// editGroup gives the group of the user's name its id, where that is the user's own group.
func editGroup(files account.Database, u account.Declared) error {
	if !u.OwnGroup {
		return nil
	}
	gid := strconv.Itoa(u.GID)
	return edit(or(files.Group, "/etc/group"), u.Name, 4, func(field []string) { field[2] = gid }, u.Name+":*:"+gid+":")
}

func or(path, otherwise string) string {
	if path == "" {
		return otherwise
	}
	return path
}

// edit changes the fields of the first line that has n of them and begins with name,
// or else adds a line.
func edit(path, name string, n int, change func(field []string), add string) error {
	text, err := trust.ReadFile(path, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := string(text)
	var edited strings.Builder
	found := false
	for line := range strings.Lines(old) {
		body := strings.TrimSuffix(line, "\n")
		if field := strings.Split(body, ":"); !found && len(field) >= n && field[0] == name {
			found = true
			change(field)
			line = strings.Join(field, ":") + line[len(body):]
		}
		edited.WriteString(line)
	}
	if !found {
		if old != "" && !strings.HasSuffix(old, "\n") {
			edited.WriteByte('\n')
		}
		edited.WriteString(add + "\n")
	}
	if edited.String() == old {
		return nil
	}
	if err := replace(path, edited.String()); err != nil {
		return fmt.Errorf("cannot change %s: %w", path, err)
	}
	return nil
}

// replace puts a file with another content in the place of one, with the same owner and mode.
func replace(path, text string) error {
	st := unix.Stat_t{Mode: unix.S_IFREG | 0o644}
	if err := unix.Lstat(path, &st); err != nil && err != unix.ENOENT {
		return err
	}
	if !is(&st, unix.S_IFREG) {
		return errors.New("it is a symlink, and would be lost")
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".pintle-new")
	if err := unix.Unlink(temporary); err != nil && err != unix.ENOENT { // of a crash
		return err
	}
	fd, err := unix.Open(temporary, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if _, err = f.WriteString(text); err == nil {
		err = unix.Fchown(fd, int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = unix.Fchmod(fd, st.Mode&0o7777)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = unix.Rename(temporary, path)
	}
	if err != nil {
		_ = unix.Unlink(temporary)
		return err
	}
	// Without this a crash of the machine may bring the old one back, which is no harm.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}
