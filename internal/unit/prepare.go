package unit

// Prepare is what must be so before anything starts.
type Prepare struct {
	// Users are sorted by name.
	Users []PreparedUser
	// Directories are made in their order, which is the file's.
	Directories []PreparedDirectory
	Files       []PreparedFile
}

// PreparedUser is a user with the ids that this container is to give it.
type PreparedUser struct {
	Name string
	// UID and GID are 0 where the user keeps those that it has; neither can be declared to be 0.
	UID, GID int
	// Home is empty where the user keeps the one that it has.
	Home string
	// JoinGroupsOf are paths, with globs, of sockets and device nodes whose groups the user's processes get.
	JoinGroupsOf []string
	OnError      OnError
}

// PreparedDirectory is a directory that is to be there.
type PreparedDirectory struct {
	Path string
	// Owner has the form of Spec.User; empty for whoever it belongs to.
	Owner string
	// Mode is nil for 0755 where the directory is made, and for what it has where it is there.
	Mode *uint32
	// Repair has everything below belong to the owner too.
	Repair  bool
	OnError OnError
}

// PreparedFile is a file that is written once, where there is none.
type PreparedFile struct {
	Path string
	// Copy is the file that its content is copied from; else FromEnvironment is the variable that holds it.
	Copy, FromEnvironment string
	Owner                 string
	// Mode is that of a new file.
	Mode    uint32
	OnError OnError
}

// OnError is what it means that something can't be prepared.
type OnError string

const (
	// ErrorByCause is the default: what the configuration and the image have wrong ends the container; what the
	// volume, its users or the container's rights do not allow is a warning, so that one configuration serves
	// docker run with and without --user and --read-only, and nobody who may write the volume can keep the container down.
	ErrorByCause OnError = ""
	// ErrorFail ends the container.
	ErrorFail OnError = "fail"
	// ErrorWarn lets it start.
	ErrorWarn OnError = "warn"
)

// DefaultFileMode is that of a file that is written once.
const DefaultFileMode uint32 = 0o644
