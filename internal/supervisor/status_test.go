package supervisor

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// TestBecause: the sentence of each reason, in each state that can have it.
func TestBecause(t *testing.T) {
	t.Parallel()
	began := time.Unix(1e9, 0)
	exited := &engine.RunEnd{Run: 3, Started: began, Ended: began.Add(1200 * time.Millisecond), Exit: unit.Exit{Code: 3}}
	unfit := &engine.RunEnd{Run: 3, Started: began, Ended: began, Exit: unit.Exit{Code: 127}, Error: "cannot execute web: there is no such file"}
	var s Supervisor
	for want, u := range map[string]record{
		"WEB_ENABLED is not set":                                   {spec: &unit.Spec{Enabled: unit.Switch{Because: " WEB_ENABLED is not set\n"}}, life: life(unit.Disabled, unit.SwitchedOff, 0)},
		"its configuration says so":                                {life: life(unit.Disabled, unit.SwitchedOff, 0)},
		"nobody has started it":                                    {life: life(unit.Down, unit.NeverStarted, 0)},
		"asked to be down by uid 7 (pid 8)":                        {life: life(unit.Down, unit.Asked, 0)},
		"stopped by uid 7 (pid 8)":                                 {life: life(unit.Down, unit.Asked, 3)},
		"removed by uid 7 (pid 8)":                                 {life: life(unit.Down, unit.Asked, 3), gone: true, removing: true},
		"started by uid 7 (pid 8)":                                 {life: life(unit.Up, unit.Asked, 3)},
		"being stopped by uid 7 (pid 8)":                           {life: life(unit.Stopping, unit.Asked, 3)},
		"being removed by uid 7 (pid 8)":                           {life: life(unit.Stopping, unit.Asked, 3), removing: true},
		"being restarted by uid 7 (pid 8)":                         {life: life(unit.Stopping, unit.Asked, 3), intent: unit.Intent{Up: true}},
		"started with the container":                               {life: life(unit.Starting, unit.AtBoot, 1)},
		"waiting for :80 to accept a connection":                   {life: life(unit.Starting, unit.NotReady, 1)},
		"the container is stopping":                                {life: life(unit.Stopping, unit.ContainerStopping, 1)},
		"cannot execute web: there is no such file":                {life: life(unit.Backoff, unit.CannotExecute, 3), last: unfit},
		"it exited with code 3 after 1.2 s":                        {life: life(unit.Backoff, unit.Crashed, 3), last: exited},
		"started again after run 3 exited with code 3 after 1.2 s": {life: life(unit.Up, unit.Crashed, 4), last: exited},
		"started again after run 3 could not be executed: cannot execute web: there is no such file": {life: life(unit.Starting, unit.Crashed, 4), last: unfit},
		"it exited with code 3 after 1.2 s; what it left behind is being ended":                      {life: life(unit.Stopping, unit.Crashed, 3), last: exited},
		"it exited with code 3 after 1.2 s, and exit_codes says what follows":                        {life: life(unit.Failed, unit.ExitRule, 3), last: exited},
		"it exited with code 3 after 1.2 s, and restart is never":                                    {life: life(unit.Failed, unit.RestartRule, 3), last: exited},
	} {
		if u.spec == nil {
			u.spec = &unit.Spec{Name: "web", Restart: unit.RestartNever, Readiness: &unit.Readiness{Check: unit.Check{TCP: ":80"}}}
		}
		u.by = unit.Actor{Kind: "peer", UID: 7, PID: 8}
		if got := s.because(&u); got != want {
			t.Errorf("%s, %s: because %s, want %s", u.life.State, u.life.Reason, got, want)
		}
	}
}

func life(s unit.State, r unit.Reason, run uint64) lifecycle.Unit {
	return lifecycle.Unit{State: s, Reason: r, Run: run}
}

// TestEnvironment: the container's, then the user's, then the unit's own, then the run's.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	self := &process.Identity{Name: "self", UID: os.Geteuid(), Home: "/home/self"}
	other := &process.Identity{Name: "agent", UID: os.Geteuid() + 1, Home: "/home/agent"}
	base := []string{"HOME=/root", "USER=root", "LOGNAME=root", "PATH=/bin", "EMPTY=", "EQUALS=a=b", "nonsense"}
	run := []string{"PINTLE_INSTANCE=a", "PINTLE_RUN=5", "PINTLE_STOP_GRACE=0", "PINTLE_TEMPLATE=gateway", "PINTLE_UNIT=gateway@a"}
	for name, c := range map[string]struct {
		base []string
		own  map[string]string
		id   *process.Identity
		want []string
	}{
		"pintle's own user": {base, nil, self,
			[]string{"EMPTY=", "EQUALS=a=b", "HOME=/root", "LOGNAME=root", "PATH=/bin", "USER=root"}},
		"another user": {base, nil, other,
			[]string{"EMPTY=", "EQUALS=a=b", "HOME=/home/agent", "LOGNAME=agent", "PATH=/bin", "USER=agent"}},
		"the unit has the last word": {base, map[string]string{"HOME": "/data", "EMPTY": "no", "NEW": ""}, other,
			[]string{"EMPTY=no", "EQUALS=a=b", "HOME=/data", "LOGNAME=agent", "NEW=", "PATH=/bin", "USER=agent"}},
		"but not on what pintle says of the run": {nil, map[string]string{"PINTLE_UNIT": "x", "PINTLE_RUN": "x", "PINTLE_MARK": "x"}, self, nil},
		"nothing of a pintle outside this one":   {[]string{"PINTLE_UNIT=outer", "PINTLE_RUN=9", "PINTLE_MARK=outer"}, nil, self, nil},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &unit.Spec{Name: "gateway@a", Environment: c.own}
			want := slices.Sorted(slices.Values(slices.Concat(c.want, run)))
			s := Supervisor{environ: newEnviron(c.base)}
			got, err := s.environment(spec, 5, c.id)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("it has %q,\nwant %q; %v", got, want, err)
			}
		})
	}
}

// TestARunsEnvironment: what is promised of it arrives, under the user that was asked for.
func TestARunsEnvironment(t *testing.T) {
	alone(t, func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can switch users")
		}
		web := service("web", `(id -u; pwd; echo $HOME $USER $PINTLE_UNIT $PINTLE_RUN $TOLD; cat /proc/$$/environ | tr '\0' '\n' | grep -c '^PINTLE_MARK='; echo >&2 err) | tr '\n' ';'; echo; `+forever, func(s *unit.Spec) {
			s.User, s.Environment, s.WorkingDir = "12345", map[string]string{"TOLD": "yes"}, "/"
		})
		w := newWorld(t, Options{Services: []unit.Spec{web}, Environ: []string{"PATH=" + os.Getenv("PATH"), "PINTLE_MARK=outer/x/1", "HOME=/root"}})
		w.untilLine("web", "12345;/;/ 12345 web 1 yes;1;")
		w.untilLine("web", "err")
	})
}

// TestNoSecrets: the value of a variable is in no status, whatever becomes of the unit, and in no line of pintle's.
func TestNoSecrets(t *testing.T) {
	alone(t, func(t *testing.T) {
		const secret = "hunter2-hunter2"
		knows := func(s *unit.Spec) { s.Environment = map[string]string{"TOKEN": secret} }
		never := closedPort(t)
		w := newWorld(t, Options{
			Services: []unit.Spec{
				sleeper("up", knows), service("crash", "exit 1", knows), unfit("unfit", knows),
				sleeper("unready", knows, func(s *unit.Spec) { s.Readiness = &unit.Readiness{Check: unit.Check{TCP: never}} }),
				service("failed", "exit 1", knows, func(s *unit.Spec) { s.Restart = unit.RestartNever }),
			},
			Templates: []unit.Template{template(func(u *unit.Template) { u.Spec = sleeper("", knows) })},
			Environ:   []string{"PATH=" + os.Getenv("PATH"), "OUTER=" + secret},
		})
		ctx := context.Background()
		w.untilState("up", unit.Up)
		w.untilState("crash", unit.Backoff)
		w.untilState("unfit", unit.Backoff)
		w.untilState("failed", unit.Failed)
		_, _, err := w.Create(ctx, engine.CreateRequest{Name: "gateway@A"})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Error(err)
		}
		list, err := w.List(ctx)
		if err != nil || len(list) != 5 {
			t.Fatal(list, err)
		}
		info, err := w.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, v := range []any{list, info} {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		if strings.Contains(string(all), secret) || strings.Contains(w.log.String(), secret) {
			t.Errorf("the secret is in\n%s\n%s", all, w.log)
		}
	})
}
