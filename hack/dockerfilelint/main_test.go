package main

import (
	"strings"
	"testing"
)

// A checker that finds nothing proves nothing: it must find these.
func TestFindsWhatIsWrong(t *testing.T) {
	for file, want := range map[string][]string{
		"testdata/bad.Dockerfile": {
			":1: FromAsCasing: ", ":2: SecretsUsedInArgOrEnv: ", ":3: LegacyKeyValueFormat: ",
			":4: MaintainerDeprecated: ", ":5: WorkdirRelativePath: ", ":6: JSONArgsRecommended: ",
		},
		"testdata/broken.Dockerfile": {":2: error: ", "unknown instruction: COPPY"},
	} {
		var out strings.Builder
		n, err := lint(file, &out)
		if n == 0 || err != nil {
			t.Errorf("%s: %d findings, %v", file, n, err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", file, w, &out)
			}
		}
	}
}

func TestMissingFileIsAnError(t *testing.T) {
	if _, err := lint("testdata/nosuch", &strings.Builder{}); err == nil {
		t.Error("no error")
	}
}
