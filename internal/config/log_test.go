package config

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

// logging has each key of a log at least once, on each level, and none at its default.
const logging = `
log:
  mode: "600"
  rotate: {size: 8KB, age: 1d, total: 50MB}
  memory: 1MiB
  console: {format: json, wait: true}
  overflow: drop
  readers: [ops, "group:adm"]
  secrets: [DATABASE_URL, "*_TOKEN"]
  socket: /dev/./log
main: {command: [main]}
oneshots:
  once: {up: [once], log: {directory: /l/once, overflow: block, rotate: {total: unlimited}}}
services:
  all:
    command: [all]
    log:
      directory: /l/all
      mode: 0660
      rotate: {size: 4KB, age: 1d12h, keep: unlimited, total: 4KB, compress: gzip}
      memory: 4KiB
      console: {format: none, wait: no}
      overflow: block
  bare: {command: [bare]}
  off: {command: [off], log: {directory: "${NOWHERE:-}", rotate: {keep: 3}, console: raw}}
templates:
  gw:
    command: [gw]
    log: {directory: /l/%i, rotate: {age: never, keep: 5}, console: {format: raw}}
    overrides:
      a: {log: {rotate: {keep: 7}, console: {wait: no}}}
      b: {log: {directory: ""}}
      c: {log: {directory: /other}}
`

// What holds for a unit's output is said key by key: by the unit, else by its template, else by the container.
func TestLog(t *testing.T) {
	t.Parallel()
	c, err := fromText(nil, logging)
	if err != nil {
		t.Fatal(err)
	}
	checkShown(t, c)
	want := Log{
		Console: unit.ConsoleJSON, Readers: unit.Managers{Users: []string{"ops"}, Groups: []string{"adm"}},
		Secrets: []string{"DATABASE_URL", "*_TOKEN"}, Socket: "/dev/log",
	}
	if diff := cmp.Diff(want, c.Log); diff != "" {
		t.Errorf("the container's, want -, got +:\n%s", diff)
	}
	if c.Main.Spec.Log != nil {
		t.Errorf("main's output is its own, but %+v", c.Main.Spec.Log)
	}
	const memory = 1 << 20
	gw := unit.Log{Directory: "/l/%i", Mode: 0o600, Size: 8000, Keep: 5, Total: 50e6, Drop: true, Memory: memory, Console: unit.ConsoleRaw, ConsoleWait: true}
	a, other := gw, gw
	a.Directory, a.Keep, a.ConsoleWait = "/l/a", 7, false
	other.Directory = "/other"
	plain := gw
	plain.Directory = "/l/plain"
	for name, want := range map[string]unit.Log{
		"once": {Directory: "/l/once", Mode: 0o600, Size: 8000, Age: 24 * time.Hour, Keep: unit.DefaultLogKeep, Memory: memory, Console: unit.ConsoleJSON, ConsoleWait: true},
		"all": {
			Directory: "/l/all", Mode: 0o660, Size: 4000, Age: 36 * time.Hour, Total: 4000, Compress: true, Memory: 4 << 10, Console: unit.ConsoleNone,
		},
		"bare":     {Memory: memory, Console: unit.ConsoleJSON, ConsoleWait: true},
		"off":      {Memory: memory, Console: unit.ConsoleRaw, ConsoleWait: true},
		"gw":       gw,
		"gw@plain": plain,
		"gw@a":     a,
		"gw@b":     {Memory: memory, Console: unit.ConsoleRaw, ConsoleWait: true},
		"gw@c":     other,
	} {
		if diff := cmp.Diff(&want, logOf(t, c, name)); diff != "" {
			t.Errorf("%s, want -, got +:\n%s", name, diff)
		}
	}
}

// logOf is what becomes of the output of a unit, a template or an instance.
func logOf(t *testing.T, c *Config, name string) *unit.Log {
	t.Helper()
	for _, s := range c.Units() {
		if string(s.Name) == name {
			return s.Log
		}
	}
	template, instance, is := strings.Cut(name, "@")
	found, ok := c.Template(template)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	if !is {
		return found.Spec.Log
	}
	s, err := found.Instantiate(instance)
	if err != nil {
		t.Fatal(err)
	}
	return s.Log
}

// Where nothing is said, all of a unit's output is as it was before there was anything to say; and that is shown.
func TestLogByDefault(t *testing.T) {
	t.Parallel()
	c, err := fromText(nil, service("log: {directory: /l}")+"log:\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept("/l"), c.Services[0].Log); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff(Log{Console: unit.ConsolePrefixed}, c.Log); diff != "" {
		t.Errorf("the container's, want -, got +:\n%s", diff)
	}
	var out bytes.Buffer
	if err := c.Show(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`
    log:
      directory: /l
      mode: "0640"
      rotate: {size: 1MB, age: never, keep: 10, total: unlimited, compress: none}
      overflow: block
      memory: 64KiB
      console: {format: prefixed, wait: false}
`, "\nlog:\n  console: prefixed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Show does not say\n%s:\n%s", want, &out)
		}
	}
	checkShown(t, c)
}

// A name is secret when it is one of the names, or one of the patterns stands for all of it.
func TestSecretNames(t *testing.T) {
	t.Parallel()
	c, err := fromText(nil, `log: {secrets: [KEY, "*_TOKEN", "DB_?", "[AB]X"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"KEY": true, "A_TOKEN": true, "_TOKEN": true, "A_B_TOKEN": true, "DB_1": true, "AX": true, "A/B_TOKEN": false,
		"key": false, "KEYS": false, "A_TOKENS": false, "TOKEN": false, "DB_12": false, "CX": false, "": false,
	} {
		if got := c.Log.Secret(name); got != want {
			t.Errorf("%q is secret: %t", name, got)
		}
	}
	if (&Log{}).Secret("KEY") {
		t.Error("a variable is secret where nothing is said of it")
	}
}

// What can be wrong with logs.
func TestErrorsOfLogs(t *testing.T) {
	t.Parallel()
	web := func(keys string) string { return service("log: {" + keys + "}") }
	top := func(keys string) string { return "log: {" + keys + "}\n" }
	checkMistakes(t, []mistake{
		{"log: {}\nlog: {}\n", `2:1: cannot use log: it is given twice, first in line 1`},
		{"log: on\n", `1:6: cannot use log: it is a single value, and a mapping is needed`},
		{"main: {log: {}}\n", `1:8: cannot use main.log: there is no such key`},
		{top("directory: /l"), `1:18: cannot use log.directory: units can't share one; write it at each unit's own log`},
		{top("rotat: {}"), `1:7: cannot use log.rotat: there is no such key; did you mean rotate?`},
		{top("rotate: {compres: gzip}"), `1:16: cannot use log.rotate.compres: there is no such key; did you mean compress?`},
		{top("readers: ops"), `1:16: cannot use log.readers: it is a single value, and a list is needed`},
		{top(`readers: ["a b"]`), `1:17: cannot use log.readers[0]: "a b" is neither a user nor group:NAME`},
		{top(`secrets: [A=B]`), `1:17: cannot use log.secrets[0]: "A=B" is no variable's name`},
		{top(`secrets: [""]`), `1:17: cannot use log.secrets[0]: "" is no variable's name`},
		{top(`secrets: ["[A"]`), `1:17: cannot use log.secrets[0]: "[A" is no pattern for names such as *_TOKEN`},
		{top(`secrets: [A, "*?"]`), `1:20: cannot use log.secrets[1]: "*?" stands for every variable, and their values for half of what is written`},
		{top("socket: dev/log"), `1:15: cannot use log.socket: "dev/log" is no absolute path`},
		{top("socket: /dev/"), `1:15: cannot use log.socket: it is a directory's`},
		{top("socket: /run/../dev/log"), `1:15: cannot use log.socket: "/run/../dev/log" has a ".."`},
		{top(`socket: "${SET}"`), `1:15: cannot use log.socket: the value from SET is no absolute path`},
		{top("socket: /" + strings.Repeat("a", maxSocket)), `1:15: cannot use log.socket: "/` + strings.Repeat("a", 59) + `"… is longer than a socket's path may be, 107 bytes`},
		{top("rotate: {total: 5KB}"), `1:23: cannot use log.rotate.total: it is less than the default of size, 1MB`},
		{top("rotate: {total: 5KB, size: 6KB}"), `1:23: cannot use log.rotate.total: it is less than size`},
		{web("readers: [ops]"), `4:11: cannot use services.web.log.readers: there is no such key`},
		{web("directory: l"), `4:22: cannot use services.web.log.directory: "l" is no absolute path`},
		{service("log: {directory: /l}\n  a: {command: [x], log: {directory: /l/}}"), `5:38: cannot use services.a.log.directory: units can't share one, and it is used in 4:22 already`},
		{template("log: {directory: /l/%i}\n    overrides: {a: {log: {directory: /m}}, b: {log: {directory: /l/%i}}, c: {log: {directory: /m/.}}}"), `5:95: cannot use templates.gw.overrides.c.log.directory: units can't share one, and it is used in 5:38 already`},
		{web("directory: /l/../m"), `4:22: cannot use services.web.log.directory: "/l/../m" has a ".."`},
		{web("mode: 0600"), `4:17: cannot use services.web.log.mode: it has no directory, so there are no files`},
		{web("overflow: drop, rotate: {}"), "4:21: cannot use services.web.log.overflow: it has no directory, so there are no files\n4:27: cannot use services.web.log.rotate: it has no directory, so there are no files"},
		{web("directory: /l, mode: 4640"), `4:32: cannot use services.web.log.mode: "4640" has more than permissions`},
		{web("directory: /l, mode: 0642"), `4:32: cannot use services.web.log.mode: "0642" would let everybody write there`},
		{web("directory: /l, mode: 0440"), `4:32: cannot use services.web.log.mode: "0440" would not let its owner read and write it`},
		{web("directory: /l, mode: rw"), `4:32: cannot use services.web.log.mode: "rw" is no octal mode such as 0644`},
		{web("directory: /l, rotate: {age: 5}"), `4:40: cannot use services.web.log.rotate.age: "5" is no duration such as 30m or 168h`},
		{web("directory: /l, rotate: {age: 1d-2h}"), `4:40: cannot use services.web.log.rotate.age: "1d-2h" is no duration such as 30m or 168h`},
		{web("directory: /l, rotate: {age: d}"), `4:40: cannot use services.web.log.rotate.age: "d" is no duration such as 30m or 168h`},
		{web("directory: /l, rotate: {age: 0s}"), `4:40: cannot use services.web.log.rotate.age: "0s" is less than 1s`},
		{web("directory: /l, rotate: {age: 367d}"), `4:40: cannot use services.web.log.rotate.age: "367d" is longer than a year`},
		{web("directory: /l, rotate: {age: 65535d9000h}"), `4:40: cannot use services.web.log.rotate.age: "65535d9000h" is longer than a year`},
		{web("directory: /l, rotate: {keep: 1001}"), `4:41: cannot use services.web.log.rotate.keep: "1001" is neither a whole number from 1 to 1000 nor unlimited`},
		{web("directory: /l, rotate: {total: many}"), `4:42: cannot use services.web.log.rotate.total: "many" is no size such as 64KiB or 1MB`},
		{web("directory: /l, rotate: {total: 999KB}"), `4:42: cannot use services.web.log.rotate.total: it is less than the default of size, 1MB`},
		{web("directory: /l, rotate: {size: \"${HUGE}\", total: 9MB}"), `4:59: cannot use services.web.log.rotate.total: it is less than size`},
		{web("directory: /l, rotate: {size: 1KB, total: 5KB}"), `4:41: cannot use services.web.log.rotate.size: "1KB" is less than 4KB`},
		{web("directory: /l, rotate: {size: 5KB, total: 1KB}"), `4:53: cannot use services.web.log.rotate.total: "1KB" is less than 4KB`},
		{web("directory: /l, rotate: {compress: zip}"), `4:45: cannot use services.web.log.rotate.compress: "zip" is not none or gzip`},
		{web("directory: /l, overflow: wait"), `4:36: cannot use services.web.log.overflow: "wait" is not block or drop`},
		{web("memory: 4KB"), `4:19: cannot use services.web.log.memory: "4KB" is less than 4KiB`},
		{web("memory: 65MiB"), `4:19: cannot use services.web.log.memory: "65MiB" is more than 64MiB`},
		{web("memory: 64"), `4:19: cannot use services.web.log.memory: "64" has no unit; write a size such as 64KiB or 1MB`},
		{web("console: colour"), `4:20: cannot use services.web.log.console: "colour" is not raw, prefixed, json or none`},
		{web("console: {wait: perhaps}"), `4:27: cannot use services.web.log.console.wait: "perhaps" is no boolean; write true or false`},
		{web("console: {forma: raw}"), `4:21: cannot use services.web.log.console.forma: there is no such key; did you mean format?`},
		{web("console: [raw]"), `4:20: cannot use services.web.log.console: it is a list, and a mapping is needed`},
		{top("rotate: {total: 2MB}") + web("directory: /l, rotate: {size: 3MB}"), `5:41: cannot use services.web.log.rotate.size: it is more than total`},
		{top("rotate: {size: 3MB}") + web("directory: /l, rotate: {total: 2MB}"), `5:42: cannot use services.web.log.rotate.total: it is less than size`},
		{template("overrides: {a: {log: {directory: l}}}"), `4:38: cannot use templates.gw.overrides.a.log.directory: "l" is no absolute path`},
		{template("overrides: {a: {log: {mode: 0600}}}"), `4:33: cannot use templates.gw.overrides.a.log.mode: it has no directory, so there are no files`},
		{template("log: {directory: /l/%i, rotate: {size: 3MB}}\n    overrides: {a: {log: {rotate: {total: 2MB}}}}"), `5:43: cannot use templates.gw.overrides.a.log.rotate.total: it is less than size`},
	})
	if _, err := fromText(nil, "log: {}\n", "log: {}\n"); err == nil || err.Error() != "b.yaml:1:1: cannot define log: it is defined in a.yaml:1:1 already" {
		t.Errorf("two files have a log: %v", err)
	}
}
