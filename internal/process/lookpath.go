package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// LookPath finds the file to execute for a command's first word: the word itself
// when it has a slash (relative to dir), else the first executable regular file
// of that name in path, the value of PATH. Whether a file is executable is asked
// on behalf of id. Entries of path that are not absolute are passed over.
//
// The error is an *ExecError: 127 where there is nothing of that name, 126 where there is but it can't be executed.
func LookPath(word, path, dir string, id *Identity) (string, error) {
	if strings.Contains(word, "/") {
		file := word
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if err := executable(file, id); err != nil {
			return "", err
		}
		return file, nil
	}
	if word == "" {
		return "", execError(127, "cannot execute \"\": the command is empty")
	}
	var denied *ExecError
	for entry := range strings.SplitSeq(path, ":") {
		if !filepath.IsAbs(entry) {
			continue
		}
		file := filepath.Join(entry, word)
		err := executable(file, id)
		if err == nil {
			return file, nil
		}
		if err.Code == 126 && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", execError(127, "cannot execute %s: there is no such program in PATH (%s)", word, path)
}

// PathOf is the value of PATH in an environment.
func PathOf(environ []string) string {
	for _, entry := range environ {
		if path, ok := strings.CutPrefix(entry, "PATH="); ok {
			return path
		}
	}
	return ""
}

// executable says why file is no regular file that id may execute; nil where it is one.
func executable(file string, id *Identity) *ExecError {
	info, err := os.Stat(file)
	switch {
	case err != nil && os.IsPermission(err):
		return execError(126, "cannot execute %s: permission denied", file)
	case err != nil:
		return execError(127, "cannot execute %s: there is no such file", file)
	case info.IsDir():
		return execError(126, "cannot execute %s: it is a directory", file)
	case !info.Mode().IsRegular():
		return execError(126, "cannot execute %s: it is not a regular file", file)
	case !mayExecute(info, id):
		return execError(126, "cannot execute %s: its mode %04o does not let %s execute it", file, info.Mode().Perm(), id.Name)
	}
	return nil
}

// mayExecute applies the file's mode to id, as path_resolution(7) describes; root needs any x bit.
func mayExecute(info os.FileInfo, id *Identity) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := info.Mode().Perm()
	switch {
	case id.UID == 0:
		return mode&0o111 != 0
	case int(st.Uid) == id.UID:
		return mode&0o100 != 0
	case int(st.Gid) == id.GID || slices.Contains(id.Groups, int(st.Gid)):
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
