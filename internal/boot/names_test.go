package boot

import (
	"slices"
	"strings"
	"testing"
)

// TestU57: an entrypoint that was written for tini leads to the container's command, and none of tini's options is ever
// taken for a word of that.
func TestU57(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                  "",
		"-g":                                "",
		"-g --":                             "",
		"--":                                "",
		"-g -s -w -l -h -v":                 "",
		"--kill-process-group --subreaper":  "",
		"--help --version":                  "",
		"-g -- --help":                      "--help",
		"-- --":                             "--",
		"-- -- ls":                          "-- ls",
		"-g sleep 1":                        "sleep 1",
		"sleep -g":                          "sleep -g",
		"-p SIGKILL -e 143 -e 1 -- chat -p": "chat -p",
		"-p SIGKILL chat":                   "chat",
		"-pSIGKILL -e143 chat":              "chat",
		"-vvv -gw chat":                     "chat",
		"-p":                                "",
		"-e":                                "",
		"-e --":                             "",
		"-p -- chat":                        "chat",
		"--nonsense chat":                   "chat",
		"- chat":                            "- chat",
		"/init":                             "",
		"-g -- /init":                       "",
		"-g -- /init --help":                "--help",
		"-g -- /init /init":                 "/init",
		"/init chat -q hello":               "chat -q hello",
		"-- init":                           "init",
		"-- /sbin/init":                     "/sbin/init",
	} {
		if got := TiniArgs(strings.Fields(args)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("tini %s: %q, want %q", args, got, want)
		}
	}
	if got := TiniArgs([]string{"-g", "", "-g"}); !slices.Equal(got, []string{"", "-g"}) {
		t.Errorf("an empty word is the command's: %q", got)
	}
}
