//go:build !race

package serve

import "fmt"

// readyScenes are what notification-fd may say, and what a run may write there.
func readyScenes() (list []scene) {
	const ready = "hear a suU\nflags a 12\nstat a\ns6-svc -t @a\nhear a dDuU\nflags a 12"
	const never = "hear a su\nawait a/told 1\nflags a 4\nstat a\ns6-svc -d @a\nhear a dD\nflags a 8"
	for _, r := range []struct{ name, number, run, script string }{
		{"at once", "3\n", "echo >&3; " + asleep, ready},
		{"on a high descriptor", "9", "echo >&9; " + asleep, ready},
		{"late, and twice", "3", "trap '' PIPE; sleep 0.3; echo >&3; echo 2>told >&3; " + asleep, ready},
		{"with more lines", "3", "echo ready >&3; " + asleep, ready},
		{"in parts", "3", "printf rea >&3; sleep 0.2; printf 'dy\\nand more' >&3; " + asleep, ready},
		{"and something after the number's line", "3\nfoo", "echo >&3; " + asleep, ready},
		{"never", "3", "echo >> told; " + asleep, never},
		{"closes it", "3", "exec 3>&-; echo >> told; " + asleep, never},
		{"nobody listens to it", "", "(echo >&3) 2>told; " + asleep, never},
	} {
		f := files{"a/run*": r.run, "a/notification-fd": r.number}
		if r.name == "nobody listens to it" {
			delete(f, "a/notification-fd")
		}
		list = append(list, scene{name: "ready: " + r.name, files: f, script: r.script})
	}
	for _, number := range []string{"", "x", "3 ", " 3", "-1", "+3", "\n3", "4294967296", "4294967295", "0x3", "3.0"} {
		list = append(list, scene{name: fmt.Sprintf("notification-fd is %q", number), files: files{"a/run*": "(echo >&3) 2>/dev/null; echo >> told; " + asleep, "a/notification-fd": number}, script: never})
	}
	for _, number := range []string{"0", "1", "2"} {
		list = append(list, scene{name: "notification-fd is " + number, files: files{"a/run*": "echo told >> told; echo >&" + number + "; " + asleep, "a/notification-fd": number},
			script: "hear a suU\nawait a/told 1\nstat a\ns6-svc -d @a\nhear a dD"})
	}
	list = append(list,
		scene{name: "notification-fd is 1, with a logger", files: files{"a/run*": "echo told; " + asleep, "a/notification-fd": "1", "a/log/run*": "exec cat >> lines"},
			script: "hear a suU\nhear a/log su\nstat a\ns6-svc -d @a\nhear a dD\nstat a/log\nshow a/log/lines"},
		scene{name: "notification-fd is more than there can be", files: files{"a/run*": asleep, "a/notification-fd": "2000000000", "a/down": ""},
			script: "hear a s\ns6-svc -u @a\npintle: hear a u\nmeet\nstat a"},
		scene{name: "notification-fd is 300", files: files{"a/run=": "#!/bin/bash\necho >&300\nexec sleep 500\n", "a/notification-fd": "300"},
			script: "hear a su\ns6: hear a U\nmeet\nstat a"},
		scene{name: "ready, and ends at once", files: files{"a/run*": once("echo >&3"), "a/notification-fd": "3"}, script: "hear a suUdDu\nflags a 4"},
		scene{name: "not ready, and its child has the pipe", files: files{"a/run*": once("sleep 2 & exit 0"), "a/notification-fd": "3"}, script: "hear a sudDu\nflags a 4\nstat a"},
		scene{name: "a child is ready after its end", files: files{"a/run*": once("(trap '' PIPE; sleep 0.5; echo >&3; echo >> told) 2>/dev/null & exit 0"), "a/notification-fd": "3", "a/finish*": "sleep 1"}, script: "hear a sudDu\nawait a/told 1\nflags a 4"},
		scene{name: "notification-fd comes while it runs", files: files{"a/run*": asleep}, script: "hear a su\nwrite a/notification-fd \"3\"\nwrite a/run* \"echo >&3; exec sleep 500\"\ns6-svc -t @a\nhear a dDuU\nflags a 12"},
		scene{name: "waiting for it to be ready", files: files{"a/run*": "sleep 0.3; echo >&3; " + asleep, "a/notification-fd": "3", "a/down": ""},
			script: "hear a s\ns6-svc -wU -T 15000 -u @a\nstat a\ns6-svc -wR -T 15000 -r @a\nstat a\ns6-svc -wD -T 15000 -d @a\nstat a\ns6-svc -wU -T 1500 -O @a\ns6-svwait -D -t 15000 @a\ns6-svwait -U -t 1500 @a\ns6-svok @a"},
		scene{name: "waiting for what fails", files: files{"a/run*": "read x < gate; exit 1", "a/finish*": "exit 125", "a/down": "", "a/gate|": ""},
			script: "hear a s\ns6-svc -wu -T 15000 -u @a\nfeed a/gate\ns6-svwait -D -t 15000 @a\nstat a\nhear a udOD"},
		scene{name: "waiting for whose supervisor ends", files: files{"a/run*": asleep}, script: "hear a su\ns6-svc -wD -T 15000 -xd @a\nhear a dDxsu\ns6-svwait -u -t 15000 @a"},
	)
	return list
}
