package account

import (
	"slices"
	"strconv"
)

// Declared is an account as somebody has declared it to be, whatever the files say.
// What it says holds for as long as the Database is used: where the files can't be
// changed (a read-only root) it is all there is of the declaration.
type Declared struct {
	User
	// OwnGroup has the group of the user's name be the one with its GID.
	OwnGroup bool
	// Joins are groups that the user is a member of, beside those that group(5) says.
	Joins []int
}

// declared finds a declared user by name or by uid.
func (d Database) declared(name string) (Declared, bool) {
	i := slices.IndexFunc(d.Declared, func(u Declared) bool { return u.Name == name || strconv.Itoa(u.UID) == name })
	if i < 0 {
		return Declared{}, false
	}
	return d.Declared[i], true
}

// named tells whether a user of that name is declared: then its line in the file does not count.
func (d Database) named(name string) bool {
	return slices.ContainsFunc(d.Declared, func(u Declared) bool { return u.Name == name })
}

// ownGroup is the id of a group that is some declared user's own.
func (d Database) ownGroup(name string) (int, bool) {
	u, ok := d.declared(name)
	if !ok || u.Name != name || !u.OwnGroup {
		return 0, false
	}
	return u.GID, true
}
