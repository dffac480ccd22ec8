//go:build !race

package serve

// tells is a finish that keeps its arguments.
const tells = `echo "$0 $# $@" >> args`

// lifeScenes are how runs and finish end.
func lifeScenes() (list []scene) {
	for _, end := range []string{"exit 0", "exit 1", "exit 100", "exit 111", "exit 125", "exit 127", "exit 255", "kill -KILL $$", "kill -SEGV $$", "kill -ABRT $$", "kill -HUP $$", "kill -RTMIN $$"} {
		list = append(list,
			scene{name: end + ", with a finish", files: files{"a/run*": crash(end), "a/finish*": tells},
				script: "hear a sudD\nstat a\nflags a 12\nshow a/args\ns6-svdt @a\ntally a\n" + back + "stat a"},
			scene{name: end + ", without a finish", files: files{"a/run*": once(end), "a/down": ""},
				script: "hear a s\ns6-svc -o @a\nhear a udD\nstat a\nflags a 8\ntally a\ns6-svdt @a\ns6-svc -u @a\nhear a u\nflags a 4"},
		)
	}
	for _, end := range []string{"exit 0", "exit 1", "exit 100", "exit 111", "exit 126", "exit 127", "kill -KILL $$", "exit 125"} {
		script := "hear a sudD\nflags a 12\n"
		if end == "exit 125" {
			script = "hear a sudOD\nflags a 8\n"
		}
		list = append(list, scene{name: "finish ends: " + end, files: files{"a/run*": crash("exit 7"), "a/finish*": end}, script: script + "stat a\nshow a/down\ntally a\n" + back})
	}
	const after = "hear a sudD\nflags a 12\nstat a\n" + back + "list a"
	list = append(list,
		scene{name: "finish ends with 125, and it was to end anyway", files: files{"a/run*": asleep, "a/finish*": "exit 125"},
			script: "hear a su\ns6-svc -xd @a\nhear a dODxsu\nflags a 4"},
		scene{name: "finish is not executable", files: files{"a/run*": crash("exit 7"), "a/finish": "#!/bin/sh\n"}, script: after},
		scene{name: "finish without an interpreter", files: files{"a/run*": crash("exit 7"), "a/finish=": "exit 125\n"}, script: after},
		scene{name: "finish with an interpreter that there is not", files: files{"a/run*": crash("exit 7"), "a/finish=": "#!/nonexistent\n"}, script: after},
		scene{name: "finish is a directory", files: files{"a/run*": crash("exit 7"), "a/finish/": ""}, script: after},
		scene{name: "finish comes while it runs", files: files{"a/run*": asleep}, script: "hear a su\nwrite a/finish* \"exit 125\"\ns6-svc -t @a\nhear a dOD\nflags a 8"},
		scene{name: "finish takes too long", files: files{"a/run*": crash("exit 7"), "a/finish*": "exec sleep 500", "a/timeout-finish": "300"}, script: after},
		scene{name: "finish takes too long and is stopped", files: files{"a/run*": crash("exit 7"), "a/finish*": "kill -STOP $$", "a/timeout-finish": "300"}, script: after},
		scene{name: "finish may take for ever", files: files{"a/run*": crash("exit 7"), "a/finish*": "test -e finished || sleep 6; echo done > finished", "a/timeout-finish": "0"}, script: after + "\nshow a/finished"},
		scene{name: "finish may take five seconds", files: files{"a/run*": crash("exit 7"), "a/finish*": "test -e again && exit; echo > again; sleep 20; echo done > finished", "a/timeout-finish": "soon"}, script: after + "\nshow a/finished"},
		scene{name: "it does not end by its signal", files: files{"a/run*": "trap '' TERM; echo >&3; while :; do sleep 1; done", "a/notification-fd": "3", "a/timeout-kill": "300", "a/finish*": tells},
			script: "hear a suU\ns6-svc -d @a\nhear a dD\nshow a/args\nflags a 8\nstat a\ntally a"},
		scene{name: "timeout-kill comes while it runs", files: files{"a/run*": "trap '' TERM; echo >&3; while :; do sleep 1; done", "a/notification-fd": "3"},
			script: "hear a suU\nwrite a/timeout-kill \"200\\n\"\ns6-svc -d @a\nhear a dD\nstat a"},
		scene{name: "timeout-kill is only for d", files: files{"a/run*": "trap 'echo term >> got' TERM; echo >&3; while :; do sleep 0.1; done", "a/notification-fd": "3", "a/timeout-kill": "100"},
			script: "hear a suU\ns6-svc -t @a\nawait a/got 1\ns6-svc -r @a\nawait a/got 2\nstat a\ns6-svc -d @a\nhear a dD\nstat a"},
		scene{name: "told twice to end", files: files{"a/run*": "trap 'echo term >> got' TERM; echo >&3; while :; do sleep 0.1; done", "a/notification-fd": "3", "a/timeout-kill": "x"},
			script: "hear a suU\ns6-svc -d @a\nawait a/got 1\ns6-svc -d @a\nawait a/got 2\nflags a 8\nstat a\ns6-svc -k @a\nhear a dD\nstat a"},
		scene{name: "told to end, then to be up", files: files{"a/run*": "trap 'echo term >> got' TERM; echo >&3; while :; do sleep 0.1; done", "a/notification-fd": "3"},
			script: "hear a suU\ns6-svc -d @a\nawait a/got 1\ns6-svc -u @a\nflags a 12\ns6-svc -k @a\nhear a dDuU\nflags a 12\ns6-svc -dk @a\nhear a dD"},
		scene{name: "it leaves processes", files: files{"a/run*": once("sleep 3 & exit 3"), "a/finish*": tells}, script: "hear a sudDu\nshow a/args"},
		scene{name: "what a run gets", files: files{"a/run*": `{ echo "$0 $# $@"; pwd | sed 's/.*-scan-[0-9]*//'; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$ | tr -d ' \n' | sed "s/$$/leads/"; echo; ls /proc/$$/fd | grep '^[0-2]$' | tr '\n' ' '; readlink /proc/$$/fd/0; } > facts.; mv facts. facts; ` + asleep},
			script: "hear a su\nawait a/facts 7"},
		scene{name: "the environment", files: files{"a/run*": `env | cut -d= -f1 | sort > facts.; mv facts. facts; ` + asleep}, script: "hear a su\nawait a/facts 2"},
		scene{name: "what finish gets", files: files{"a/run*": once("exit 3"), "a/finish*": `{ echo "$0 $# $@"; pwd | sed 's/.*-scan-[0-9]*//'; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$ | tr -d ' \n' | sed "s/$$/leads/"; echo; ls /proc/$$/fd | grep '^[0-2]$' | tr '\n' ' '; readlink /proc/$$/fd/0; } > facts.; mv facts. facts`},
			script: "hear a sudDu\nawait a/facts 7"},
		scene{name: "the second after a run's end", files: files{"a/run*": once("exit 3")}, script: "hear a sudDu\npause a"},
		scene{name: "the second after finish's end", files: files{"a/run*": once("exit 3"), "a/finish*": "sleep 1.2"}, script: "hear a sudDu\npause a"},
		scene{name: "u does not wait", files: files{"a/run*": crash("exit 3")}, timed: true, script: "hear a sudD\nwrite a/run* \"exec sleep 500\"\ns6-svc -u @a\nhear a u\npause a\nstat a"},
		scene{name: "ready for less than a second", files: files{"a/run*": once("echo >&3; sleep 0.5; exit 3"), "a/notification-fd": "3"}, timed: true, script: "hear a suUdDu\npause a"},
		scene{name: "ready for more than a second", files: files{"a/run*": once("echo >&3; sleep 1.5; exit 3"), "a/notification-fd": "3"}, timed: true, script: "hear a suUdDu\npause a"},
		scene{name: "ready for less than a second, then finish", files: files{"a/run*": once("echo >&3; exit 3"), "a/notification-fd": "3", "a/finish*": "sleep 1.5"}, timed: true, script: "hear a suUdDu\npause a"},
		scene{name: "never ready for more than a second", files: files{"a/run*": once("sleep 1.5; exit 3")}, script: "hear a sudDu\npause a"},
	)
	return list
}
