package cli

import "time"

// now is the only place of this package that reads the clock; what can be pure gets the time handed in.
func now() time.Time { return time.Now() }
