package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
)

// slow is a disk that answers nothing until it is let.
type slow struct{ answers chan struct{} }

func (d slow) mount(directory string, uid int, dirs ...string) (volume, error) {
	<-d.answers
	return openTree(directory, uid, dirs...)
}

// A disk that does not answer keeps no container from starting: Open returns, the
// wishes that come are held in memory, and whoever waits is told so. When it answers
// after all, what was on it is handed over late, but for what has been asked since,
// and everything is durable.
func TestDiskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		s, _ := Open(Options{Directory: dir, UID: os.Geteuid()})
		must(t, put(s, record("a", true, 1)))
		must(t, put(s, record("b", true, 1)))
		must(t, s.Close(t.Context()))

		disk := slow{make(chan struct{})}
		begin := time.Now()
		late := make(chan []Record, 1)
		s, records := Open(Options{
			Directory: dir, UID: os.Geteuid(), mount: disk.mount, Late: func(r []Record) { late <- r },
		})
		if waited := time.Since(begin); waited != DefaultPatience {
			t.Errorf("Open took %v", waited)
		}
		wantRecords(t, records)
		condition := []engine.Condition{{Code: engine.StateInMemory, Text: "desired states are kept in memory only: cannot use " + dir + ": it has not answered for 5.0 s"}}
		if diff := cmp.Diff(condition, s.Conditions()); diff != "" {
			t.Errorf("conditions (-want +got):\n%s", diff)
		}
		begin = time.Now()
		if err := put(s, record("a", false, 2)); err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("outcome %v", err)
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("a wish took %v", waited)
		}
		close(disk.answers)
		wantRecords(t, <-late, record("b", true, 1))
		synctest.Wait()
		if got := s.Conditions(); got != nil {
			t.Errorf("conditions %q", got)
		}
		must(t, s.Close(t.Context()))
		wantRecords(t, reopen(t, dir), record("a", false, 2), record("b", true, 1))
	})
}

// stalled is a volume whose renames wait while it is stalled.
type stalled struct {
	volume
	goOn chan struct{}
}

func (v stalled) Rename(from, to string) error {
	<-v.goOn
	return v.volume.Rename(from, to)
}

// openStalled opens a store whose disk takes the note that this life has begun, and then nothing until goOn is closed.
func openStalled(dir string) (s *Store, goOn chan struct{}) {
	goOn = make(chan struct{}, 1)
	goOn <- struct{}{}
	s, _ = Open(Options{Directory: dir, UID: os.Geteuid(), mount: func(directory string, uid int, dirs ...string) (volume, error) {
		v, err := openTree(directory, uid, dirs...)
		return stalled{v, goOn}, err
	}})
	return s, goOn
}

// A disk that hangs later keeps nobody waiting for an answer, and what was asked is on it when it is back.
func TestDiskThatHangsLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		s, goOn := openStalled(dir)
		begin := time.Now()
		first, second := make(chan error, 1), make(chan error, 1)
		s.Put(record("a", true, 1), func(err error) { first <- err })
		synctest.Wait()
		s.Put(record("b", true, 1), func(err error) { second <- err })
		for _, outcome := range []chan error{first, second} {
			if err := <-outcome; err == nil || !strings.Contains(err.Error(), "it has not answered for 5.0 s") {
				t.Errorf("outcome %v", err)
			}
		}
		if waited := time.Since(begin); waited != DefaultPatience {
			t.Errorf("they were told after %v", waited)
		}
		close(goOn)
		synctest.Wait()
		if got := s.Conditions(); got != nil {
			t.Errorf("conditions %q", got)
		}
		must(t, s.Close(t.Context()))
		wantRecords(t, reopen(t, dir), record("a", true, 1), record("b", true, 1))
	})
}
