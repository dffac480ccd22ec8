package boot

import "time"

// now is the only clock of this package.
func now() time.Time { return time.Now() }
