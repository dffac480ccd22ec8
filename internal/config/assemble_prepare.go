package config

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"pintle/internal/unit"
)

// prepare makes what must be so before anything starts.
func (a *assembler) prepare(p *prepareSection) unit.Prepare {
	var out unit.Prepare
	if p == nil {
		return out
	}
	for _, k := range keysOf(a.report, p.Users) {
		at := place{"prepare.users", k.at}.key(k.text, k.at)
		if strings.Trim(k.text, "0123456789") == "" || !account(k.text) {
			a.failf(k.at, "cannot use %s: it is no user's name", at.path)
			continue
		}
		if k.text == "root" {
			a.failf(k.at, "cannot use %s: root keeps its ids", at.path)
			continue
		}
		out.Users = append(out.Users, a.preparedUser(at, k.text, p.Users[k]))
	}
	slices.SortFunc(out.Users, func(x, y unit.PreparedUser) int { return cmp.Compare(x.Name, y.Name) })

	directories := map[string]Position{}
	for i := range p.Directories {
		d := &p.Directories[i]
		at := place{path: "prepare.directories"}.entry(i, d.Path.at)
		if d.Repair.text == repairTree && d.Owner.text == "" && !d.Owner.wrong {
			a.failf(d.Repair.at, "cannot use %s.repair: it has no owner, whom all of it would belong to", at.path)
		}
		for _, dir := range d.Path.list {
			if first, again := directories[dir]; again {
				a.again(at.path, first, d.Path.at)
				break
			}
			directories[dir] = d.Path.at
			out.Directories = append(out.Directories, unit.PreparedDirectory{
				Path: dir, Owner: d.Owner.text, Mode: d.Mode.pointer(), Repair: d.Repair.text == repairTree, OnError: unit.OnError(d.OnError.text),
			})
		}
	}
	for i := range p.Files {
		f := &p.Files[i]
		at := place{path: "prepare.files"}.entry(i, f.Path.at)
		if f.Mode.bits > 0o777 {
			a.failf(f.Mode.at, "cannot use %s.mode: %s has more than permissions", at.path, f.Mode.shown())
		}
		file := unit.PreparedFile{
			Path: path.Clean(f.Path.text), Copy: f.Copy.text, FromEnvironment: f.FromEnvironment.text,
			Owner: f.Owner.text, Mode: unit.DefaultFileMode, OnError: unit.OnError(f.OnError.text),
		}
		if f.Mode.given() {
			file.Mode = f.Mode.bits
		}
		if f.Path.given() && (file.Path == "/" || f.Path.text[len(f.Path.text)-1] == '/') {
			a.failf(f.Path.at, "cannot use %s.path: it is a directory's", at.path)
		}
		out.Files = append(out.Files, file)
	}
	return out
}

func (a *assembler) preparedUser(at place, name string, s userSection) unit.PreparedUser {
	u := unit.PreparedUser{Name: name, UID: s.UID.n, GID: s.GID.n, Home: s.Home.text, OnError: unit.OnError(s.OnError.text)}
	if s.Home.given() && !lineSafe(s.Home.text) {
		a.failf(s.Home.at, "cannot use %s.home: passwd(5) can't have it", at.path)
	}
	for i := range s.JoinGroupsOf {
		p := &s.JoinGroupsOf[i]
		if _, err := path.Match(p.text, ""); err != nil {
			a.failf(p.at, "cannot use %s.join_groups_of[%d]: %s is no pattern", at.path, i, p.shown())
		}
		u.JoinGroupsOf = append(u.JoinGroupsOf, p.text)
	}
	return u
}
