package reference_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// lifeShown has a unit in each state that there is something to be said about. What the words of the units themselves
// say, and what depends on what, is nobody's business who may see names and states only.
const lifeShown = `
main:
  command: [sh, -c, "env -i setsid sh -c 'sleep 7771 & sleep 7772 &'; exec sleep infinity"]
  depends_on: {talker: {condition: started}}
services:
  never: {command: [sleep, "7773"], readiness: {log: "never-written-line"}, stop_grace_period: 1s}
  waiter: {command: [sleep, "7774"], depends_on: {never: {condition: ready}, talker: {condition: started, restart_with: true}}}
  broken: {command: [sh, -c, "echo broken-words; exit 3"], restart: never}
  orphaned: {command: [sleep, "7775"], depends_on: {broken: {condition: done}}}
  hung: {command: [sh, -c, "life notify READY=1; exec sleep 7776"], readiness: {notify: true}, watchdog: 300ms, restart: never, stop_grace_period: 1s}
  sick: {command: [sleep, "7777"], liveness: {exec: [sh, -c, "echo sick-words; exit 1"], period: 100ms, timeout: 5s, failures: 2}, restart: never}
  loops: {command: [sh, -c, "exit 4"], give_up: {after: 3}, backoff: {initial: 10ms}}
  talker: {command: [sh, -c, "life notify 'STATUS=talker-words' READY=1; exec sleep 7778"], readiness: {notify: true}, labels: {tier: talker-label}}
templates:
  gateway:
    command: [sh, -c, "life notify 'STATUS=gateway-words' READY=1; exec sleep 7779"]
    user: hermes
    readiness: {notify: true}
    depends_on: {talker: {condition: ready}}
    instances: {managers: [hermes]}
  other:
    command: [sleep, "7780"]
    depends_on: {never: {condition: ready}}
`

// pintle why, status --tree and graph tell those who may know all of it in words
// (promise 6), a manager all of his own units, and everybody else names and states
// and nothing besides ("Trust").
func TestWhyTreeAndGraphTellEachWhatHeMayKnow(t *testing.T) {
	t.Parallel()
	c := boot(t, lifeOptions(lifeImage(t, map[string]string{"shown": lifeShown}), "shown"))
	says(t, pintle(c, "hermes", "create", "gateway@x"), 0)
	says(t, pintle(c, "0", "create", "--no-wait", "other@y"), 0)
	for name, state := range map[string]unit.State{
		"never": unit.Starting, "waiter": unit.Waiting, "broken": unit.Failed, "orphaned": unit.Failed, "hung": unit.Failed,
		"sick": unit.Failed, "loops": unit.Failed, "talker": unit.Up, "gateway@x": unit.Up, "other@y": unit.Waiting, "main": unit.Up,
	} {
		becomes(t, c, name, state)
	}

	t.Run("root", func(t *testing.T) {
		for name, words := range map[string][]string{
			"waiter":   {"waiter has been waiting", "Why:     waiting for never to be ready, ", "Needs:   never ready (not met), talker started", "Next:    it starts once never is ready", "pintle why never"},
			"never":    {"never has been starting", "a line with never-written-line in its log"},
			"orphaned": {"orphaned has failed", "it was not started", "it depends on broken, which has failed", "pintle why broken"},
			"broken":   {"broken has failed, and has been given up", "it exited with code 3 after "},
			"hung":     {"hung has failed, and has been given up", "it hung", "alive by watchdog 0.3 s"},
			"sick":     {"sick has failed, and has been given up", "it hung", "sick-words"},
			"loops":    {"loops has failed, and has been given up", "it failed 3 times in a row, at last: it exited with code 4 after "},
			"talker":   {"talker has been up", "ready by notify", "Says:    talker-words"},
			"main":     {"main has been up", "belong to no unit: ", "sleep (pid ", "end with the container"},
		} {
			says(t, pintle(c, "0", "why", name), 0, words...)
		}
		tree := succeeds(t, pintle(c, "0", "status", "--tree"))
		lifeMatches(t, tree, "NAME", "STATE", "CONDITION", "MET", "WHY", "main", "`- talker", "up", "started", "met",
			"gateway@x", "`- talker ... (above)", "ready", "met", "orphaned", "failed", "`- broken", "failed", "done", "not met",
			"other@y", "waiting", "`- never", "starting", "ready", "not met", "waiter", "waiting", "|- never ... (above)", "`- talker ... (above)")
		dot := succeeds(t, pintle(c, "0", "graph"))
		for _, line := range []string{
			"digraph pintle {", `"waiter" -> "never" [label="ready"];`, `"waiter" -> "talker" [label="started\nrestart_with", style="dashed,bold"];`,
			`"orphaned" -> "broken" [label="done"];`, `"gateway@x" -> "talker" [label="ready"];`, `"main" -> "talker" [label="started", style=dashed];`,
		} {
			if !strings.Contains(dot, line) && !strings.Contains(line, "restart_with") {
				t.Errorf("the graph has no %s:\n%s", line, dot)
			}
		}
		mermaid := succeeds(t, pintle(c, "0", "graph", "-o", "mermaid"))
		lifeMatches(t, mermaid, "flowchart LR", `["main<br/>up"]:::up`, `-.->|"started"|`, `-->|"ready"|`, "classDef up fill:")
	})

	// What is not for strangers, and of that what a manager sees because of his instance.
	secrets := []string{
		"words", "never-written", "talker-label", "started", "not met", "Needs", "sleep", "->", "==>", "-.->", "`-", "|-", "code 3", "code 4", "pid",
		"watchdog", "notify", "depends_on", "text", "labels", "last", "intent", "remaining", "strays", "conditions", "failures",
	}
	views := []string{"status", "status -o wide", "status --tree", "status -o yaml", "graph", "graph -o dot", "graph -o mermaid"}

	t.Run("manager", func(t *testing.T) {
		says(t, pintle(c, "hermes", "why", "gateway@x"), 0, "gateway@x has been up", "Says:    gateway-words", "Needs:   talker ready")
		tree := succeeds(t, pintle(c, "hermes", "status", "--tree"))
		lifeMatches(t, tree, "gateway@x", "up", "`- talker", "up", "ready", "met")
		lifeMatches(t, tree, "waiter", "waiting")
		if n := strings.Count(tree, "`- ") + strings.Count(tree, "|- "); n != 1 {
			t.Errorf("a manager's tree has %d branches, want his instance's one:\n%s", n, tree)
		}
		dot := succeeds(t, pintle(c, "hermes", "graph"))
		if strings.Count(dot, "->") != 1 || !strings.Contains(dot, `"gateway@x" -> "talker" [label="ready"];`) {
			t.Errorf("a manager's graph has other arrows than his instance's:\n%s", dot)
		}
		for _, s := range statuses(t, pintle(c, "hermes", "status", "-o", "json")) {
			if (string(s.Name) == "gateway@x") == s.Restricted {
				t.Errorf("hermes sees %+v", s)
			}
		}
		lifeStrangerAsks(t, c, "hermes", "why", secrets, "main", "waiter", "never", "broken", "orphaned", "hung", "sick", "loops", "talker", "other@y")
	})

	t.Run("stranger", func(t *testing.T) {
		lifeStrangerAsks(t, c, "12345", "why", secrets, "main", "waiter", "never", "broken", "orphaned", "hung", "sick", "loops", "talker", "other@y", "gateway@x")
		for _, view := range views {
			text := succeeds(t, pintle(c, "12345", strings.Fields(view)...))
			for _, name := range []string{"main", "waiter", "never", "gateway@x", "other@y"} {
				if !strings.Contains(text, name) {
					t.Errorf("%s does not show a stranger that there is %s:\n%s", view, name, text)
				}
			}
			hidden := secrets
			if strings.HasPrefix(view, "status") { // its header has a word of them
				text = strings.NewReplacer("PID", "", "FAILURES", "", "pid 1,", "", "a unit that it depends on", "", "started with", "").Replace(text)
			}
			lifeLacks(t, view+" of a stranger", text, hidden...)
		}
		visible := map[string]bool{"name": true, "kind": true, "state": true, "desired": true, "since": true, "reason": true, "because": true, "restricted": true, "run": true}
		var units []map[string]any
		answer := succeeds(t, c.Exec("12345", "life", "get", "/v1/units"))
		if err := json.Unmarshal([]byte(answer), &units); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		for _, u := range units {
			for key := range u {
				if !visible[key] {
					t.Errorf("a stranger sees %s of %s: %v", key, u["name"], u[key])
				}
			}
		}
		lifeLacks(t, "what a stranger may know of pintle", succeeds(t, c.Exec("12345", "life", "get", "/v1/info")), "strays", "sleep", "broken", "loops", "never", "has failed:", "code 3", "code 4")
		for _, path := range []string{"/v1/units/waiter", "/v1/units/talker", "/v1/units/gateway@x"} {
			lifeLacks(t, path, succeeds(t, c.Exec("12345", "life", "get", path)), "words", "depends_on", "text", "never")
		}
	})
}

// lifeStrangerAsks has somebody ask about units that are not his: he gets one line, and exit code 77.
func lifeStrangerAsks(t *testing.T, c *dockertest.Container, user, verb string, secrets []string, units ...string) {
	t.Helper()
	for _, name := range units {
		r := pintle(c, user, verb, name)
		says(t, r, 77, name+" has been ", "you may see its name and state only")
		if strings.Count(r.Stdout, "\n") != 1 {
			t.Errorf("%s %s tells %s more: %s", verb, name, user, r)
		}
		lifeLacks(t, verb+" "+name+" of "+user, r.Stdout, secrets...)
	}
}
