package tools

// release is a version of s6, for what differs between them.
type release [4]int

// usual is the release whose ways are kept where nobody asks for others: Debian 12's, and that of s6-overlay 3.1.
var usual = release{2, 11, 3, 2}

// releaseName is the variable in which somebody asks for another release.
const releaseName = "PINTLE_S6_VERSION"

// release is the one whose ways are asked for.
func (c *call) release() release {
	text, ok := c.get(releaseName)
	if !ok || text == "" {
		return usual
	}
	r, ok := parseRelease(text)
	if !ok {
		c.warn("invalid " + releaseName + ": " + text)
		return usual
	}
	return r
}

// parseRelease reads a release such as 2.11.3.2. What is left out at the end counts as 0.
func parseRelease(text string) (r release, ok bool) {
	parts := split(text, ".")
	if len(parts) > len(r) {
		return r, false
	}
	for i, part := range parts {
		n, ok := number(part, 1<<16-1)
		if !ok {
			return r, false
		}
		r[i] = int(n)
	}
	return r, true
}

// atLeast tells whether r is that release or a later one; numbers left out count as 0.
func (r release) atLeast(numbers ...int) bool {
	var least release
	copy(least[:], numbers)
	for i, n := range r {
		if n != least[i] {
			return n > least[i]
		}
	}
	return true
}

// unableOf is how messages about what is no failure of the system begin. From 2.11.2 until 2.12 s6 is built with a skalibs that
// puts a colon too many there.
func (r release) unableOf(what string) string {
	if r.atLeast(2, 11, 2) && !r.atLeast(2, 12) {
		return ": unable to " + what
	}
	return "unable to " + what
}
