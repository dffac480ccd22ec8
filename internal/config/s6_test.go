package config

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestS6: what is done in s6's place is read, and shown so that it reads as the same.
func TestS6(t *testing.T) {
	t.Parallel()
	c, err := fromText([]string{"SCAN=/run/service/"}, "s6: {scan: [\"${SCAN}\", /etc/services.d], owner: hermes, version: 2.13.1, container_environment: false}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := S6{Scan: []string{"/run/service", "/etc/services.d"}, Owner: "hermes", Version: "2.13.1"}
	if d := cmp.Diff(want, c.S6); d != "" {
		t.Error(d)
	}
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	again, err := fromText(nil, b.String())
	if err != nil {
		t.Fatalf("what Show writes does not load: %v\n%s", err, b.String())
	}
	if d := cmp.Diff(want, again.S6); d != "" {
		t.Error(d)
	}
}

// TestErrorsOfS6: each mistake is said at its place.
func TestErrorsOfS6(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"s6: {}\n":                             "1:1: cannot use s6: it has no scan",
		"s6: {scan: [run/service]}\n":          `1:13: cannot use s6.scan[0]: "run/service" is no absolute path`,
		"s6: {scan: [/run/../etc]}\n":          `1:13: cannot use s6.scan[0]: "/run/../etc" has a ".."`,
		"s6: {scan: [/]}\n":                    `1:13: cannot use s6.scan[0]: "/" is no directory of services`,
		"s6: {scan: [/a, /a/]}\n":              `1:17: cannot use s6.scan[1]: "/a/" is listed twice`,
		"s6: {scan: [/a], version: newest}\n":  `1:27: cannot use s6.version: "newest" is no version such as 2.11.3.2`,
		"s6: {scan: [/a], process_name: so}\n": `1:32: cannot use s6.process_name: "so" is no boolean; write true or false`,
		"s6: {scan: [/a], scann: [/b]}\n":      `1:18: cannot use s6.scann: there is no such key; did you mean scan?`,
	} {
		_, err := fromText(nil, yaml)
		if err == nil || err.Error() != "a.yaml:"+want {
			t.Errorf("%s got  %v\nwant %s", yaml, err, want)
		}
	}
}
