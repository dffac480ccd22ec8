package store

import "time"

// This file is the only one of the package that reads the clock; under testing/synctest it is virtual.

func now() time.Time { return time.Now() }
