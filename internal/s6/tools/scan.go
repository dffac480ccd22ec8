package tools

import (
	"math"
)

// leadingNumber reads the digits that s begins with, as many as stay under limit; n is how many there were.
func leadingNumber(s string, limit uint64) (value uint64, n int) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		digit := uint64(s[n] - '0')
		if value > (limit-digit)/10 {
			break
		}
		value = value*10 + digit
		n++
	}
	return value, n
}

// number is s where it is digits and nothing else.
func number(s string, limit uint64) (uint64, bool) {
	value, n := leadingNumber(s, limit)
	return value, n > 0 && n == len(s)
}

// uint32Of is a number of 32 bits, as nearly all of s6's are.
func uint32Of(s string) (uint32, bool) {
	value, ok := number(s, math.MaxUint32)
	return uint32(value), ok
}

// numbers reads a list, separated by any of ",:; \t\r\n", up to what is no number; n is how many bytes that was.
func numbers(s string, most int) (list []uint32, n int) {
	for n < len(s) && len(list) < most {
		value, digits := leadingNumber(s[n:], math.MaxUint32)
		if digits == 0 {
			break
		}
		list = append(list, uint32(value))
		n += digits
		for n < len(s) && oneOf(s[n], ",:; \t\r\n") {
			n++
		}
	}
	return list, n
}
