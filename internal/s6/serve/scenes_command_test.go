//go:build !race

package serve

import (
	"fmt"
	"strings"
)

// commandScenes are the bytes of the control FIFO in each state of a service.
func commandScenes() (list []scene) {
	list = append(list,
		scene{name: "a service is up", files: files{"a/run*": asleep}, script: "hear a su\nstat a\nflags a 4\nlist a\ntally a"},
		scene{name: "a service is down", files: files{"a/run*": asleep, "a/down": ""}, script: "hear a s\nstat a\nflags a 8\nlist a\ntally a"},
		scene{name: "signals while it is down", files: files{"a/run*": asleep, "a/down": ""},
			script: "hear a s\ns6-svc -abqhktipc12yr @a\nflags a 8\ns6-svc -d @a\ns6-svc -u @a\nhear a u\nflags a 4\nshow a/down"},
	)
	for _, c := range []string{"o", "u", "U"} {
		list = append(list, scene{name: "while it is down: " + c, files: files{"a/run*": asleep, "a/down": ""},
			script: fmt.Sprintf("hear a s\ns6-svc -%s @a\nhear a u\nstat a\nshow a/down\ns6-svc -k @a\nhear a dD\n", c) +
				map[string]string{"o": "flags a 8\n", "u": "hear a u\nflags a 4\n", "U": "hear a u\nflags a 4\n"}[c] + "stat a"})
	}
	for _, c := range []string{"O", "Q", "d", "D"} {
		list = append(list, scene{name: "while it is down: " + c, files: files{"a/run*": asleep, "a/finish*": "exit 125", "b/run*": asleep, "b/down": ""},
			script: strings.ReplaceAll("hear a su\ns6-svc -k @a\nhear a dOD\nstat a\nshow a/down\ns6-svc -C @a\ns6-svc -C @b\ns6-svc -o @a\nhear a u\nshow a/down\nstat a\nflags b 8", "C", c)})
	}
	list = append(list,
		scene{name: "while it is down: x", files: files{"a/run*": asleep, "a/down": ""},
			script: "hear a s\nclock\ns6-svc -x @a\nhear a xs\nclock\nstat a"},
		scene{name: "while it is up: u", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -u @a\ns6-svc -p @a\nflags a 5\ns6-svc -c @a\nflags a 4"},
		scene{name: "while it is up: U", files: files{"a/run*": asleep, "a/down": ""}, script: "hear a s\ns6-svc -u @a\nhear a u\ns6-svc -Up @a\nflags a 5\nshow a/down"},
	)
	for _, c := range []string{"o", "O", "Q"} {
		list = append(list, scene{name: "while it is up: " + c, files: files{"a/run*": asleep},
			script: "hear a su\ns6-svc -" + c + " @a\nflags a 0\nstat a\nshow a/down\ns6-svc -k @a\nhear a dD\nstat a\nflags a 8"})
	}
	for _, c := range []string{"d", "D", "t", "k", "r", "h", "i", "q", "a", "1", "2", "b"} {
		script := "hear a su\ns6-svc -C @a\nhear a dD\nshow a/down\ntally a\nawait a/args 1\n"
		if strings.Contains("dD", c) {
			script += "flags a 8\nstat a"
		} else {
			script += "hear a u\nstat a\nflags a 4"
		}
		list = append(list, scene{name: "while it is up: " + c, files: files{"a/run*": asleep, "a/finish*": `echo "$@" >> args`},
			script: strings.ReplaceAll(script, "C", c)})
	}
	list = append(list,
		scene{name: "while it is up: x", files: files{"a/run*": asleep, "a/finish*": "echo $1 $2 >> args"},
			script: "hear a su\ns6-svc -x @a\ns6-svc -p @a\nflags a 5\ns6-svc -ck @a\nhear a dDxsu\nshow a/args\nstat a\ntally a"},
		scene{name: "while it is up: xd", files: files{"a/run*": asleep, "a/finish*": "cat; echo $1 $2 >> args"},
			script: "hear a su\ns6-svc -xd @a\nhear a dDxsu\nstat a\nshow a/args"},
		scene{name: "while it is up: dx", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -dx @a\nhear a dDxsu\nstat a"},
		scene{name: "while it ends: u", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -xp @a\nflags a 5\ns6-svc -O @a\nflags a 1\ns6-svc -u @a\nflags a 5\ns6-svc -d @a\nhear a dDxsu"},
		scene{name: "while it is up: y", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -y @a\ns6-svc -p @a\nflags a 5\nstat a\ns6-svc -c @a\nflags a 4\nstat a"},
		scene{name: "stopped, and told to end", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -p @a\nflags a 5\nstat a\ns6-svc -d @a\nhear a dD\nflags a 8\nstat a"},
		scene{name: "stopped, and killed", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -p @a\nflags a 5\ns6-svc -k @a\nhear a dDu\nflags a 4"},
		scene{name: "many commands at once", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -udxopcu @a\nhear a dDxsu\nstat a"},
		scene{name: "commands that there are not", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -Z @a\ns6-svc -l @a\ns6-svc -P @a\nstat a"},
	)
	// While finish is there: what was wanted counts once it has ended, signals are for nobody.
	for c, after := range map[string]string{"u": "4", "d": "8", "o": "8", "O": "8", "Q": "8", "D": "8", "U": "4", "r": "4", "abqhktipc12y": "4"} {
		script := "hear a su\ns6-svc -t @a\nhear a d\nstat a\nflags a 6\ns6-svc -C @a\nflags a F\nstat a\nshow a/down\nfeed a/gate\nhear a D\nrm a/gate\n"
		if after == "4" {
			script += "hear a u\n"
		}
		flags := "2"
		if after == "4" {
			flags = "6"
		}
		list = append(list, scene{name: "while finish runs: " + c, files: finishWaits(), script: strings.NewReplacer("C", c, "F", flags).Replace(script) + "flags a " + after + "\nstat a"})
	}
	list = append(list,
		scene{name: "while finish runs: x", files: finishWaits(), script: "hear a su\ns6-svc -t @a\nhear a d\ns6-svc -x @a\ns6-svc -O @a\nflags a 2\nfeed a/gate\nrm a/gate\nhear a Dxsu"},
		scene{name: "while finish runs: ud", files: finishWaits(), script: "hear a su\ns6-svc -d @a\nhear a d\nflags a 2\ns6-svc -u @a\nflags a 6\nfeed a/gate\nrm a/gate\nhear a Du"},
	)
	return list
}

// finishWaits is a service whose finish waits for a line on the FIFO gate, while there is one.
func finishWaits() files {
	return files{"a/run*": asleep, "a/finish*": "test -p gate && read x < gate; :", "a/timeout-finish": "0", "a/gate|": ""}
}
