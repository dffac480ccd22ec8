package unit

import "time"

// Usage is what a run's leader has used, with all that it has waited for, as the kernel counts it (getrusage(2)).
type Usage struct {
	// User and System are the time that it computed, and that the kernel did for it.
	User   time.Duration `json:"user_ns"`
	System time.Duration `json:"system_ns"`
	// MaxRSS is the most memory that one of the processes had at a time, in bytes. A process begins with pintle's own
	// memory, so what is smaller than that is not seen.
	MaxRSS int64 `json:"max_rss_bytes"`
	// Peak is the most memory that all processes of the run had together, in bytes; 0 where its cgroup does not count it.
	Peak int64 `json:"memory_peak_bytes,omitempty"`
	// OutOfMemory is set where the kernel killed a process of the run because no memory was left.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
}
