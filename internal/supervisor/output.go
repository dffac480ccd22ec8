package supervisor

import (
	"os"
	"reflect"

	"pintle/internal/logs"
	"pintle/internal/unit"
)

// keepOutput has the lines of a unit from now on be kept in the files that its
// declaration names, if it is another one there than the old one; nil is one without.
// They are written with the rights of the unit's user, in whose directory they may be.
func (s *Supervisor) keepOutput(u *record, old *unit.Spec) {
	spec := u.spec
	if old == nil {
		old = &unit.Spec{}
	}
	switch {
	case reflect.DeepEqual(old.Log, spec.Log) && (spec.Log == nil || old.User == spec.User):
	case spec.Log == nil:
		s.o.Logs.Journal(spec.Name).Configure(logs.Output{})
	default:
		s.o.Logs.Journal(spec.Name).Configure(logs.Output{File: &logs.File{
			Directory: spec.Log.Directory, Size: spec.Log.Size, Keep: spec.Log.Keep,
			UID: os.Geteuid(), As: asUser(s.o.Accounts, spec.User),
		}})
	}
}
