package serve

import (
	"errors"
	"fmt"

	"pintle/internal/s6/wire"
	"pintle/internal/trust"
)

// enterScan goes to the scan directory, and finds out who may put services there.
func (t *Tree) enterScan() (*wire.Dir, owner, error) {
	f, err := trust.Reach(t.o.Directory, t.o.Self, nil)
	if err != nil {
		return nil, owner{}, fmt.Errorf("cannot scan %s: %w", t.o.Directory, err)
	}
	dir := wire.In(f)
	if _, own := trust.Stat(t.o.Directory, t.o.Self); own != nil {
		st, err := dir.Stat(".")
		if err == nil && int(st.Uid) == t.o.Self {
			err = own // somebody may have put another one's directory there
		}
		if err != nil {
			return nil, owner{}, errors.Join(fmt.Errorf("cannot scan %s: %w", t.o.Directory, err), dir.Close())
		}
	}
	who, err := t.ownerOfScan(dir)
	if err != nil {
		return nil, owner{}, errors.Join(err, dir.Close())
	}
	return dir, who, nil
}

// ownerOfScan is who may put services into a scan directory.
func (t *Tree) ownerOfScan(dir *wire.Dir) (owner, error) {
	st, err := dir.Stat(".")
	if err == nil && st.Mode&writable != 0 {
		err = errors.New("others than its owner may write it")
	}
	var who owner
	if err == nil {
		who, err = t.identify(int(st.Uid))
	}
	if err != nil {
		return owner{}, fmt.Errorf("cannot scan %s: %w", t.o.Directory, err)
	}
	return who, nil
}
