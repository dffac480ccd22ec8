package step

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWords: what a step is told is what was meant, whatever the program's own words are.
func TestWords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.IntRange(0, 1<<32-2)
		text := rapid.String()
		want := Step{
			User:   User{UID: number.Draw(t, "uid"), GID: number.Draw(t, "gid"), Groups: rapid.SliceOfN(number, 1, -1).Draw(t, "groups")},
			Called: text.Draw(t, "name"), Channel: number.Draw(t, "channel"), In: number.Draw(t, "in"),
			Dir: text.Draw(t, "dir"), Path: text.Draw(t, "path"), Args: rapid.SliceOfN(text, 1, -1).Draw(t, "args"),
		}
		got, ok := Read(want.Words())
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Fatalf("read is %v:\n%s", ok, diff)
		}
	})
}

// TestNoWords: what is no step is not taken for one, and what is damaged is refused.
func TestNoWords(t *testing.T) {
	t.Parallel()
	good := (&Step{User: User{UID: 1, GID: 2}, Channel: 3, Path: "/p", Args: []string{"p"}}).Words()
	if s, ok := Read(good); !ok || s.User.Groups != nil {
		t.Errorf("without groups it reads %+v, %v", s, ok)
	}
	damaged := func(i int, text string) []string {
		words := append([]string(nil), good...)
		words[i] = text
		return words
	}
	for _, words := range [][]string{nil, {Name}, good[:len(good)-1], damaged(0, "x"), damaged(1, ""), damaged(2, "x"), damaged(3, "1,,2"), damaged(5, "1 "), damaged(6, "x")} {
		if s, ok := Read(words); ok {
			t.Errorf("%q reads %+v", words, s)
		}
		Run(words) // does nothing
	}
}
