package unit

import (
	"slices"
	"strings"
	"testing"
)

func TestEnvFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"blank lines and comments", "\n  \n# A=1\n\t# B=2\n", nil},
		{"plain", "A=1\nB=two words\nC=", []string{"A=1", "B=two words", "C="}},
		{"space around", "  A = 1  \n\tB=\t2\t\n", []string{"A=1", "B=2"}},
		{"export", "export A=1\nexport\tB='2'\nexport=3\nexported=4\nexport =5\n", []string{"A=1", "B=2", "export=5", "exported=4"}},
		{"comments", "A=1 # one\nB=1#2\nC=#3\nD= # none\nE=1\t#\nF=a # b # c", []string{"A=1", "B=1#2", "C=#3", "D=", "E=1", "F=a"}},
		{"equals signs", "A=b=c==\nB==", []string{"A=b=c==", "B=="}},
		{"single quotes", `A='a "b" \n $C # d ' # e` + "\nB=''\n", []string{`A=a "b" \n $C # d `, "B="}},
		{"double quotes", `A="\n\r\t\"\\\$\x'#" # c` + "\nB=\"\"\nC= \" d \"", []string{"A=\n\r\t\"\\$\\x'#", "B=", "C= d "}},
		{"quotes in the middle", `A=it's "so"` + "\n" + `B=a"b"`, []string{`A=it's "so"`, `B=a"b"`}},
		{"lines", "A='a\n#b\n\nc=d'\nB=\"x\\\ny\"\nC=1", []string{"A=a\n#b\n\nc=d", "B=x\\\ny", "C=1"}},
		{"no variables", "A=$B${C}$(d)`e`\nF=\"$G\"", []string{"A=$B${C}$(d)`e`", "F=$G"}},
		{"last one", "A=1\nB=2\nA=3", []string{"A=3", "B=2"}},
		{"windows", "\ufeffA=1\r\nB='2'\r\nC=\"3\r\n4\"\r\n\r\n# c\r\nD=5\r", []string{"A=1", "B=2", "C=3\n4", "D=5"}},
		{"names", "_=1\na.b-c=2\nA9=3", []string{"_=1", "a.b-c=2", "A9=3"}},
		{"any bytes", "A=\xff é", []string{"A=\xff é"}},
		{"backslashes", `A=C:\new\table`, []string{`A=C:\new\table`}},
	} {
		if got, err := ParseEnvFile([]byte(c.in)); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// TestBadEnvFile: an error has the line that it is about, and nothing of what stands there.
func TestBadEnvFile(t *testing.T) {
	t.Parallel()
	const badName = "what it begins with is no name"
	for in, want := range map[string]string{
		"A=1\nsecret\n":                       "line 2: there is no = after the name",
		"export secret":                       "line 1: there is no = after the name",
		"\n\n=secret":                         "line 3: there is no name before the =",
		"A='1\n2'\nse cret=1":                 "line 3: " + badName,
		"9secret=1":                           "line 1: " + badName,
		"-secret=1":                           "line 1: " + badName,
		"sécret=1":                            "line 1: " + badName,
		"secret+secret/==\n":                  "line 1: " + badName,
		"export a secret=1":                   "line 1: " + badName,
		"secret: 1":                           "line 1: " + badName,
		"A=1\nB=\ufeff\n\ufeffsecret=1":       "line 3: " + badName,
		"A=1\r\nB=1\x00secret":                "line 2: there is a zero byte",
		"A=1\nB=\"secret\n\nC=1":              "line 2: the value begins with a quote that nothing ends",
		"A='secret":                           "line 1: the value begins with a quote that nothing ends",
		`A="secret\"`:                         "line 1: the value begins with a quote that nothing ends",
		`A="`:                                 "line 1: the value begins with a quote that nothing ends",
		"A='x' secret":                        "line 1: after the quote that ends the value",
		"A='x'#secret":                        "line 1: after the quote that ends the value",
		"A=\"x\"secret\nB=1":                  "line 1: after the quote that ends the value",
		"A=1\nB='x\ny' secret":                "line 2: after the quote that ends the value",
		strings.Repeat("#\n", 999) + "secret": "line 1000: there is no = after the name",
	} {
		got, err := ParseEnvFile([]byte(in))
		if err == nil || got != nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %q, %v; want %s", in, got, err, want)
		}
	}
}

// FuzzEnvFile: whatever is read is an environment, and is read again when it is written in quotes.
func FuzzEnvFile(f *testing.F) {
	for _, seed := range []string{
		"", "A=1\nB=2 # c\n", "export A='b\nc'\n", "A=\"\\n\\$\\x\"", "\ufeffA=1\r\n", "A=\x00", "A='", "=", "A= 'b' c", "A=1\nA=2", "# c", "A",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseEnvFile(data)
		if err != nil {
			if got != nil || !strings.HasPrefix(err.Error(), "line ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, %v", got, err)
			}
			return
		}
		seen := map[string]bool{}
		var again strings.Builder
		for _, entry := range got {
			name, value, found := strings.Cut(entry, "=")
			if !found || !isEnvName(name) || seen[name] || strings.Contains(value, "\x00") || strings.Contains(value, "\r\n") && !strings.Contains(string(data), `\r`) {
				t.Errorf("%q", entry)
			}
			seen[name] = true
			again.WriteString(name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", `\r`).Replace(value) + "\" # c\n")
		}
		if twice, err := ParseEnvFile([]byte(again.String())); err != nil || !slices.Equal(twice, got) {
			t.Errorf("%q, %v; want %q", twice, err, got)
		}
	})
}
