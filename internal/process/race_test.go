//go:build race

package process

// rounds is how often something is repeated: less often where every process is ten times as slow.
func rounds(n int) int { return max(n/10, 1) }
