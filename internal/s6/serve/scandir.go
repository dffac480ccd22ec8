package serve

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
)

// enterScan goes to the scan directory, and finds out who may put services there.
func (t *Tree) enterScan() (*os.File, owner, error) {
	dir, err := trust.Reach(t.o.Directory, t.o.Self, nil)
	if err != nil {
		return nil, owner{}, fmt.Errorf("cannot scan %s: %w", t.o.Directory, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(int(dir.Fd()), &st)
	if err == nil && st.Mode&writable != 0 {
		err = fmt.Errorf("others than its owner may write it")
	}
	uid := int(st.Uid)
	if _, own := trust.Stat(t.o.Directory, t.o.Self); err == nil && uid == t.o.Self && own != nil {
		err = own // somebody may have put another one's directory there
	}
	var who owner
	if err == nil {
		who, err = t.identify(uid)
	}
	if err != nil {
		_ = dir.Close() // nothing was written
		return nil, owner{}, fmt.Errorf("cannot scan %s: %w", t.o.Directory, err)
	}
	return dir, who, nil
}
