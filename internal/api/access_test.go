package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pintle/internal/account"
	"pintle/internal/engine"
	"pintle/internal/unit"
)

const ownUID = 4242 // pintle's own in these tests

// sample is a container with something of everything, and a secret in every field that can hold one.
func sample() *fake {
	secret := func(name unit.Name, kind unit.Kind, reason unit.Reason) engine.Status {
		return engine.Status{
			Name: name, Kind: kind, State: unit.Up, Desired: "up", Since: time.Unix(1000, 0).UTC(),
			Reason: reason, Because: "uid 7 (SECRET, pid 9) asked for it",
			PID: 31337, Run: 3, ReadyBy: "tcp SECRET:1", Failures: 2, Next: time.Unix(2000, 0).UTC(),
			Last:    &engine.RunEnd{Run: 2, PID: 31336, Started: time.Unix(10, 0).UTC(), Ended: time.Unix(20, 0).UTC(), Error: "SECRET"},
			Intent:  unit.Intent{Up: true, Generation: 4, Time: time.Unix(999, 0).UTC(), Actor: unit.Actor{Kind: "peer", UID: 7, PID: 9, Command: "SECRET"}},
			AliveBy: "http SECRET", Text: "SECRET", DependsOn: []engine.Dependency{{On: "SECRET", Condition: unit.OnReady, Met: true}},
			Origin: "declared by SECRET", Holder: engine.Holder{Container: "SECRET", Fence: 7, Alive: true}, Labels: map[string]string{"SECRET": "SECRET"}, Remaining: []string{"9 SECRET"},
		}
	}
	off := secret("dashboard", unit.Service, unit.SwitchedOff)
	off.Because = "DASHBOARD is not set"
	return &fake{
		info: engine.Info{Version: "1.2.3", PID: 1, UID: ownUID, Started: time.Unix(5, 0).UTC(), ProcessSets: "sessions",
			Stopping: true, Durable: true, Strays: []string{"SECRET (pid 12)"},
			Conditions: []engine.Condition{{Code: engine.UnitFailed, Text: "SECRET has failed"}, {Code: engine.StateInMemory, Text: "SECRET is full"}, {Code: engine.UnitFailed, Text: "SECRET2 has failed"}}},
		changed: []engine.Change{{Name: "SECRET", Kind: engine.ChangeEdit, Keys: []string{"command"}, Effect: "its run is replaced"}},
		units: []engine.Status{
			secret("main", unit.Main, unit.AtBoot), off,
			secret("gateway@a", unit.Instance, unit.Asked), secret("worker@a", unit.Instance, unit.Crashed),
		},
		kept: []engine.Line{{Unit: "gateway@a", Run: 1, Seq: 1, Time: time.Unix(1, 0).UTC(), Stream: engine.Stdout, Text: "SECRET"}},
	}
}

// rules: the template gateway is managed by a user and a group, by name; worker by a uid. Of all units, a user and a group
// may read the output.
func rules(t testing.TB) Options {
	t.Helper()
	dir := t.TempDir()
	accounts := account.Database{Passwd: filepath.Join(dir, "passwd"), Group: filepath.Join(dir, "group")}
	write(t, accounts.Passwd, "root:x:0:0::/:\nkeeper:x:10000:10000::/:\nauditor:x:10002:10002::/:\n")
	write(t, accounts.Group, "root:x:0:\ncrew:x:20000:somebody\nadm:x:20001:\n")
	readers := unit.Managers{Users: []string{"auditor", "nosuchuser"}, Groups: []string{"adm"}}
	return Options{UID: ownUID, Accounts: accounts, Readers: func() unit.Managers { return readers }, Managers: func(template string) (unit.Managers, bool) {
		m, ok := map[string]unit.Managers{
			"gateway": {Users: []string{"keeper", "nosuchuser"}, Groups: []string{"crew"}},
			"worker":  {Users: []string{"10001"}},
		}[template]
		return m, ok
	}}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// manyGroups is a hundred groups, more than the first question to the kernel has room for.
func manyGroups(last uint32) []uint32 {
	var all []uint32
	for i := range uint32(99) {
		all = append(all, 30000+i)
	}
	return append(all, last)
}

// The access table of DESIGN, "Trust": every endpoint, for every kind of peer,
// on every kind of unit. What is refused never reaches the engine, and what
// reaches it carries the peer's uid.
func TestAccessTable(t *testing.T) {
	t.Parallel()
	needRoot(t)

	peers := []struct {
		who      string
		user     user
		owner    bool
		template string // the one that he manages
		reader   bool   // of every unit's output
	}{
		{who: "root", user: user{uid: 0}, owner: true},
		{who: "self", user: user{uid: ownUID, gid: ownUID}, owner: true},
		{who: "manager by user", user: user{uid: 10000, gid: 10000}, template: "gateway"},
		{who: "manager by supplementary group", user: user{uid: 12346, gid: 12346, groups: manyGroups(20000)}, template: "gateway"},
		{who: "manager by primary group", user: user{uid: 12347, gid: 20000}, template: "gateway"},
		{who: "manager of another template", user: user{uid: 10001, gid: 10001}, template: "worker"},
		{who: "reader by user", user: user{uid: 10002, gid: 10002}, reader: true},
		{who: "reader by supplementary group", user: user{uid: 12349, gid: 12349, groups: manyGroups(20001)}, reader: true},
		{who: "reader by primary group, and manager", user: user{uid: 10000, gid: 20001}, template: "gateway", reader: true},
		{who: "stranger", user: user{uid: 12345, gid: 12345, groups: []uint32{12346}}},
		{who: "root's group", user: user{uid: 12348, gid: 0, groups: []uint32{0}}},
	}
	verbs := []struct{ method, suffix, body, call string }{
		{"GET", "", "", ""},
		{"PUT", "", `{"down":true}`, "create-down"},
		{"DELETE", "", "", "remove"},
		{"POST", "/start", "", "start"},
		{"POST", "/stop", "", "stop"},
		{"POST", "/restart", "", "restart"},
		{"POST", "/signal", `{"signal":"HUP"}`, "signal-1"},
		{"GET", "/logs?tail=5", "", "logs-5"},
		{"GET", "/runs?limit=5", "", "runs-5"},
	}
	targets := []struct {
		name  string
		known bool
		bad   bool
	}{
		{name: "gateway@a", known: true}, {name: "gateway@new"}, {name: "worker@a", known: true}, {name: "worker@new"},
		{name: "dashboard", known: true}, {name: "main", known: true}, {name: "nosuch"}, {name: "nosuch@x"},
		{name: "../x", bad: true}, {name: "gateway@../x", bad: true}, {name: "gateway@a@b", bad: true}, {name: "gateway@", bad: true},
		{name: "gateway@a\n", bad: true}, {name: "gateway@" + strings.Repeat("a", 300), bad: true}, {name: "gateway@a/start", bad: true},
		{name: "@", bad: true}, {name: "..", bad: true},
	}
	for _, p := range peers {
		t.Run(p.who, func(t *testing.T) {
			t.Parallel()
			h := open(t, sample(), rules(t), nil)
			var requests []question
			var codes []int
			var calls []string
			for _, path := range []string{"/v1/info", "/v1/units"} {
				requests, codes = append(requests, question{Method: "GET", Path: path}), append(codes, 200)
			}
			for body, call := range map[string]string{`{"dry_run":true}`: "reload-dry", `{"dry_run":false}`: "reload", "": "reload", `{"files":["/x"]}`: ""} {
				code := 200
				switch {
				case !p.owner:
					code = 403
				case call == "":
					code = 400
				default:
					calls = append(calls, fmt.Sprintf("%s  %d", call, p.user.uid))
				}
				requests, codes = append(requests, question{"POST", "/v1/reload", body}), append(codes, code)
			}
			// Who may not read one of the units that he names reads none.
			for _, names := range [][]unit.Name{{"gateway@a"}, {"worker@a"}, {"gateway@a", "worker@a"}, {"gateway@a", "dashboard"}} {
				may := true
				var body []string
				for _, name := range names {
					may = may && (p.owner || p.reader || p.template != "" && p.template == name.Template())
					body = append(body, fmt.Sprintf(`{"unit":%q,"tail":5}`, name))
				}
				code := 403
				if may {
					code = 200
					for _, name := range names {
						calls = append(calls, fmt.Sprintf("logs-5 %s %d", name, p.user.uid))
					}
				}
				requests = append(requests, question{"POST", "/v1/logs", `{"units":[` + strings.Join(body, ",") + `]}`})
				codes = append(codes, code)
			}
			for _, to := range targets {
				name := unit.Name(to.name)
				manages := p.owner || p.template != "" && p.template == name.Template()
				for _, v := range verbs {
					may := manages || p.reader && v.suffix == "/logs?tail=5"
					code := 200
					switch {
					case to.name == "..": // not even a path that the server would clean
						code = 404
					case to.bad:
						code = 400
					case v.call != "" && !may:
						code = 403
					case v.method == "PUT" && !to.known && name.Template() == "":
						code = 400
					case v.method == "PUT" && !to.known:
						code = 201
					case !to.known:
						code = 404
					}
					requests = append(requests, question{v.method, "/v1/units/" + url.PathEscape(to.name) + v.suffix, v.body})
					codes = append(codes, code)
					if v.call != "" && may && !to.bad {
						calls = append(calls, fmt.Sprintf("%s %s %d", v.call, name, p.user.uid))
					}
				}
			}
			r, _ := as(t, p.user, "ask", task{Socket: h.socket, Requests: requests})
			if r.Err != "" {
				t.Fatal(r.Err)
			}
			for i, a := range r.Answers {
				if a.Code != codes[i] {
					t.Errorf("%s %.60s: %d, want %d: %.200s", requests[i].Method, requests[i].Path, a.Code, codes[i], a.Body)
				}
				if a.Code >= 400 {
					checkError(t, a)
				}
			}
			if got := h.engine.told(); !slices.Equal(got, calls) {
				t.Errorf("the engine was told %q, want %q", got, calls)
			}
		})
	}
}

// checkError tells whether an answer is an engine.Error whose kind fits its status.
func checkError(t *testing.T, a answer) {
	t.Helper()
	var e engine.Error
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil || !strings.HasPrefix(e.Message, "cannot ") {
		t.Errorf("%d with body %.200q, want an engine.Error", a.Code, a.Body)
	}
	if want := statusOf(e.Kind); a.Code != want && !(e.Kind == engine.Invalid && (a.Code == 404 || a.Code == 405)) {
		t.Errorf("%d with kind %s, want %d", a.Code, e.Kind, want)
	}
}

// "A refusal names the rule."
func TestRefusalsNameTheRule(t *testing.T) {
	t.Parallel()
	o := rules(t)
	asRoot := policy{uid: 0, managers: o.Managers, accounts: o.Accounts}
	asOther := policy{uid: ownUID, managers: o.Managers, accounts: o.Accounts}
	for _, c := range []struct {
		policy *policy
		verb   string
		name   unit.Name
		want   string
	}{
		{&asRoot, "stop", "dashboard", "cannot stop dashboard: uid 12345 may not: only root may, because dashboard is no instance of a template"},
		{&asOther, "stop", "main", "cannot stop main: uid 12345 may not: only root and uid 4242 may, because main is no instance of a template"},
		{&asRoot, "start", "gateway@x", "cannot start gateway@x: uid 12345 is not among the managers of template gateway (keeper, nosuchuser, group:crew)"},
		{&asRoot, "create", "other@x", "cannot create other@x: uid 12345 may not: only root may, because there is no template other"},
	} {
		err := c.policy.permit(peer{uid: 12345}, c.verb, c.name)
		if err == nil || err.Error() != c.want || engine.KindOf(err) != engine.Denied {
			t.Errorf("got %v (%s), want %s", err, engine.KindOf(err), c.want)
		}
	}
	err := asOther.admit(peer{uid: 12345}, "reload the configuration")
	if want := "cannot reload the configuration: uid 12345 may not: only root and uid 4242 may"; err == nil || err.Error() != want || engine.KindOf(err) != engine.Denied {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Who may read all output is asked at each decision, so that a reload counts at once; and a refusal names that rule too.
func TestReaders(t *testing.T) {
	t.Parallel()
	o := rules(t)
	var readers unit.Managers
	p := policy{uid: 0, managers: o.Managers, readers: func() unit.Managers { return readers }, accounts: o.Accounts}
	check := func(name unit.Name, want string) {
		t.Helper()
		err := p.permitRead(peer{uid: 10002, gids: []uint32{20001}}, "read the logs of", name)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != "cannot read the logs of "+want || engine.KindOf(err) != engine.Denied) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	check("main", "main: uid 10002 may not: only root may, because main is no instance of a template")
	check("gateway@a", "gateway@a: uid 10002 is not among the managers of template gateway (keeper, nosuchuser, group:crew)")
	readers = unit.Managers{Users: []string{"root"}, Groups: []string{"crew"}}
	check("main", "main: uid 10002 may not: only root and log.readers (root, group:crew) may, because main is no instance of a template")
	check("other@a", "other@a: uid 10002 may not: only root and log.readers (root, group:crew) may, because there is no template other")
	check("gateway@a", "gateway@a: uid 10002 is not among the managers of template gateway (keeper, nosuchuser, group:crew), nor among log.readers (root, group:crew)")
	for _, readers = range []unit.Managers{{Users: []string{"auditor"}}, {Groups: []string{"adm"}}} {
		check("main", "")
		check("other@a", "")
		check("gateway@a", "")
		if err := p.permit(peer{uid: 10002, gids: []uint32{20001}}, "stop", "gateway@a"); err == nil || strings.Contains(err.Error(), "readers") {
			t.Errorf("a reader that would stop it is told %v", err)
		}
	}
}

// A unit's keeper manages that unit, sees all of it, reads its output, and nothing of any other unit; a refusal names him.
func TestKeepers(t *testing.T) {
	t.Parallel()
	o := rules(t)
	keepers := map[unit.Name]int{"web": 10005, "db": 10006}
	p := policy{managers: o.Managers, readers: func() unit.Managers { return unit.Managers{} }, accounts: o.Accounts, keeper: func(name unit.Name) (int, bool) {
		uid, ok := keepers[name]
		return uid, ok
	}}
	who := peer{uid: 10005}
	if err := p.permit(who, "stop", "web"); err != nil {
		t.Error(err)
	}
	if err := p.permitAll(who, "read the logs of", []engine.LogRequest{{Name: "web"}}); err != nil {
		t.Error(err)
	}
	for _, name := range []unit.Name{"db", "main", "gateway@a"} {
		if err := p.permit(who, "stop", name); engine.KindOf(err) != engine.Denied {
			t.Errorf("he may stop %s: %v", name, err)
		}
		err := p.permitAll(who, "read the logs of", []engine.LogRequest{{Name: "web"}, {Name: name}})
		if engine.KindOf(err) != engine.Denied || !slices.Equal(asError(err).Units, []unit.Name{name}) {
			t.Errorf("he may read the logs of %s: %v", name, err)
		}
	}
	if err, want := p.permit(who, "stop", "db"), "cannot stop db: uid 10005 may not: only root and uid 10006 may, because db is no instance of a template"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	view := p.viewer(who)
	for name, restricted := range map[unit.Name]bool{"web": false, "db": true, "main": true} {
		for range 2 { // what is remembered of one is not taken for the other
			if s := view(engine.Status{Name: name, Origin: "/x"}); s.Restricted != restricted || (s.Origin == "") != restricted {
				t.Errorf("he sees of %s: %+v", name, s)
			}
		}
	}
}

// A change of /etc/passwd or /etc/group counts at the next decision.
func TestAccountsCountAtOnce(t *testing.T) {
	t.Parallel()
	o := rules(t)
	p := policy{uid: 0, managers: o.Managers, accounts: o.Accounts}
	who := peer{uid: 555, gids: []uint32{556}}
	may := func() bool { return p.permit(who, "stop", "gateway@a") == nil }
	if may() {
		t.Fatal("a stranger may")
	}
	write(t, o.Accounts.Passwd, "keeper:x:555:1::/:\n")
	if !may() {
		t.Error("keeper got a new uid and may not")
	}
	write(t, o.Accounts.Passwd, "")
	write(t, o.Accounts.Group, "crew:x:556:\n")
	if !may() {
		t.Error("crew got a new gid and may not")
	}
	if err := os.Remove(o.Accounts.Group); err != nil {
		t.Fatal(err)
	}
	if may() {
		t.Error("with no accounts at all he still may")
	}
}

// A peer without rights sees names and states, and the reason as a word; a
// field of engine.Status that nobody thought of is hidden.
func TestRedactionIsAListOfWhatIsShown(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{"Name": true, "Kind": true, "State": true, "Desired": true, "Since": true, "Reason": true, "Because": true, "Restricted": true, "Run": true, "Gone": true}
	full := sample().units[0]
	full.Gone = true
	v, whole := reflect.ValueOf(redact(full)), reflect.ValueOf(full)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name != "Restricted" && whole.Field(i).IsZero() {
			t.Errorf("the sample has no %s: nothing is tested for it", name)
		}
		if v.Field(i).IsZero() == shown[name] {
			t.Errorf("%s: %v", name, v.Field(i))
		}
	}
	for _, reason := range []unit.Reason{unit.NeverStarted, unit.Asked, unit.Crashed, unit.AwaitsDependency, unit.DependencyFailed, unit.Hung} {
		if got := because(engine.Status{Reason: reason, Because: "SECRET"}); got == "" || strings.Contains(got, "SECRET") {
			t.Errorf("%s: %q", reason, got)
		}
	}
	if got := because(engine.Status{Reason: "unheard-of", Because: "SECRET"}); got != "" {
		t.Errorf("a reason that nobody knows: %q", got)
	}
}

// What each peer sees, over the socket: no secret of a unit that he does not manage.
func TestRedaction(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, p := range []struct {
		user user
		full []unit.Name
	}{
		{user{uid: 0}, []unit.Name{"main", "dashboard", "gateway@a", "worker@a"}},
		{user{uid: ownUID}, []unit.Name{"main", "dashboard", "gateway@a", "worker@a"}},
		{user{uid: 10000}, []unit.Name{"gateway@a"}},
		{user{uid: 12345}, nil},
	} {
		h := open(t, sample(), rules(t), nil)
		// A watch that ends: the engine fails after what there is.
		h.engine.fails = make(chan error, 1)
		h.engine.fails <- engine.Errorf(engine.Internal, "cannot watch: enough")
		r, _ := as(t, p.user, "ask", task{Socket: h.socket, Requests: []question{
			{Method: "GET", Path: "/v1/info"}, {Method: "GET", Path: "/v1/units"}, {Method: "GET", Path: "/v1/watch"},
			{Method: "GET", Path: "/v1/units/main"}, {Method: "GET", Path: "/v1/units/dashboard"},
			{Method: "GET", Path: "/v1/units/gateway@a"}, {Method: "GET", Path: "/v1/units/worker@a"},
		}})
		if r.Err != "" {
			t.Fatal(r.Err)
		}
		owner := len(p.full) == 4
		if info := r.Answers[0].Body; strings.Contains(info, "SECRET") != owner || !strings.Contains(info, `"1.2.3"`) || !strings.Contains(info, `"stopping":true`) {
			t.Errorf("uid %d sees the info %s", p.user.uid, info)
		}
		var info engine.Info
		if err := json.Unmarshal([]byte(r.Answers[0].Body), &info); err != nil {
			t.Fatal(err)
		}
		want := sample().info.Conditions
		if !owner { // what an alert is made of, each once
			want = []engine.Condition{{Code: engine.UnitFailed, Text: "a unit has failed"}, {Code: engine.StateInMemory, Text: "desired states are kept in memory only"}}
		}
		if !slices.Equal(info.Conditions, want) || !info.Durable {
			t.Errorf("uid %d sees the conditions %q, durable %t", p.user.uid, info.Conditions, info.Durable)
		}
		var seen []engine.Status
		if err := json.Unmarshal([]byte(r.Answers[1].Body), &seen); err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(strings.TrimSpace(r.Answers[2].Body), "\n")[:4] {
			seen = append(seen, decodeStatus(t, l))
		}
		for _, a := range r.Answers[3:] {
			seen = append(seen, decodeStatus(t, a.Body))
		}
		if len(seen) != 12 {
			t.Fatalf("uid %d sees %d statuses, want each unit three times", p.user.uid, len(seen))
		}
		for _, s := range seen {
			text := fmt.Sprintf("%+v", s)
			if full := slices.Contains(p.full, s.Name); full == s.Restricted || full != (s.PID != 0) || !full && strings.Contains(text, "SECRET") {
				t.Errorf("uid %d sees %s", p.user.uid, text)
			}
			if s.Name == "dashboard" && s.Because != "DASHBOARD is not set" {
				t.Errorf("uid %d is told that the dashboard is off because %q", p.user.uid, s.Because)
			}
		}
	}
}

func decodeStatus(t *testing.T, text string) engine.Status {
	t.Helper()
	var s engine.Status
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
