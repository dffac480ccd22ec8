package logs

import (
	"bytes"
	"slices"
)

// Mask has secret values not be in any line from now on: "***" stands for each.
func (b *Book) Mask(values ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	if old := b.masked.Load(); old != nil {
		all = slices.Clone(*old)
	}
	for _, v := range values {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	b.masked.Store(&all)
	return nil
}

// mask is the text of a line without the values.
func (b *Book) mask(text []byte) []byte {
	if all := b.masked.Load(); all != nil {
		for _, v := range *all {
			text = bytes.ReplaceAll(text, []byte(v), []byte("***"))
		}
	}
	return text
}
