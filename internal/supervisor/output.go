package supervisor

import (
	"os"
	"reflect"

	"pintle/internal/logs"
	"pintle/internal/unit"
)

// keepOutput has the lines of a unit from now on be kept and shown as its
// declaration says, if that is another than the old one; nil is one that says nothing.
func (s *Supervisor) keepOutput(u *record, old *unit.Spec) {
	spec := u.spec
	if old == nil {
		old = &unit.Spec{}
	}
	if reflect.DeepEqual(old.Log, spec.Log) && (old.User == spec.User || spec.Log == nil || spec.Log.Directory == "") {
		return
	}
	s.o.Logs.Journal(spec.Name).Configure(s.output(spec))
}

// output is what becomes of a unit's lines. Its files are written with the rights of
// the unit's user, in whose directory they may be.
func (s *Supervisor) output(spec *unit.Spec) logs.Output {
	l := spec.Log
	if l == nil {
		return logs.Output{}
	}
	o := logs.Output{RingBytes: int(l.Memory), Console: l.Console, Wait: l.ConsoleWait, Drop: l.Drop}
	if l.Directory != "" {
		o.File = &logs.File{
			Directory: l.Directory, Size: l.Size, Age: l.Age, Keep: l.Keep, Total: l.Total, Compress: l.Compress, Mode: l.Mode,
			UID: os.Geteuid(), As: asUser(s.o.Accounts, spec.User),
		}
	}
	return o
}
