package trust

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// OpenForeign opens a directory that may be anybody's, to look into it. Symlinks
// are followed where only root and uid self could have made them; from the first
// directory on that others may change, there must be none, and no "..". What lies
// in the directory is nobody's word but its owner's. A missing one is
// fs.ErrNotExist, also where it is a directory above that is missing.
func OpenForeign(path string, self int) (*os.File, error) {
	at, err := walker{path: path, self: self, own: true}.walk()
	if err != nil {
		return nil, err
	}
	defer at.close()
	if !at.is(unix.S_IFDIR) {
		return nil, fmt.Errorf("cannot open %s: it is not a directory", path)
	}
	f, err := at.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	return f, nil
}

// ReadForeign reads a regular file that may be anybody's, of at most limit bytes. Its
// path is as OpenForeign's. What is no regular file is not opened at all.
func ReadForeign(path string, self, limit int) ([]byte, error) {
	at, err := walker{path: path, self: self, own: true, file: true}.walk()
	if err != nil {
		return nil, err
	}
	defer at.close()
	if !at.is(unix.S_IFREG) {
		return nil, fmt.Errorf("cannot read %s: it is not a regular file", path)
	}
	f, err := at.open(unix.O_RDONLY | unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("cannot read %s: it is larger than %d bytes", path, limit)
	}
	return data, nil
}
