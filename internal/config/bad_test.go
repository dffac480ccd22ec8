package config

import (
	"strings"
	"testing"
)

// service, oneshot and template are small files with one more line in the unit.
func service(line string) string {
	return "services:\n  web:\n    command: [web]\n    " + line + "\n"
}

func oneshot(line string) string {
	return "oneshots:\n  web:\n    up: [web]\n    " + line + "\n"
}

func template(line string) string {
	return "templates:\n  gw:\n    command: [gw]\n    " + line + "\n"
}

// mistake is a file, and the errors that it has.
type mistake struct{ text, want string }

// checkMistakes checks that every mistake is said in words, at the place where it was
// made, and that no error prints what a variable holds.
func checkMistakes(t *testing.T, tests []mistake) {
	t.Helper()
	const secret = "secretvalue"
	env := []string{"SET=" + secret, "EMPTY=", "NUL=a\x00b", "LONG=77m", "MANY=7777777", "HUGE=77MB"}
	for _, test := range tests {
		_, err := fromText(env, test.text)
		if err == nil {
			t.Errorf("%.200q: no error, want %s", test.text, test.want)
			continue
		}
		if _, ok := err.(Errors); !ok {
			t.Errorf("%.200q: the error is a %T", test.text, err)
		}
		if got := strings.ReplaceAll(err.Error(), "a.yaml:", ""); got != strings.ReplaceAll(test.want, "a.yaml:", "") {
			t.Errorf("%.200q:\n got %s\nwant %s", test.text, got, test.want)
		}
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "77m") || strings.Contains(err.Error(), "77MB") || strings.Contains(err.Error(), "7777777") {
			t.Errorf("%.200q: the error prints a variable's value: %s", test.text, err)
		}
	}
}

// What can be wrong with a file, with main, and with the shape of values.
func TestErrors(t *testing.T) {
	t.Parallel()
	checkMistakes(t, []mistake{
		{"servces:\n", `1:1: cannot use servces: there is no such key; did you mean services?`},
		{"main: {comand: [a]}\n", `1:8: cannot use main.comand: there is no such key; did you mean command?`},
		{"main: []\n", `1:7: cannot use main: it is a list, and a mapping is needed`},
		{"main: x\n", `1:7: cannot use main: it is a single value, and a mapping is needed`},
		{"- a\n", `1:1: cannot use the file: it holds a list, and a mapping with keys such as main: is needed`},
		{"foo\n", `1:1: cannot use the file: it holds a single value, and a mapping with keys such as main: is needed`},
		{"a: 1\n---\nb: 2\n", `2:1: cannot parse: a second document begins here, and a file holds one`},
		{"a:\n\tb: 1\n", `2:1: cannot parse: a tab is not allowed here; indent with spaces`},
		{"main:\n  user: \"a\n", `2:9: cannot parse: could not find end character of double-quoted text`},
		{"main: {user: ${X}}\n", `1:15: cannot parse: ',' or '}' must be specified; within [ ] and { } a value with ${ needs quotes: "${NAME}"`},
		{"main: {command: [a]\n", `1:7: cannot parse: could not find flow mapping end token '}'`},
		{"\xff\n", `1:1: cannot parse: the file is not UTF-8 here`},
		{"main:\n  user: é\xc3\n", `2:10: cannot parse: the file is not UTF-8 here`},
		{"main: a\x00b\n", `1:8: cannot parse: the control character U+0000 is not allowed`},
		{"main:\n  user: \"a\\0b\"\n", `2:9: cannot use main.user: it has a NUL byte, which no program can be given`},
		{"main:\n  user: ${NUL}\n", `2:9: cannot use main.user: it has a NUL byte, which no program can be given`},
		{"main:\ruser\n", `1:6: cannot parse: the control character U+000D is not allowed`},
		{"main: &m {user: a}\n", `1:7: cannot use &m: anchors and aliases are not supported; quote the value if it is text`},
		{"main:\n  <<: {user: a}\n", `2:3: cannot use <<: merge keys are not supported`},
		{"main: *m\n", `1:7: cannot use *m: anchors and aliases are not supported; quote the value if it is text`},
		{"main:\n  user: !!str a\n", `2:9: cannot use !!str: tags are not supported; quote the value if it is text`},
		{"%YAML 1.2\n---\nmain: {}\n", `1:1: cannot use %: directives are not supported; quote the value if it is text`},
		{"? main\n: {}\n", `1:1: cannot use ?: write the key before a colon`},
		{"main:\n  user: a\n  user: b\n", `3:3: cannot use main.user: it is given twice, first in line 2`},
		{"services:\n  web: {command: [a]}\n  web: {command: [b]}\n", `3:3: cannot use services.web: it is given twice, first in line 2`},
		{"main:\n  command: sh -c x\n", `2:12: cannot use main.command: write a list, such as [sleep, 60]; pintle asks no shell to split it`},
		{"main:\n  command: []\n", `2:12: cannot use main.command: it is empty`},
		{"main:\n  command: [\"\"]\n", `2:13: cannot use main.command: its first word, the program, is empty`},
		{"main:\n  command: [a, null]\n", `2:16: cannot use main.command[1]: it has no value; write "" for an empty text`},
		{"main:\n  command: [a, [b]]\n", `2:16: cannot use main.command[1]: it is a list, and a single value is needed`},
		{"main:\n  command: {a: b}\n", `2:12: cannot use main.command: it is a mapping, and a list is needed`},
		{"main:\n  command:\n", `2:12: cannot use main.command: it is empty, and a list is needed`},
		{"main:\n  restart: always\n", `2:3: cannot use main.restart: there is no such key`},
		{"main:\n  stop_grace_period: 10\n", `2:22: cannot use main.stop_grace_period: "10" has no unit; write a duration such as 10s`},
		{"main:\n  stop_grace_period: -1s\n", `2:22: cannot use main.stop_grace_period: "-1s" is negative`},
		{"main:\n  stop_grace_period: 25h\n", `2:22: cannot use main.stop_grace_period: "25h" is longer than 24h`},
		{"main:\n  stop_grace_period: soon\n", `2:22: cannot use main.stop_grace_period: "soon" is no duration such as 500ms, 10s or 1h30m`},
		{"main:\n  stop_grace_period: ${EMPTY}\n", `2:22: cannot use main.stop_grace_period: "" (EMPTY is empty) is no duration such as 500ms, 10s or 1h30m`},
		{"main:\n  stop_grace_period: ${SET}\n", `2:22: cannot use main.stop_grace_period: the value from SET is no duration such as 500ms, 10s or 1h30m`},
		{"main:\n  stop_signal: FOO\n", `2:16: cannot use main.stop_signal: "FOO" is no signal`},
		{"main:\n  user: a:b:c\n", `2:9: cannot use main.user: "a:b:c" is not of the form name, uid, name:group or uid:gid`},
		{"main:\n  user: \"4294967295\"\n", `2:9: cannot use main.user: "4294967295" is not of the form name, uid, name:group or uid:gid`},
		{"main:\n  working_dir: here\n", `2:16: cannot use main.working_dir: "here" is no absolute path`},
		{"main:\n  environment: [A=B]\n", `2:16: cannot use main.environment: it is a list, and a mapping is needed`},
		{"main:\n  environment: {A: }\n", `2:17: cannot use main.environment.A: it has no value; write "" for an empty text`},
		{"main:\n  environment: {\"A=B\": c}\n", `2:17: cannot use main.environment: "A=B" is no variable's name`},
		{"main:\n  environment: {\"${SET}\": c}\n", `2:17: cannot use key "${SET}": variables are expanded in values, not in keys`},
		{"services:\n  web:\n", `2:3: cannot use services.web: it has no command`},
		{"services:\n  main: {command: [a]}\n", `2:3: cannot use name "main": it is the main program's`},
		{"services:\n  web@x: {command: [a]}\n", `2:3: cannot use name "web@x": only an instance's name has an @`},
		{"services:\n  \"a b\": {command: [a]}\n", `2:3: cannot use name "a b": only letters, digits, '_', '.' and '-' are allowed, and the first must be a letter or a digit`},
		{"services: {web: {command: [a]}}\ntemplates: {web: {command: [a]}}\n", `2:13: cannot define "web": it is defined in 1:12 already`},
		{service("enabled: maybe"), `4:14: cannot use services.web.enabled: "maybe" is no boolean; write true or false`},
		{service("enabled: ${SET}"), `4:14: cannot use services.web.enabled: the value from SET is no boolean; write true or false`},
		{service("enabled: ${NOPE:-perhaps}"), `4:14: cannot use services.web.enabled: "perhaps" (NOPE is not set) is no boolean; write true or false`},
		{service("enabled: ${NOPE}"), `4:14: cannot expand ${NOPE}: NOPE is not set; write ${NOPE:-default} to allow that`},
		{service("enabled: [1]"), `4:14: cannot use services.web.enabled: it is a list, and a single value is needed`},
		{service("restart: sometimes"), `4:14: cannot use services.web.restart: "sometimes" is not always, on-failure or never`},
		{service("exit_codes: {9: fail, \"9\": done}"), `4:27: cannot use services.web.exit_codes.9: it is given twice, first in line 4`},
		{service("exit_codes: {TERM: fail, SIGTERM: done}"), `4:30: cannot use services.web.exit_codes: "TERM" and "SIGTERM" are the same exit`},
		{service("exit_codes: {256: fail}"), `4:18: cannot use exit code 256: codes go from 0 to 255`},
		{service("exit_codes: {FOO: fail}"), `4:18: cannot use exit "FOO": it is neither a code nor a signal's name`},
		{service("exit_codes: {1: explode}"), `4:21: cannot use services.web.exit_codes.1: "explode" is not done, restart or fail`},
		{service("readiness: {tcp: 9119}"), `4:22: cannot use services.web.readiness.tcp: "9119" is not of the form host:port`},
		{service("readiness: {tcp: \"a:99999\"}"), `4:22: cannot use services.web.readiness.tcp: "a:99999" has no port from 1 to 65535`},
		{service("readiness: {}"), `4:5: cannot use services.web.readiness: it has none of exec, fd, http, log, notify and tcp`},
		{service("readiness: {htp: x}"), "4:5: cannot use services.web.readiness: it has none of exec, fd, http, log, notify and tcp\n4:17: cannot use services.web.readiness.htp: there is no such key; did you mean http?"},
		{service("instances: {max: 3}"), `4:5: cannot use services.web.instances: there is no such key`},
		{template("enabled: true"), `4:5: cannot use templates.gw.enabled: there is no such key`},
		{template("instances: {max: many}"), `4:22: cannot use templates.gw.instances.max: "many" is no whole number from 0 to 1000000`},
		{template("instances: {names: \"[\"}"), `4:24: cannot use templates.gw.instances.names: "[" is no regular expression (RE2 syntax)`},
		{template("instances: {names: \"a)|(b\"}"), `4:24: cannot use templates.gw.instances.names: "a)|(b" is no regular expression (RE2 syntax)`},
		{template("instances: {always: [A]}"), `4:26: cannot use templates.gw.instances.always[0]: "A" is not allowed by instances.names, "[a-z0-9][a-z0-9_-]{0,62}"`},
		{template("instances: {always: [a, a]}"), `4:29: cannot use templates.gw.instances.always[1]: "a" is listed twice`},
		{template("instances: {always: [a, b], max: 1}"), `4:29: cannot use templates.gw.instances.always: it lists more instances than max allows`},
		{template("instances: {managers: [\"group:\"]}"), `4:28: cannot use templates.gw.instances.managers[0]: "group:" is neither a user nor group:NAME`},
		{template("instances: {initial: sideways}"), `4:26: cannot use templates.gw.instances.initial: "sideways" is not up or down`},
		{template("overrides: {A: {command: [x]}}"), `4:17: cannot use templates.gw.overrides.A: "A" is not allowed by instances.names, "[a-z0-9][a-z0-9_-]{0,62}"`},
		{template("overrides: {a: {user: x}}"), `4:21: cannot use templates.gw.overrides.a.user: there is no such key`},
		{template("log: {directory: x, rotate: {size: 1, keep: many}}"), "4:22: cannot use templates.gw.log.directory: \"x\" is no absolute path\n4:40: cannot use templates.gw.log.rotate.size: \"1\" has no unit; write a size such as 64KiB or 1MB\n4:49: cannot use templates.gw.log.rotate.keep: \"many\" is neither a whole number from 1 to 1000 nor unlimited"},
		{template("log: {rotate: {size: 1XB}}"), "4:11: cannot use templates.gw.log.rotate: it has no directory, so there are no files\n4:26: cannot use templates.gw.log.rotate.size: \"1XB\" is no size such as 64KiB or 1MB"},
		{template("log: {directory: /l/%i, rotate: {size: 3999B, keep: 0}}"), "4:44: cannot use templates.gw.log.rotate.size: \"3999B\" is less than 4KB\n4:57: cannot use templates.gw.log.rotate.keep: \"0\" is neither a whole number from 1 to 1000 nor unlimited"},
		{template("log: {directory: /l/%%i}"), `4:22: cannot use templates.gw.log.directory: "/l/%%i" has no %i, and would be every instance's`},
		{template("log: {directory: /l/%i/../x}"), `4:22: cannot use templates.gw.log.directory: "/l/%i/../x" has a ".."`},
		{service("log: {directory: /l, files: 3}"), `4:26: cannot use services.web.log.files: there is no such key`},
		{template("depends_on: {main: {condition: maybe}}"), `4:36: cannot use templates.gw.depends_on.main.condition: "maybe" is not started, ready or done`},
		{template("depends_on: [\"a b\"]"), `4:18: cannot use templates.gw.depends_on: "a b" is no unit's name`},
		{template("depends_on: x"), `4:17: cannot use templates.gw.depends_on: it is a single value, and a mapping is needed`},
		{template("env_file: {a: b}"), `4:15: cannot use templates.gw.env_file: it is a mapping, and a list is needed`},
		{template("instances: {discover: {marker: x}, exclusive: 7}"), "4:17: cannot use templates.gw.instances.discover: it has no directory\n4:51: cannot use templates.gw.instances.exclusive: \"7\" is no boolean; write true or false"},
		{"prepare: {files: [{path: /a, mode: rw}]}\n", "1:19: cannot use prepare.files[0]: it has none of copy and from_environment\n1:36: cannot use prepare.files[0].mode: \"rw\" is no octal mode such as 0644"},
		{"prepare: {files: [{}]}\n", "1:19: cannot use prepare.files[0]: it has no path\n1:19: cannot use prepare.files[0]: it has none of copy and from_environment"},
		{"prepare: {directories: [{path: /a, repair: some}]}\n", `1:44: cannot use prepare.directories[0].repair: "some" is not none or tree`},
		{"prepare: {files: [{path: /a, copy: /b, from_environment: C}]}\n", `1:40: cannot use prepare.files[0].from_environment: copy is given already, and only one can be used`},
		{"prepare: {files: [{path: /a/, copy: /b, mode: 4755}]}\n", "1:26: cannot use prepare.files[0].path: it is a directory's\n1:47: cannot use prepare.files[0].mode: \"4755\" has more than permissions"},
		{"prepare: {files: [{path: /a, from_environment: A=B}]}\n", `1:48: cannot use prepare.files[0].from_environment: "A=B" is no variable's name`},
		{"prepare: {directories: [{path: \"/a/{b\"}]}\n", `1:32: cannot use prepare.directories[0].path: "/a/{b" has a brace without its other one`},
		{"prepare: {directories: [{path: \"/a}/{b}\"}]}\n", `1:32: cannot use prepare.directories[0].path: "/a}/{b}" has a brace without its other one`},
		{"prepare: {directories: [{path: \"/a/{b,{c,d}}\"}]}\n", `1:32: cannot use prepare.directories[0].path: "/a/{b,{c,d}}" has a list within a list`},
		{"prepare: {directories: [{path: \"/a/{b,}\"}]}\n", `1:32: cannot use prepare.directories[0].path: "/a/{b,}" has an empty word in a list`},
		{"prepare: {directories: [{path: \"{/a,b}\"}]}\n", `1:32: cannot use prepare.directories[0].path: "{/a,b}" is no absolute path`},
		{"prepare: {directories: [{path: //}]}\n", `1:32: cannot use prepare.directories[0].path: it is the root directory`},
		{"prepare: {directories: [{path: /a}, {path: \"/{b,a/}\"}]}\n", `1:44: cannot define prepare.directories[1]: it is defined in 1:32 already`},
		{"prepare: {directories: [{path: /a, repair: tree}]}\n", `1:44: cannot use prepare.directories[0].repair: it has no owner, whom all of it would belong to`},
		{"prepare: {directories: [{path: /a, on_error: ignore}]}\n", `1:46: cannot use prepare.directories[0].on_error: "ignore" is not fail or warn`},
		{"prepare: {users: {a: {uid: ten}}}\n", `1:28: cannot use prepare.users.a.uid: "ten" is no id from 1 to 65534`},
		{"prepare: {users: {a: {uid: \"${SET}\"}}}\n", `1:28: cannot use prepare.users.a.uid: the value from SET is no id from 1 to 65534`},
		{"prepare: {users: {a: {uid: 65535, gid: -1}}}\n", "1:28: cannot use prepare.users.a.uid: \"65535\" is no id from 1 to 65534\n1:40: cannot use prepare.users.a.gid: \"-1\" is no id from 1 to 65534"},
		{"prepare: {users: {a: {uid: 0, gid: \"00\"}}}\n", "1:28: cannot use prepare.users.a.uid: \"0\" is root's id, and no service's user or group; use 1 to 65534\n1:36: cannot use prepare.users.a.gid: \"00\" is root's id, and no service's user or group; use 1 to 65534"},
		{"prepare: {users: {root: {uid: 5}, 7: {uid: 5}}}\n", "1:19: cannot use prepare.users.root: root keeps its ids\n1:35: cannot use prepare.users.7: it is no user's name"},
		{"prepare: {users: {a: {home: \"/a:b\", join_groups_of: [\"/dev/[\"]}}}\n", "1:29: cannot use prepare.users.a.home: passwd(5) can't have it\n1:54: cannot use prepare.users.a.join_groups_of[0]: \"/dev/[\" is no pattern"},
		{"stop_timeout: 1m30\n", `1:15: cannot use stop_timeout: "1m30" is no duration such as 500ms, 10s or 1h30m`},
		{"state_directory: rel\n", `1:18: cannot use state_directory: "rel" is no absolute path`},
		{"main:\n  user: |\n    ok ${NOPE}\n", `3:8: cannot expand ${NOPE}: NOPE is not set; write ${NOPE:-default} to allow that`},
		{"main:\n  user: a ${SET} $$ ${NOPE}\n", `2:21: cannot expand ${NOPE}: NOPE is not set; write ${NOPE:-default} to allow that`},
		{"main:\n  user: $HOME\n", `2:9: cannot expand $: write $$ for a dollar sign, or ${NAME} for a variable`},
		{"main:\n  user: ${SET\n", `2:9: cannot expand ${SET: its } is missing`},
		{"main:\n  user: ${SET-x}\n", `2:9: cannot expand ${SET…}: after the name comes }, :-default} or :?message}`},
		{"main:\n  user: ${NOPE:?say who}\n", `2:9: cannot expand ${NOPE}: say who`},
		{"main:\n  user: ${}\n", `2:9: cannot expand ${…}: a variable's name has letters, digits and _, and begins with no digit`},
		{"main:\n  user: \"a\n    ${NOPE}\"\n", `3:5: cannot expand ${NOPE}: NOPE is not set; write ${NOPE:-default} to allow that`},
		{"main: {stop_signal: x}\nstop_timeout: y\nfoo: 1\n", "1:21: cannot use main.stop_signal: \"x\" is no signal\n2:15: cannot use stop_timeout: \"y\" is no duration such as 500ms, 10s or 1h30m\n3:1: cannot use foo: there is no such key"},
		{strings.Repeat("[", 200), `1:33: cannot parse: the values are nested too deeply`},
		{"x-a: " + strings.Repeat("{a: ", 1000), `1:130: cannot parse: the values are nested too deeply`},
		{strings.Repeat("- ", 9_000), `1:65: cannot parse: the values are nested too deeply`},
		{"x-a: [" + strings.Repeat("1, ", 20_000) + "1]\n", `1:30002: cannot parse: the file has too many values`},
		{template("instances: {names: \"${SET}\", always: [x]}"), `4:43: cannot use templates.gw.instances.always[0]: "x" is not allowed by instances.names, the value from SET`},
		{"\xff\xfem\x00a\x00", `1:1: cannot parse: the file is not UTF-8 here`},
	})
}

// What stands in two files is an error in the second that names the first.
func TestFilesThatContradict(t *testing.T) {
	t.Parallel()
	tests := []struct{ first, second, want string }{
		{service(""), service(""), `b.yaml:2:3: cannot define "web": it is defined in a.yaml:2:3 already`},
		{template(""), template(""), `b.yaml:2:3: cannot define "gw": it is defined in a.yaml:2:3 already`},
		{service(""), "\ntemplates: {web: {command: [a]}}\n", `b.yaml:2:13: cannot define "web": it is defined in a.yaml:2:3 already`},
		{"main: {user: a}\n", "main: {user: a}\n", `b.yaml:1:1: cannot define main: it is defined in a.yaml:1:1 already`},
		{"prepare: {}\n", "\nprepare: {}\n", `b.yaml:2:1: cannot define prepare: it is defined in a.yaml:1:1 already`},
		{oneshot(""), service(""), `b.yaml:2:3: cannot define "web": it is defined in a.yaml:2:3 already`},
		{"governor: {}\n", "\ngovernor: {}\n", `b.yaml:2:1: cannot define governor: it is defined in a.yaml:1:1 already`},
		{"stop_timeout: 1s\n", "stop_timeout: 1s\n", `b.yaml:1:15: cannot define stop_timeout: it is defined in a.yaml:1:15 already`},
		{"state_directory: /a\n", "state_directory: /a\n", `b.yaml:1:18: cannot define state_directory: it is defined in a.yaml:1:18 already`},
	}
	for _, test := range tests {
		_, err := fromText(nil, test.first, test.second)
		if err == nil || err.Error() != test.want {
			t.Errorf("%q and %q:\n got %v\nwant %s", test.first, test.second, err, test.want)
		}
	}
}

// A load reports what it finds in all files, in order, and no more than a person can use.
func TestErrorsAreSortedAndBounded(t *testing.T) {
	t.Parallel()
	_, err := fromText(nil, "zzz: 1\nmain: {zzz: 1}\n", "stop_timeout: 3\nservices: []\n")
	var at []string
	for _, e := range err.(Errors) {
		where, _, _ := strings.Cut(e.Error(), ": ")
		at = append(at, where)
	}
	if got, want := strings.Join(at, " "), "a.yaml:1:1 a.yaml:2:8 b.yaml:1:15 b.yaml:2:11"; got != want {
		t.Errorf("got errors at %s, want %s", got, want)
	}
	_, err = fromText(nil, "main: {command: ["+strings.Repeat("~, ", 100)+"]}\n")
	if n := len(err.(Errors)); n != maxErrors {
		t.Errorf("got %d errors, want %d", n, maxErrors)
	}
}
