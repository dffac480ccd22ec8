// Package dockertest runs tests in real containers of a real Docker engine.
//
// A test package that uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { os.Exit(dockertest.Main(m)) }
//
// and its tests then read like a terminal session:
//
//	func TestExitCode(t *testing.T) {
//		t.Parallel()
//		r := dockertest.Run(t, dockertest.Options{}, "sh", "-c", "exit 42")
//		if r.Code != 42 {
//			t.Errorf("exit code %d, want 42\n%s", r.Code, r)
//		}
//	}
//
// What it promises:
//
//   - An engine is found or made. One that answers the docker command
//     (DOCKER_HOST, the current context, the default socket) is used as it is.
//     Otherwise root gets a private one: dockerd in its own pid, mount and
//     network namespaces, on a socket in its own /run. Nothing of the host is
//     changed, no firewall rule, no bridge, no file outside the cache.
//   - Nothing is left running, however the test binary ends. The private engine
//     and all its containers are one pid namespace that dies with the test
//     binary, also when that panics or is killed. On an engine that is not ours
//     every container carries a label, is removed at its test's end, and if
//     that could not happen, at the next start.
//   - Without an engine a test is skipped, the reason in one line. With
//     PINTLE_TEST_NO_SKIP=1 in the environment it fails instead; with
//     `go test -short` it is always skipped.
//   - Images are made here, from Debian packages; no image registry is asked.
//     They stay in the cache between runs: $PINTLE_TEST_CACHE, or
//     $XDG_CACHE_HOME/pintle-test, or ~/.cache/pintle-test.
//   - Every wait has a deadline, and says at its end what it last saw.
//
// What it does not promise: that a port published with -p is reachable from the
// test (a private engine has a network of its own; ask from inside the
// container), or an internet connection in a container.
package dockertest
