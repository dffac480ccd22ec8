//go:build race

package supervisor

// raceEnabled tells whether the race detector makes everything slower.
const raceEnabled = true
