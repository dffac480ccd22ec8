package tools

// A few of package strings' functions. That package itself is initialised after reflect, and with reflect much of what a
// tool's start is to do without: see cmd/pintle/early.

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

func cutPrefix(s, prefix string) (rest string, ok bool) {
	if !hasPrefix(s, prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// cut is s around the first separator.
func cut(s, separator string) (before, after string, found bool) {
	for i := 0; i+len(separator) <= len(s); i++ {
		if s[i:i+len(separator)] == separator {
			return s[:i], s[i+len(separator):], true
		}
	}
	return s, "", false
}

func contains(s, part string) bool {
	_, _, found := cut(s, part)
	return found
}

func split(s, separator string) []string {
	var parts []string
	for {
		part, rest, more := cut(s, separator)
		parts = append(parts, part)
		if !more {
			return parts
		}
		s = rest
	}
}

func oneOf(c byte, chars string) bool {
	for i := range len(chars) {
		if chars[i] == c {
			return true
		}
	}
	return false
}

// indexAny is where the first of chars stands in s, or -1.
func indexAny(s, chars string) int {
	for i := range len(s) {
		if oneOf(s[i], chars) {
			return i
		}
	}
	return -1
}

// words are what stands between spaces.
func words(s, spaces string) []string {
	var all []string
	for {
		s = skip(s, spaces)
		if s == "" {
			return all
		}
		end := indexAny(s, spaces)
		if end < 0 {
			end = len(s)
		}
		all = append(all, s[:end])
		s = s[end:]
	}
}

// skip is s without any of chars at its beginning.
func skip(s, chars string) string {
	for s != "" && oneOf(s[0], chars) {
		s = s[1:]
	}
	return s
}

func upper(s string) string {
	text := []byte(s)
	for i, c := range text {
		if c >= 'a' && c <= 'z' {
			text[i] = c - 'a' + 'A'
		}
	}
	return string(text)
}
