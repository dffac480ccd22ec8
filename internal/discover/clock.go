package discover

import "time"

// now is the time of a look. It is compared with other looks' only, never with what a file system says.
func now() time.Time { return time.Now() }
