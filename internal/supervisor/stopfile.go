package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pintle/internal/unit"
)

// A run that is being stopped finds in a file of its own why, by whom and until
// when: PINTLE_STOP_FILE names it, and it exists from just before the first stop
// signal until the run is over. So a program can tell a restart from an end, and
// knows how much time there is to finish its work.

// stopNote is what the file says, as JSON.
type stopNote struct {
	Unit unit.Name `json:"unit"`
	Run  uint64    `json:"run"`
	// Reason is a constant of package unit; Then is "start" where another run follows, else "end".
	Reason unit.Reason `json:"reason"`
	Then   string      `json:"then"`
	// Actor is who asked for it.
	Actor string `json:"actor"`
	// Deadline is when SIGKILL follows.
	Deadline time.Time `json:"deadline"`
}

// stopFile is the file's path, or "" where there is no place for it.
func (s *Supervisor) stopFile(name unit.Name, run uint64) string {
	if s.o.RunDirectory == "" {
		return ""
	}
	return filepath.Join(s.o.RunDirectory, fmt.Sprintf("%s.%d.stop", name, run))
}

// noteStop writes the file. It is an errand, so that the signal, which is one too, comes after it.
func (s *Supervisor) noteStop(u *record) {
	path := s.stopFile(u.spec.Name, u.life.Run)
	if path == "" || u.life.Ended {
		return
	}
	note := stopNote{Unit: u.spec.Name, Run: u.life.Run, Reason: u.life.Reason, Then: "end", Actor: s.stopper(u), Deadline: u.next.UTC()}
	if u.life.Follows(u.spec, now()) {
		note.Then = "start"
	}
	u.note = path
	s.errands.put(func(s *Supervisor) {
		text, err := json.Marshal(note)
		if err == nil {
			err = os.WriteFile(path+"~", append(text, '\n'), 0o644)
		}
		if err == nil {
			err = os.Chmod(path+"~", 0o644) // whatever the umask: the run's user is to read it
		}
		if err == nil {
			err = os.Rename(path+"~", path)
		}
		if err != nil {
			s.o.Log.Warn("cannot tell " + string(note.Unit) + " why it is stopped: " + err.Error())
		}
	})
}

// stopper is who asked for a stop.
func (s *Supervisor) stopper(u *record) string {
	switch u.life.Reason {
	case unit.Asked, unit.Changed, unit.Dropped, unit.Vanished:
		return u.by.String()
	case unit.DependencyRestarted:
		return "dependency"
	case unit.ContainerStopping:
		return unit.Boot.String()
	}
	return unit.Policy.String()
}

// forgetStop removes it.
func (s *Supervisor) forgetStop(u *record) {
	if u.note == "" {
		return
	}
	path := u.note
	u.note = ""
	s.errands.put(func(*Supervisor) {
		_ = os.Remove(path) // one that could not be written is not there
	})
}
