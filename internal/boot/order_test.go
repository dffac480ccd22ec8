package boot

import (
	"strings"
	"testing"

	"pintle/internal/unit"
)

// TestStopOrder: units end against the arrows of depends_on, main among them; what
// a oneshot did is undone after those that depend on it. Each begins to end when the ones before have.
func TestStopOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, `
main: {command: `+obeys(dir, "main")+`, depends_on: {cache: {condition: ready}}}
oneshots:
  mount: {up: ['true'], down: [sh, -c, "echo mount >> `+dir+`/order"]}
services:
  db: {command: `+obeys(dir, "db")+`, depends_on: {mount: {condition: done}}}
  cache: {command: `+obeys(dir, "cache")+`, depends_on: [db]}
  proxy: {command: `+obeys(dir, "proxy")+`, depends_on: [main]}
`)
	for _, name := range []string{"main", "db", "cache", "proxy"} {
		p.line(t, dir+"/"+name)
		p.untilUnit(t, unit.Name(name), is(unit.Up))
	}
	p.term(t)
	if code := p.code(t); code != 0 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
	if got, want := strings.Fields(p.line(t, dir+"/order")), "proxy main cache db mount"; strings.Join(got, " ") != want {
		t.Errorf("the order was %q, want %s\n%s", got, want, &p.stderr)
	}
}

// TestStopOrderAfterMainsEnd: main's own end ends the rest in the same order.
func TestStopOrderAfterMainsEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, `
main: {command: `+self("until", dir+"/go", "6")+`, depends_on: [db]}
services:
  db: {command: `+obeys(dir, "db")+`}
  web: {command: `+obeys(dir, "web")+`, depends_on: [db]}
`)
	p.line(t, dir+"/db")
	p.line(t, dir+"/web")
	p.untilUnit(t, "main", is(unit.Up))
	touch(t, dir+"/go")
	if code := p.code(t); code != 6 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
	if got := p.line(t, dir+"/order"); got != "web\ndb" {
		t.Errorf("the order was %q\n%s", got, &p.stderr)
	}
}
