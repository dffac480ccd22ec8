package config

// suggest names the known key that an unknown one was likely meant to be, as the end
// of a sentence; it is empty where none is near.
func suggest[V any](unknown string, known map[string]V) string {
	best, least := "", len(unknown)/3+1 // fewer than a third of the letters, and one, may be wrong
	for name := range known {
		d := distance(unknown, name)
		if d < least || d == least && best != "" && name < best {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters must be added, removed or replaced (Levenshtein's), or
// swapped with a neighbour, to make a into b.
func distance(a, b string) int {
	if max(len(a), len(b)) > 64 {
		return max(len(a), len(b)) // no key is so long
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
