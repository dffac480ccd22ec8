package config

import (
	"fmt"
	"strconv"
)

// span is a range of whole numbers that a whole may be in.
type span interface{ span() (low, high int) }

type (
	counts       struct{}
	atLeastOne   struct{}
	niceRange    struct{}
	oomScoreAdjs struct{}
	descriptors  struct{}
	archives     struct{}
)

const maxCount = 1_000_000

func (counts) span() (low, high int)       { return 0, maxCount }
func (atLeastOne) span() (low, high int)   { return 1, maxCount }
func (niceRange) span() (low, high int)    { return -20, 19 }
func (oomScoreAdjs) span() (low, high int) { return -1000, 1000 }

// Under 3 are the standard streams; package process takes no higher number than 255.
func (descriptors) span() (low, high int) { return 3, 255 }

// As many names are held when a file is set aside.
func (archives) span() (low, high int) { return 1, 1000 }

// whole is a whole number in a range.
type whole[S span] struct {
	scalar
	n int
}

func (v *whole[S]) check() error {
	var s S
	low, high := s.span()
	n, err := strconv.Atoi(v.text)
	if err != nil || n < low || n > high {
		return fmt.Errorf("%s is no whole number from %d to %d", v.shown(), low, high)
	}
	v.n = n
	return nil
}

// or is the number, or another one where the file has none.
func (v *whole[S]) or(n int) int {
	if v.given() {
		return v.n
	}
	return n
}

// count is a number of things.
type count = whole[counts]

// bound is a whole number in a range, or "unlimited", which is -1.
type bound[S span] struct {
	scalar
	n int
}

const unlimited = "unlimited"

func (v *bound[S]) check() error {
	if v.text == unlimited {
		v.n = -1
		return nil
	}
	number := whole[S]{scalar: v.scalar}
	if number.check() != nil {
		var s S
		low, high := s.span()
		return fmt.Errorf("%s is neither a whole number from %d to %d nor %s", v.shown(), low, high, unlimited)
	}
	v.n = number.n
	return nil
}

// interval is a range of numbers that a real may be in.
type interval interface{ interval() (low, high float64) }

type (
	factorRange   struct{}
	fractionRange struct{}
	shareRange    struct{}
)

func (factorRange) interval() (low, high float64)   { return 1, 1000 }
func (fractionRange) interval() (low, high float64) { return 0, 1 }
func (shareRange) interval() (low, high float64)    { return 0.01, 1 }

// real is a number in a range.
type real[I interval] struct {
	scalar
	f float64
}

func (v *real[I]) check() error {
	var i I
	low, high := i.interval()
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || !(f >= low && f <= high) { // also what is not a number
		return fmt.Errorf("%s is no number from %v to %v", v.shown(), low, high)
	}
	v.f = f
	return nil
}

// or is the number, or another one where the file has none.
func (v *real[I]) or(f float64) float64 {
	if v.given() {
		return v.f
	}
	return f
}
