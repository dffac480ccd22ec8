package logs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pintle/internal/engine"
)

// masked is a book that masks values.
func masked(t testing.TB, values ...string) *Book {
	t.Helper()
	b := newBook(t, Options{RingBytes: 4 << 20})
	if err := b.Mask(values...); err != nil {
		t.Fatal(err)
	}
	return b
}

// said is what a journal has of a stream that comes in chunks of a size: the texts of lines, where parts of one line are
// put together.
func said(b *Book, stream []byte, size int) []string {
	j := b.Journal(name)
	var s splitter
	for chunk := range slices.Chunk(stream, size) {
		j.take(&s, 1, engine.Stdout, slices.Clone(chunk))
	}
	j.finish(&s, 1, engine.Stdout)
	var lines []string
	begun := ""
	for _, l := range j.Tail(-1) {
		begun += l.Text
		if !l.Partial {
			lines = append(lines, begun)
			begun = ""
		}
	}
	if begun != "" {
		lines = append(lines, begun)
	}
	return lines
}

// No byte of a secret value is in a line, however values overlap; and nothing else is taken out.
func TestMask(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		values []string
		input  string
		want   []string
	}{
		{"none", []string{"hunter22"}, "hunter2 2\n", []string{"hunter2 2"}},
		{"a line", []string{"hunter22"}, "hunter22\n", []string{"***"}},
		{"within", []string{"hunter22"}, "a hunter22b\nc\n", []string{"a ***b", "c"}},
		{"twice", []string{"abcd"}, "abcdabcd abcd\n", []string{"****** ***"}},
		{"itself overlapping", []string{"abab"}, "xabababx\n", []string{"x***x"}},
		{"two that overlap", []string{"abcd", "cdef"}, "_abcdef_\n", []string{"_***_"}},
		{"one in another", []string{"abcd", "xxabcdxx"}, "xxabcdxx xabcdx\n", []string{"*** x***x"}},
		{"the longest of those that begin together", []string{"abcd", "abcdefgh"}, "abcdefgh abcdefg\n", []string{"*** ***efg"}},
		{"at the stream's end", []string{"abcd"}, "abc\nabcd", []string{"abc", "***"}},
		{"half a line at the end", []string{"abcdef"}, "x abc", []string{"x abc"}},
		{"lines of a value", []string{"first\n  second\r\n}\n"}, "first second {}\n\tsecond\n", []string{"*** *** {}", "\t***"}},
		{"any bytes", []string{"\xff\xfe\x01\x02"}, "\xff\xff\xfe\x01\x02\x00\n", []string{"\xff***\x00"}},
		{"an asterisk", []string{"pass*", "abcd"}, "passabcd pass*\n", []string{"pass### ###"}},
		{"longer than a skip", []string{strings.Repeat("ab", 400) + "c"}, strings.Repeat("ab", 410) + "c.\n", []string{strings.Repeat("ab", 10) + "***."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 3, 5, 1 << 10} {
				if got := said(masked(t, c.values...), []byte(c.input), size); !slices.Equal(got, c.want) {
					t.Errorf("in chunks of %d: %q, want %q", size, got, c.want)
				}
			}
		})
	}
}

// A value that lies where a long line is cut gets through in neither part, nor by putting them together.
func TestMaskWhereLinesAreCut(t *testing.T) {
	t.Parallel()
	for shift := -12; shift <= 12; shift++ {
		stream := strings.Repeat("x", maxLine+shift) + "abcdefghij" + strings.Repeat("y", 100) + "\n"
		want := strings.ReplaceAll(stream[:len(stream)-1], "abcdefghij", "***")
		for _, size := range []int{1000, 4096, 32 << 10, maxLine, maxLine + 3, 1 << 20} {
			got := said(masked(t, "abcdefghij", "hijklm", "xxxxabcdefghijz"), []byte(stream), size)
			if len(got) != 1 || got[0] != want {
				t.Errorf("shifted by %d, in chunks of %d: …%.40q, want …%.40q", shift, size, strings.Trim(got[0], "xy"), strings.Trim(want, "xy"))
			}
		}
	}
	// One that overlaps itself for longer than a part is: every part comes to its end, and one *** stands for all.
	all := strings.Repeat("a", 5*maxLine+7)
	for _, size := range []int{4096, 1 << 20} {
		if got := said(masked(t, "aaaaaaa"), []byte("b"+all+"\n"+all), size); !slices.Equal(got, []string{"b***", "***"}) {
			t.Errorf("in chunks of %d: %.60q", size, got)
		}
	}
	// The longest value that there may be.
	long := strings.Repeat("ab", mostSecret/2)
	stream := strings.Repeat("x", maxLine-10) + long + strings.Repeat("x", maxLine)
	if got := said(masked(t, long), []byte(stream+"\n"), 32<<10); len(got) != 1 || got[0] != strings.Replace(stream, long, "***", 1) {
		t.Errorf("of the longest value, %d bytes remain", len(got[0]))
	}
}

// What is not masked is said, once, and counted: values too short to be found by chance, and those beyond the bounds.
func TestWhatIsNotMasked(t *testing.T) {
	t.Parallel()
	b := newBook(t, Options{})
	say := func(want string, values ...string) {
		t.Helper()
		got := ""
		if err := b.Mask(values...); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("of %.40q: %q, want %q", values, got, want)
		}
	}
	const room = "there is room for 1000 values of at most 32 KiB, and 1024 KiB in all"
	say("")
	say("", "", "abcd", "abcd")
	say("cannot mask a secret value: shorter than 4 bytes", "abc")
	say("", "abc", "{\n\"key\"\n}")
	say("cannot mask 2 secret values: shorter than 4 bytes", "a", "b\nc", "abc")
	say("cannot mask all of a secret value: "+room, "head\n"+strings.Repeat("x", mostSecret+1))
	var many []string
	for i := range mostSecrets {
		many = append(many, fmt.Sprintf("value %d", i))
	}
	say("cannot mask all of 3 secret values: "+room, many...) // abcd, key and head are there already
	say("", many[:3]...)
	say("", many[mostSecrets-1])
	if got := said(b, []byte("head value 5 abc\n"), 100); !slices.Equal(got, []string{"*** *** abc"}) {
		t.Errorf("%q", got)
	}
	b = newBook(t, Options{})
	long := func(c string) string { return strings.Repeat(c, mostSecret) }
	var most []string
	for i := range secretBytes / mostSecret {
		most = append(most, long(string(rune('A'+i))))
	}
	say("", most...)
	say("cannot mask all of a secret value: "+room, "abcd")
}

// Pintle's own words about a unit, and those about none, are masked as what the unit says is; on the console too.
func TestMaskOfPintlesOwnWords(t *testing.T) {
	t.Parallel()
	var screen recorder
	b := newBook(t, Options{Console: &screen})
	if err := b.Mask("hunter22"); err != nil {
		t.Fatal(err)
	}
	b.Journal(name).Note(1, "cannot use hunter22: no")
	b.Say("hunter22\nis it")
	closed(t, b)
	if got := texts(b.Journal(name).Tail(-1)); !slices.Equal(got, []string{"pintle: cannot use ***: no"}) {
		t.Errorf("%q", got)
	}
	const want = "pintle | gateway@coder: cannot use ***: no\npintle | ***\npintle | is it\n"
	if got := screen.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// naive masks a line by the definition: no byte of an occurrence remains, and *** stands for those that overlap.
func naive(values []string, line string) string {
	hidden := make([]bool, len(line))
	begins := make([]bool, len(line)+1)
	reach := 0
	for at := range len(line) {
		for _, v := range values {
			if strings.HasPrefix(line[at:], v) {
				if at >= reach {
					begins[at] = true
				}
				reach = max(reach, at+len(v))
				for i := range len(v) {
					hidden[at+i] = true
				}
			}
		}
	}
	var out strings.Builder
	for i := range len(line) {
		if begins[i] {
			out.WriteString("***")
		}
		if !hidden[i] {
			out.WriteByte(line[i])
		}
	}
	return out.String()
}

// check holds what comes of a stream to the definition.
func check(t interface{ Fatalf(string, ...any) }, b *Book, values []string, stream []byte, size int) {
	var want []string
	for line := range bytes.Lines(stream) {
		want = append(want, naive(values, strings.TrimSuffix(string(line), "\n")))
	}
	got := said(b, stream, size)
	if !slices.Equal(got, want) {
		t.Fatalf("values %q, stream %.200q in chunks of %d:\n%.200q, want\n%.200q", values, stream, size, got, want)
	}
	for _, line := range got {
		for _, v := range values {
			if strings.Contains(line, v) {
				t.Fatalf("%.200q has %q", line, v)
			}
		}
	}
}

// For any values, and any stream cut into any chunks, no value is in a line, nor in the parts of one put together, and
// a line without one is as it was.
func TestMaskAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]string{"a", "ab", "abc"}).Draw(t, "letters")
		values := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune(letters)), 4, 20, -1), 0, 6).Draw(t, "values")
		stream := rapid.StringOfN(rapid.RuneFrom([]rune(letters+letters+letters+"\nx")), 0, 300, -1).Draw(t, "stream")
		lead := rapid.SampledFrom([]int{0, 0, maxLine - 150, 2*maxLine - 150}).Draw(t, "lead")
		size := rapid.SampledFrom([]int{1, 2, 3, 7, 50, 4096, 1 << 20}).Draw(t, "size")
		b := NewBook(Options{RingBytes: 4 << 20})
		if err := b.Mask(values...); err != nil {
			t.Fatalf("%v", err)
		}
		check(t, b, values, []byte(strings.Repeat("x", lead)+stream), size)
	})
}

// The same of bytes that nobody thought of.
func FuzzMask(f *testing.F) {
	f.Add("abcd", "cdef", []byte("_abcdef_\nabcd"), uint8(3), false)
	f.Add("aaaa", "aaab", []byte("aaaaaaaaab"), uint8(0), true)
	f.Add("\x00\xff\x00\xff", "****", []byte("\x00\xff\x00\xff****\n"), uint8(1), true)
	f.Fuzz(func(t *testing.T, one, two string, stream []byte, size uint8, long bool) {
		var values []string
		for _, v := range []string{one, two} {
			if len(v) >= leastSecret && len(v) <= mostSecret && !strings.ContainsAny(v, "\n*") {
				values = append(values, v)
			}
		}
		if long && len(stream) < maxLine {
			stream = slices.Concat(bytes.Repeat([]byte{'x'}, maxLine-len(stream)/2), stream)
		}
		check(t, masked(t, values...), values, stream, 1+int(size)*int(size))
	})
}

// What a chunk of 100-byte lines takes beside BenchmarkTake/secrets=0, where there are values to be masked and none of
// them is said; and where every line has one.
func BenchmarkTakeSecrets(b *testing.B) {
	for _, n := range []int{0, 1, 20, 1000} {
		var values []string
		for i := range n {
			values = append(values, fmt.Sprintf("sk-%020x", uint64(i+1)*0x9e3779b97f4a7c15))
		}
		english := []byte(strings.Repeat("2026-11-23 level=info msg=\"the quick brown fox jumps\" sk-1234 took=12.5ms id=0123456789abcdef ok!!\n", 320))
		run := func(what string, chunk []byte) {
			b.Run(fmt.Sprintf("secrets=%d/%s", n, what), func(b *testing.B) {
				j := masked(b, values...).Journal(name)
				var s splitter
				b.SetBytes(int64(len(chunk)))
				b.ReportAllocs()
				for b.Loop() {
					j.take(&s, 1, engine.Stdout, chunk)
				}
			})
		}
		run("x", bytes.Repeat(hundred, 320))
		run("english", english)
		if n > 0 {
			run("in every line", bytes.ReplaceAll(english, []byte("0123456789abcdef"), []byte(values[0])))
		}
	}
}
