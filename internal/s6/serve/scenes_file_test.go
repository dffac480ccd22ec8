//go:build !race

package serve

import "fmt"

// fileScenes are the other files of a service directory.
func fileScenes() (list []scene) {
	for _, sig := range []string{"INT", "SIGINT", "sigint\n", "2", "Usr1", "SIGKILL", "0", "65", "nonsense", "", "INT ", "SIGRTMIN", "STOP"} {
		script := "hear a suU\ns6-svc -d @a\nhear a dD\nflags a 8\nshow a/got\nstat a\nshow a/args"
		if sig == "STOP" || sig == "0" || sig == "65" {
			script = "hear a suU\ns6-svc -d @a\nflags a 8\nstat a\ns6-svc -k @a\nhear a dD"
		}
		list = append(list, scene{name: fmt.Sprintf("down-signal is %q", sig), script: script, files: files{
			"a/run*":        "for s in INT TERM USR1; do trap \"echo $s >> got; exit 9\" $s; done; echo >&3; while :; do sleep 0.1; done",
			"a/down-signal": sig, "a/finish*": tells, "a/notification-fd": "3"}})
	}
	list = append(list,
		scene{name: "down-signal for a restart", files: files{"a/run*": asleep, "a/down-signal": "INT"}, script: "hear a su\ns6-svc -r @a\nhear a dDu\ntally a\nflags a 4"},
		scene{name: "down-signal is changed while it runs", files: files{"a/run*": asleep, "a/down-signal": "INT"},
			script: "hear a su\nwrite a/down-signal \"QUIT\"\ns6-svc -r @a\nhear a dDu\ntally a\nwrite a/down-signal \"HUP\"\ns6-svc -d @a\nhear a dD\ntally a\nstat a"},
	)
	for _, most := range []string{"0", "1", "2", "5000", "x", "-1", "100"} {
		list = append(list, scene{name: "max-death-tally is " + most, files: files{"a/run*": asleep, "a/max-death-tally": most, "a/finish*": "exit 3"},
			script: "hear a su\ns6-svc -t @a\nhear a dD\ns6-svc -u @a\nhear a u\ns6-svc -k @a\nhear a dD\ns6-svc -u @a\nhear a u\ns6-svc -h @a\nhear a dD\ntally a\nlist a/supervise\nhear a u"})
	}
	const bad = "hear a s\ns6-svc -d @a\nflags a 8\nstat a\nwrite a/run* \"exec sleep 500\"\ns6-svc -u @a\nhear a u\nflags a 4\nlist a"
	list = append(list,
		scene{name: "a tally that is full", files: files{"a/run*": asleep, "a/max-death-tally": "5000"}, script: "hear a su\ndeaths a 4096\ns6-svc -k @a\nhear a dDu\ntally a"},
		scene{name: "a tally that is no tally", files: files{"a/run*": asleep}, script: "hear a su\nwrite a/supervise/death_tally \"rubbish\"\ns6-svc -k @a\nhear a dDu\ntally a\ns6-svdt-clear @a\ns6-svdt @a\ntally a"},
		scene{name: "a tally is forgotten with its supervisor", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -k @a\nhear a dDu\ntally a\ns6-svc -xd @a\nhear a dDxsu\ntally a\nflags a 4"},
		scene{name: "run is missing", files: files{"a/data/x": ""}, script: bad},
		scene{name: "run is not executable", files: files{"a/run": "#!/bin/sh\n"}, script: bad},
		scene{name: "run without an interpreter", files: files{"a/run=": asleep}, script: bad},
		scene{name: "run with an interpreter that there is not", files: files{"a/run=": "#!/nonexistent\n"}, script: bad},
		scene{name: "run is empty", files: files{"a/run=": ""}, script: bad},
		scene{name: "run is missing, with a finish", files: files{"a/finish*": tells}, script: bad + "\nshow a/args"},
		scene{name: "run comes by itself", files: files{"a/data/x": ""}, script: "hear a s\nflags a 12\nstat a\nwrite a/run* \"exec sleep 500\"\nhear a u\npause a\nflags a 4"},
		scene{name: "run is missing, and wanted once", files: files{"a/data/x": "", "a/down": ""}, script: "hear a s\ns6-svc -o @a\nflags a 8\nstat a\nwrite a/run* \"exec sleep 500\"\ns6-svc -o @a\nhear a u\nflags a 0"},
		scene{name: "data and env are nobody's affair", files: files{"a/run*": asleep, "a/env/FOO": "bar", "a/data/check*": "exit 1", "a/type": "longrun", "a/notes": "x", "a/instance/x": ""}, script: "hear a su\nstat a\nlist a"},
		scene{name: "down comes and goes while it runs", files: files{"a/run*": asleep}, script: "hear a su\nwrite a/down \"\"\nstat a\ns6-svc -t @a\nhear a dDu\nflags a 4\ns6-svc -xd @a\nhear a dDxs\nflags a 8\nrm a/down\nstat a\ns6-svc -x @a\nhear a xsu\nflags a 4"},
		scene{name: "down is a directory", files: files{"a/run*": asleep, "a/down/x": ""}, script: "hear a s\nstat a\ns6-svc -U @a\nhear a u\nflags a 4\nlist a\ns6-svc -D @a\nhear a dD\nlist a"},
		scene{name: "nobody made event beforehand", files: files{"a/run*": asleep, "a/log/run*": "exec cat", "b/run*": asleep, "b/down": ""}, deaf: true,
			script: "flags a 4\nflags a/log 4\nflags b 8\ns6-svwait -u -t 15000 @a @a/log\nlist"},
		scene{name: "supervise is there", files: files{"a/run*": asleep, "a/supervise/x": "", "a/supervise/status": "old", "a/supervise/death_tally": "old"}, script: "hear a su\nflags a 4\nlist a\ntally a"},
		scene{name: "the control FIFO is there", files: files{".a/run*": asleep, ".a/supervise/": ""}, deaf: true,
			script: "fifo .a/supervise/control\nchmod .a/supervise/control 660\nchmod .a/supervise 755\nmv .a a\ns6-svscanctl -a @\nflags a 4\nlist a"},
		scene{name: "supervise leads elsewhere", files: files{"b/run*": asleep, ".a/run*": asleep, ".a/elsewhere/": ""}, script: "hear b su\nln elsewhere .a/supervise\nmv .a a\ns6-svscanctl -a @\ns6-svc -t @b\nhear b dDu\nlist a\ns6-svok @a\nrm a/supervise"},
		scene{name: "supervise leads nowhere", files: files{"b/run*": asleep, ".a/run*": asleep, ".a/elsewhere/": ""}, script: "hear b su\nln elsewhere/x .a/supervise\nmv .a a\ns6-svscanctl -a @\ns6-svc -t @b\nhear b dDu\ns6: hear .a su\nmeet\ns6-svok @a\ns6-svok @a/elsewhere"},
		scene{name: "a file has supervise's place", files: files{".a/run*": asleep, ".a/supervise": "", "b/run*": asleep}, script: "hear b su\nmv .a a\ns6-svscanctl -a @\ns6-svc -t @b\nhear b dDu\nlist a\ns6-svok @a\nrm a"},
		scene{name: "a file has the control FIFO's place", files: files{".a/run*": asleep, ".a/supervise/control": "", "b/run*": asleep}, script: "hear b su\nmv .a a\ns6-svscanctl -a @\ns6-svc -t @b\nhear b dDu\nshow a/supervise/control\ns6-svc -u @a\nrm a"},
		scene{name: "lock-fd", files: files{"a/run*": "(: >&4) 2>/dev/null && echo locked > told || echo free > told; " + asleep, "a/lock-fd": "4", "a/down": ""},
			script: "hear a s\ns6-svc -u @a\ns6: flags a 12\npintle: hear a u\nmeet\nstat a"},
		scene{name: "lock-fd is notification-fd", files: files{"a/run*": asleep, "a/lock-fd": "3", "a/notification-fd": "3"}, script: "hear a s\nflags a 12\ns6-svc -u @a\ns6-svc -O @a\nflags a 8\nrm a/lock-fd\ns6-svc -u @a\nhear a u\nflags a 4"},
		scene{name: "a second supervisor", files: files{"a/run*": asleep, "b/run*": asleep, "b/down": ""}, script: "hear a su\nhear b s\ns6-supervise @a\ns6-supervise @b\nstat a\ns6-svscan @\nflags a 4"},
		scene{name: "somebody else's", files: files{".a/run*": "id -u > told; " + asleep, ".a/event/": "", "b/run*": asleep},
			script: "hear b su\nchown .a/run 12345\nchown .a/event 12345\nchown .a 12345\nmv .a a\ns6-svscanctl -a @\nhear .a su\nawait a/told 1\nstat a"},
		scene{name: "others may write it", files: files{".a/run*": asleep, "b/run*": asleep, "b/down": ""},
			script: "hear b s\nchmod .a 777\nmv .a a\ns6-svscanctl -a @\ns6: hear .a su\ns6-svc -u @b\nhear b u\nmeet\ns6-svok @a\ns6-svstat -o up @a"},
	)
	return list
}
