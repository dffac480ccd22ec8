package unit

import (
	"io/fs"
	"time"
)

// Log says where the output of a unit is kept and shown.
type Log struct {
	// Directory is where its files are, absolute; empty: it has none. Mode is a file's.
	Directory string
	Mode      fs.FileMode
	// Size is what a file must not grow over, in bytes; Age is after how long it is set aside all the same, zero: never.
	Size int64
	Age  time.Duration
	// Keep is how many files that were set aside remain, and Total how many bytes of them, zero: as many as there are.
	Keep  int
	Total int64
	// Compress has files that were set aside be compressed.
	Compress bool
	// Memory is how many bytes of its newest lines are kept in memory.
	Memory int64
	// Console is how the container's console shows it.
	Console ConsoleFormat
	// ConsoleWait has the unit wait for a console that is slower than it writes; else lines are left out there, and counted.
	ConsoleWait bool
	// Drop has it never wait for its files: lines are left out there, and counted.
	Drop bool
}

// ConsoleFormat is how lines are shown on the container's console.
type ConsoleFormat string

// The formats.
const (
	ConsoleRaw      ConsoleFormat = "raw"      // the bare text
	ConsolePrefixed ConsoleFormat = "prefixed" // NAME | text
	ConsoleJSON     ConsoleFormat = "json"     // an object a line
	ConsoleNone     ConsoleFormat = "none"     // not at all
)

// Defaults for what a configuration does not say of a unit's output.
const (
	DefaultLogSize   = 1_000_000
	DefaultLogKeep   = 10
	DefaultLogMode   = 0o640
	DefaultLogMemory = 64 << 10
)
