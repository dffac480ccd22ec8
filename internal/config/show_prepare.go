package config

import (
	"fmt"
	"strings"

	"pintle/internal/unit"
)

// prepare writes what must be so before anything starts; nothing where there is nothing.
func (p *printer) prepare(s *unit.Prepare) {
	if len(s.Users)+len(s.Directories)+len(s.Files) == 0 {
		return
	}
	p.line(0, "prepare:")
	if len(s.Users) > 0 {
		p.line(1, "users:")
	}
	for i := range s.Users {
		u := &s.Users[i]
		var item flow
		if u.UID > 0 {
			item.add("uid", "%d", u.UID)
		}
		if u.GID > 0 {
			item.add("gid", "%d", u.GID)
		}
		item.text("home", u.Home)
		if len(u.JoinGroupsOf) > 0 {
			item.add("join_groups_of", "%s", flowList(u.JoinGroupsOf))
		}
		item.text("on_error", string(u.OnError))
		p.line(2, "%s: %s", quoteKey(u.Name), item)
	}
	if len(s.Directories) > 0 {
		p.line(1, "directories:")
	}
	for i := range s.Directories {
		d := &s.Directories[i]
		var item flow
		item.text("path", d.Path)
		item.text("owner", d.Owner)
		if d.Mode != nil {
			item.add("mode", "%04o", *d.Mode)
		}
		repair := repairNone
		if d.Repair {
			repair = repairTree
		}
		item.text("repair", repair)
		item.text("on_error", string(d.OnError))
		p.line(2, "- %s", item)
	}
	if len(s.Files) > 0 {
		p.line(1, "files:")
	}
	for i := range s.Files {
		f := &s.Files[i]
		var item flow
		item.text("path", f.Path)
		item.text("copy", f.Copy)
		item.text("from_environment", f.FromEnvironment)
		item.text("owner", f.Owner)
		item.add("mode", "%04o", f.Mode)
		item.text("on_error", string(f.OnError))
		p.line(2, "- %s", item)
	}
}

// flow is a mapping on one line.
type flow []string

func (f *flow) add(key, format string, args ...any) {
	*f = append(*f, key+": "+fmt.Sprintf(format, args...))
}

// text adds a text, unless it is empty.
func (f *flow) text(key, s string) {
	if s != "" {
		f.add(key, "%s", plain(s))
	}
}

func (f flow) String() string { return "{" + strings.Join(f, ", ") + "}" }
