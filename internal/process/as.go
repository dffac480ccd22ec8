package process

// As does something with the rights to files that an identity has, and no others,
// as ReadFileAs reads with them; for pintle's own user it is just done. The error is
// why it was not done at all.
//
// It is done on a thread of its own, which is thrown away afterwards. What do starts
// on another goroutine has pintle's rights, and a path of /proc means pintle's own there.
func As(id *Identity, do func()) error {
	if id.isPintles() {
		do()
		return nil
	}
	if err := CanSwitch(); err != nil {
		return err
	}
	var err error
	onOwnThread(func() {
		if err = id.seeFiles(); err == nil {
			do()
		}
	})
	return err
}
