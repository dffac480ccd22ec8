package main

import (
	"strings"
	"testing"
)

// run feeds events, in short: "ACTION PACKAGE [TEST [OUTPUT]]" for each line.
func run(t *testing.T, strict bool, lines ...string) (bool, string) {
	t.Helper()
	var in, out strings.Builder
	for _, line := range lines {
		f := append(strings.SplitN(line, " ", 4), "", "", "")
		in.WriteString(`{"Action":"` + f[0] + `","Package":"` + f[1] + `","Test":"` + f[2] + `","Output":"` + f[3] + `"}` + "\n")
	}
	ok, err := summarize(strings.NewReader(in.String()), &out, strict)
	if err != nil {
		t.Fatal(err)
	}
	return ok, out.String()
}

func TestPassIsOneLineAndACount(t *testing.T) {
	ok, out := run(t, true, `output p A noise\n`, "pass p A", "pass p B", "pass p")
	if want := "ok  \tp\t0.0s\t2 tests\n2 passed, 0 failed, 0 skipped\n"; !ok || out != want {
		t.Errorf("%v %q, want %q", ok, out, want)
	}
}

func TestFailShowsWhatTheTestPrinted(t *testing.T) {
	ok, out := run(t, false, `output p A mine\n`, "fail p A", `output p B silent\n`, "pass p B", `output p  FAIL p\n`, "fail p")
	if want := "mine\nFAIL p\n1 passed, 1 failed, 0 skipped\n"; ok || out != want {
		t.Errorf("%v %q, want %q", ok, out, want)
	}
}

func TestSkipIsOneLineForEachReason(t *testing.T) {
	lines := []string{"pass p A", `output p B     x_test.go:5: Docker tests: none\n`, "skip p B", `output p C     y_test.go:7: Docker tests: none\n`, "skip p C", "pass p"}
	ok, out := run(t, false, lines...)
	if want := "skip\tp\t2 tests: Docker tests: none\nok  \tp\t0.0s\t1 tests\n1 passed, 0 failed, 2 skipped\n"; !ok || out != want {
		t.Errorf("%v %q, want %q", ok, out, want)
	}
	if ok, _ := run(t, true, lines...); ok {
		t.Error("a skipped test passed where nothing may be skipped")
	}
}

func TestNoTestIsAFailure(t *testing.T) {
	if ok, out := run(t, false, "skip p"); ok || !strings.Contains(out, "no test ran") {
		t.Errorf("%v %q", ok, out)
	}
}

func TestPackageThatNeverEndedIsAFailure(t *testing.T) {
	if ok, out := run(t, false, "pass p A"); ok || !strings.Contains(out, "FAIL\tp\tit never ended") {
		t.Errorf("%v %q", ok, out)
	}
}

func TestBrokenBuildIsShown(t *testing.T) {
	var out strings.Builder
	ok, err := summarize(strings.NewReader(`{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: wrong\n"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`), &out, false)
	if want := "p.go:1: wrong\nFAIL\tp [build failed]\nno test ran\n0 passed, 0 failed, 0 skipped\n"; ok || err != nil || out.String() != want {
		t.Errorf("%v %v %q, want %q", ok, err, out.String(), want)
	}
}
