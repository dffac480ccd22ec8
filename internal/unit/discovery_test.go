package unit

import (
	"strings"
	"testing"
)

// TestIntentSource: the first value that is there and not null decides, and a file that is no object of JSON says nothing (U42).
func TestIntentSource(t *testing.T) {
	t.Parallel()
	f := IntentSource{Paths: []string{"desired_state", "gateway_state", "deep.er"}, Up: []string{"running", "draining", "true", "7"}}
	for text, want := range map[string]string{
		`{"desired_state":"running","gateway_state":"stopped"}`: "up running",
		`{"desired_state":"stopped","gateway_state":"running"}`: "down stopped",
		`{"desired_state":null,"gateway_state":"draining"}`:     "up draining",
		`{"gateway_state":"startup_failed","deep":{"er":true}}`: "down startup_failed",
		`{"deep":{"er":true}}`:                                  "up true",
		`{"deep":{"er":7}}`:                                     "up 7",
		`{"deep":[1]}`:                                          "none",
		`{"deep":{}}`:                                           "none",
		`{"desired_state":"","gateway_state":"running"}`:        "down ",
		`{"desired_state":{"a":[]},"gateway_state":"running"}`:  `down {"a":[]}`,
		`{"desired_state":[],"gateway_state":"running"}`:        "down []",
		"\ufeff" + `{"desired_state":"running"}`:                "up running", // a BOM, as PowerShell writes it
		`{"desired_state":"runn\u0069ng"}`:                      "up running",
		`{"desired_state":"running"`:                            "none",
		`{"desired_state":"running"} x`:                         "none",
		`["running"]`:                                           "none",
		`"running"`:                                             "none",
		`null`:                                                  "none",
		``:                                                      "none",
		"{\"desired_state\":\"\xff\"}":                          "none",
		strings.Repeat(`{"deep":`, 20000):                       "none",
		`{"DESIRED_STATE":"running"}`:                           "none",
		`{"desired_state":"stopped","desired_state":"running"}`: "up running", // the last one, as json.load has it
	} {
		got := "none"
		if value, ok := f.Read([]byte(text)); ok {
			got = map[bool]string{true: "up ", false: "down "}[f.Means(value)] + value
		}
		if got != want {
			t.Errorf("%.60s: %s, want %s", text, got, want)
		}
	}
}
