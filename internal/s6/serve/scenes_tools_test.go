//go:build !race

package serve

// toolScenes are the tools themselves: what they show of a service, what they wait for, and what they are within its scripts.
func toolScenes() (list []scene) {
	inStates := []struct {
		name   string
		files  files
		script string
		is     string // the options of s6-svwait that it answers at once
		isNot  string // one for which it waits in vain
	}{
		{"up", files{"a/run*": asleep}, "hear a su", "u", "U"},
		{"up and ready", files{"a/run*": "echo >&3; " + asleep, "a/notification-fd": "3"}, "hear a suU", "uU", "d"},
		{"up and stopped", files{"a/run*": asleep}, "hear a su\ns6-svc -p @a\nflags a 5", "u", "D"},
		{"up and not wanted", files{"a/run*": asleep}, "hear a su\ns6-svc -O @a\nflags a 0", "u", "r"},
		{"down", files{"a/run*": asleep, "a/down": ""}, "hear a s", "dD", "u"},
		{"down after a crash", files{"a/run*": crash("exit 3")}, "hear a sudD\nflags a 12", "dD", "u"},
		{"down after a signal", files{"a/run*": crash("kill -SEGV $$")}, "hear a sudD\nflags a 12", "dD", "U"},
		{"down for ever", files{"a/run*": asleep, "a/finish*": "exit 125"}, "hear a su\ns6-svc -t @a\nhear a dOD", "dD", "R"},
		{"finishing", finishWaits(), "hear a su\ns6-svc -t @a\nhear a d\nflags a 6", "d", "D"},
	}
	for _, s := range inStates {
		after := ""
		if s.name == "finishing" {
			after = "\nfeed a/gate\nrm a/gate\nhear a D"
		}
		waits := ""
		for _, is := range s.is {
			waits += "\ns6-svwait -t 15000 -" + string(is) + " @a"
		}
		list = append(list,
			scene{name: "shown: " + s.name, files: s.files, script: s.script + `
s6-svstat @a
s6-svstat -n @a
s6-svstat -uwNre @a
s6-svstat -o up,wantedup,normallyup,ready,paused,exitcode,signal,signum @a
s6-svstat -o signal,up @a
s6-svstat -o nothing @a
s6-svok @a
s6-svdt @a
s6-svdt -n 1 @a` + after},
			scene{name: "waited for: " + s.name, files: s.files, script: s.script + waits + "\ns6-svwait -t 1500 -" + s.isNot + " @a" + after},
		)
	}
	return append(list,
		scene{name: "nothing is there to ask", files: files{"b/run*": asleep, ".none/x": ""}, script: `hear b su
s6-svc -u @none
s6-svc -u @.none
s6-svstat @none
s6-svstat @.none
s6-svok @none
s6-svok @.none
s6-svwait -t 15000 -u @none
s6-svlisten1 -t 15000 -u @none true
s6-svdt @none
s6-svdt-clear @none
s6-svscanctl -a @none
s6-svscanctl -a @b
s6-svc -u @
s6-svstat @`},
		scene{name: "wrong words", files: files{"a/run*": asleep}, script: `hear a su
s6-svc
s6-svc -u
s6-svc -wx @a
s6-svc -T x -wu @a
s6-svstat
s6-svok
s6-svwait -x @a
s6-svscanctl
s6-svscanctl -y @
s6-svlisten1 -u @a
s6-svdt -x @a
stat a`},
		scene{name: "waiting for two", files: files{"a/run*": asleep, "b/run*": asleep, "b/down": ""}, script: `hear a su
hear b s
s6-svwait -t 1500 -a -u @a @b
s6-svwait -t 15000 -o -u @a @b
s6-svlisten1 -t 15000 -u @b s6-svc -u @b
s6-svwait -t 15000 -a -u @a @b
s6-svlisten1 -t 15000 -d @b s6-svc -d @b
s6-svlisten1 -t 15000 -r @a s6-svc -r @a
s6-svlisten1 -t 15000 -u @b s6-svc -u @b
flags b 4`},
		scene{name: "a tally is shown and cleared", files: files{"a/run*": asleep, "a/finish*": "exit 125"}, script: `hear a su
s6-svc -h @a
hear a dOD
s6-svc -u @a
hear a u
s6-svc -k @a
hear a dOD
s6-svdt @a
s6-svdt -n 1 @a
s6-svdt-clear @a
s6-svdt @a
tally a`},
		scene{name: "s6-permafailon in finish", files: files{"a/run*": crash("exit 7"), "a/finish*": "exec s6-permafailon 60 1 7 false"},
			script: "hear a sudOD\nflags a 8\nstat a"},
		scene{name: "s6-permafailon in finish, for another code", files: files{"a/run*": crash("exit 7"), "a/finish*": "exec s6-permafailon 60 1 1-6,SIGSEGV false"},
			script: "hear a sudD\nflags a 12\nstat a"},
		scene{name: "s6-permafailon counts", files: files{"a/run*": once("exit 7") + "\n", "a/finish*": "exec s6-permafailon 60 2 SIGKILL,7 true"},
			script: "hear a sudDu\ns6-svc -k @a\nhear a dOD\nflags a 8\ntally a"},
		scene{name: "s6-notifyoncheck in run", files: files{"a/run*": "exec s6-notifyoncheck -w 50 -n 0 sleep 500", "a/notification-fd": "3", "a/data/check*": "test -e open"},
			script: "hear a su\nflags a 4\nwrite a/open \"\"\nhear a U\nflags a 12\nstat a"},
		scene{name: "s6-log in log", files: files{"a/run*": "echo one; echo two; " + asleep, "a/log/run*": "exec s6-log -d 3 ./logs", "a/log/notification-fd": "3", "a/log/logs/": ""},
			script: "hear a su\nhear a/log suU\nawait a/log/logs/current 2\nstat a/log\ns6-svscanctl -t @\nended\nshow a/log/logs/current\nlist a/log/logs"},
		scene{name: "s6-setlock, s6-envdir, s6-softlimit and s6-setsid in run", files: files{"a/env/FOO": "bar\n",
			"a/run*": "exec s6-setlock -n lock s6-envdir env s6-softlimit -o 77 s6-setsid -q sh -c 'echo $FOO; ulimit -n; s6-setlock -n lock echo free; echo $?; " + asleep + "' >> told 2>&1"},
			script: "hear a su\nawait a/told 4\nstat a"},
		scene{name: "a run that asks for itself", files: files{"a/run*": "s6-svwait -t 15000 -u . && echo up >> told; s6-svc -O .; s6-svstat -o up,ready . >> told; s6-svc -d .; " + asleep},
			script: "hear a sudD\nshow a/told\nflags a 8"},
	)
}
