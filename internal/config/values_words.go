package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"pintle/internal/unit"
)

// wordSet names the words that a oneOf may be.
type wordSet interface{ words() []string }

type (
	restartWords   struct{}
	verdictWords   struct{}
	initialWords   struct{}
	conditionWords struct{}
	onFailureWords struct{}
	targetWords    struct{}
	repairWords    struct{}
	onErrorWords   struct{}
	offWords       struct{}
)

func (restartWords) words() []string {
	return []string{string(unit.RestartAlways), string(unit.RestartOnFailure), string(unit.RestartNever)}
}

func (verdictWords) words() []string {
	return []string{string(unit.VerdictDone), string(unit.VerdictRestart), string(unit.VerdictFail)}
}

func (initialWords) words() []string { return []string{unit.InitialUp, unit.InitialDown} }
func (conditionWords) words() []string {
	return []string{string(unit.OnStarted), string(unit.OnReady), string(unit.OnDone)}
}

func (onFailureWords) words() []string {
	return []string{string(unit.FailureIgnore), string(unit.FailureStopContainer)}
}

func (targetWords) words() []string {
	return []string{string(unit.TargetLeader), string(unit.TargetGroup), string(unit.TargetSet)}
}

func (repairWords) words() []string  { return []string{repairNone, repairTree} }
func (onErrorWords) words() []string { return []string{string(unit.ErrorFail), string(unit.ErrorWarn)} }
func (offWords) words() []string     { return []string{"off"} }

const (
	repairNone = "none"
	repairTree = "tree"
)

// oneOf is one word of a set.
type oneOf[W wordSet] struct{ scalar }

func (v *oneOf[W]) check() error {
	var set W
	words := set.words()
	if slices.Contains(words, v.text) {
		return nil
	}
	return fmt.Errorf("%s is not %s", v.shown(), listed(words, "or"))
}

// or is the word, or another one where the file has none.
func (v *oneOf[W]) or(word string) string {
	if v.given() {
		return v.text
	}
	return word
}

// listed joins words as a sentence does: "a, b or c".
func listed(words []string, conjunction string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}

// role is what a container is among those that share a state directory: a short word, since it is said in sentences.
type role struct{ scalar }

var roleForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`) })

func (v *role) check() error {
	if roleForm().MatchString(v.text) {
		return nil
	}
	return fmt.Errorf("%s is no role: it has 1 to 63 characters of a-z, 0-9, _ and -, and begins and ends with a letter or digit", v.shown())
}
