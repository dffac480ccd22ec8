package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// What cannot be read is set aside: moved into the directory aside, beside a file
// that says why. The next one of the same name takes its place, and of all of them
// the newest mostAside are kept, so that they do not heap up.
const (
	asideDir  = "aside"
	mostAside = 32
	whySuffix = ".why"
)

// setAside moves dir/name away, for a reason that lies in the thing itself. It says
// what it did, as the end of a sentence.
func setAside(v volume, dir, name string, why error) string {
	if ofDisk(why) {
		return "it stays as it is, since it may be good"
	}
	makeRoomAside(v, name)
	to := asideDir + "/" + name
	err := v.Remove(to)
	if err == nil {
		err = v.Rename(dir+"/"+name, to)
	}
	if err != nil {
		return fmt.Sprintf("it cannot be set aside: %v", cause(err))
	}
	// The reason is for people who look at the volume later; the condition has it anyway.
	_ = v.Remove(to + whySuffix)
	if f, err := v.Create(to+whySuffix, 0o600); err == nil {
		_, _ = fmt.Fprintf(f, "%s/%s: %v\n", dir, name, why)
		_ = f.Close()
	}
	return "it was set aside as " + to
}

// makeRoomAside removes the oldest of what was set aside, where it is too much.
func makeRoomAside(v volume, next string) {
	names, err := v.List(asideDir)
	if err != nil {
		return
	}
	var things []string
	age := map[string]int64{}
	for _, name := range names {
		thing, isWhy := strings.CutSuffix(name, whySuffix)
		if !isWhy {
			things = append(things, name)
		} else if info, err := v.Stat(asideDir + "/" + name); err == nil {
			age[thing] = info.ModTime().UnixNano() // when it was set aside
		}
	}
	things = slices.DeleteFunc(things, func(name string) bool { return name == next })
	slices.SortStableFunc(things, func(a, b string) int { return cmp.Compare(age[a], age[b]) })
	for len(things) >= mostAside {
		_ = v.Remove(asideDir + "/" + things[0])
		_ = v.Remove(asideDir + "/" + things[0] + whySuffix)
		things = things[1:]
	}
}

// ofDisk tells whether an error says nothing about a file, but that the disk does not give it.
func ofDisk(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}
