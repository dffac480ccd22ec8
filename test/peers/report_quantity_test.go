package peers

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// families are the units that have larger and smaller ones, each with what one of it is in the family's first.
var families = [][]struct {
	unit string
	is   float64
}{
	{{"ns", 1e-9}, {"µs", 1e-6}, {"ms", 1e-3}, {"s", 1}},
	{{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}},
}

// quantity is a value with its unit, as a person would write it: three digits, in the largest unit of its family in which it is
// at least 1.
func quantity(value float64, unit string) string {
	value, unit = scaled(value, unit)
	if unit == "" {
		return number(value)
	}
	return number(value) + " " + unit
}

// scaled is the same quantity in the unit that it is best read in.
func scaled(value float64, unit string) (float64, string) {
	for _, family := range families {
		for _, own := range family {
			if own.unit != unit || value == 0 {
				continue
			}
			best := family[0]
			for _, u := range family {
				// 999.6 would be written as 1,000 of a unit that has a larger one.
				if math.Abs(value)*own.is/u.is >= 0.9995 {
					best = u
				}
			}
			return value * own.is / best.is, best.unit
		}
	}
	return value, unit
}

// number is a number in three digits, or in more where they are before the point, in groups of three.
func number(value float64) string {
	decimals := 2
	switch size := math.Abs(value); {
	case value == math.Trunc(value), size >= 99.95:
		decimals = 0
	case size >= 9.995:
		decimals = 1
	case size < 0.995:
		decimals = min(9, 2-int(math.Floor(math.Log10(size)+0.0005)))
	}
	text := strconv.FormatFloat(math.Abs(value), 'f', decimals, 64)
	whole, rest, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if value < 0 {
		return "−" + whole
	}
	return whole
}

// mark is a quantity on an axis, which is a round one.
func mark(value float64, unit string) string {
	value, unit = scaled(value, unit)
	rounded := strconv.FormatFloat(value, 'g', 6, 64)
	if f, err := strconv.ParseFloat(rounded, 64); err == nil {
		value = f
	}
	text := number(value)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(text, "0")
	}
	return strings.TrimSpace(text + " " + unit)
}

// bounded finds a number and what comes behind it, as "1.3 ×" or "10 ms".
var bounded = regexp.MustCompile(`([0-9][0-9,]*(?:\.[0-9]+)?)[  ]?(×|%|[a-zµA-Z]+)?`)

// terms is the unit in which a goal is: what stands behind its bound in its own words; empty where that says none.
func (g goal) terms() string {
	for _, m := range bounded.FindAllStringSubmatch(g.what, -1) {
		n, err := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", ""), 64)
		if err != nil || n != max(g.atMost, g.atLeast) {
			continue
		}
		if m[2] == "×" || m[2] == "%" {
			return m[2]
		}
		for _, family := range families {
			for _, u := range family {
				if u.unit == m[2] {
					return u.unit
				}
			}
		}
		return ""
	}
	return ""
}
