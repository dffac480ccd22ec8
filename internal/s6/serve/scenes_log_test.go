//go:build !race

package serve

// logScenes are services with a logger.
func logScenes() []scene {
	const keeps = "exec cat >> lines"
	return []scene{
		{name: "a service and its logger", files: files{"a/run*": "echo one; echo two; echo err >&2; " + asleep, "a/log/run*": keeps},
			script: "hear a su\nhear a/log su\nawait a/log/lines 2\nstat a\nstat a/log\nlist a"},
		{name: "the logger crashes", files: files{"a/run*": "echo one; read x < gate; echo two; echo three; echo >> told; " + asleep, "a/gate|": "", "a/log/run*": crash("read x; echo $x > got; exit 3"), "a/log/finish*": tells},
			script: "hear a su\nhear a/log sudD\nawait a/log/got 1\nwrite a/log/run* \"exec cat >> lines\"\ns6-svc -u @a/log\nhear a/log u\nfeed a/gate\nawait a/told 1\nawait a/log/lines 2\nshow a/log/args\nstat a/log\nflags a/log 4\nflags a 4"},
		{name: "what is written while there is no logger", files: files{"a/run*": "read x < gate; echo one; echo two; echo >> told; " + asleep, "a/log/run*": keeps, "a/log/down": "", "a/gate|": ""},
			script: "hear a su\nhear a/log s\nfeed a/gate\nawait a/told 1\nshow a/log/lines\ns6-svc -u @a/log\nhear a/log u\nawait a/log/lines 2"},
		{name: "the service crashes while the logger lives", files: files{"a/run*": "echo begun; exit 3", "a/finish*": "echo finished; exit 125", "a/log/run*": keeps},
			script: "hear a/log su\nhear a sudOD\nawait a/log/lines 2\ns6-svc -u @a\nhear a udOD\nawait a/log/lines 4\nstat a/log\nflags a/log 4"},
		{name: "the logger is killed while the service lives", files: files{"a/run*": "while :; do echo line; sleep 0.1; done", "a/log/run*": keeps},
			script: "hear a su\nhear a/log su\ns6-svc -k @a/log\nhear a/log dDu\nflags a 4\nflags a/log 4\ntally a/log\ntally a"},
		{name: "a service with a logger ends with its supervisor", files: files{"a/run*": asleep, "a/finish*": "echo unheard", "a/log/run*": keeps},
			script: "hear a su\nhear a/log su\ns6-svc -x @a\ns6-svc -t @a\nhear a dDxsu\nshow a/log/lines\ns6-svc -d @a\nhear a dD\nawait a/log/lines 1\nflags a/log 4"},
		{name: "a logger ends with its supervisor", files: files{"a/run*": "echo one; " + asleep, "a/log/run*": keeps},
			script: "hear a su\nhear a/log su\nawait a/log/lines 1\ns6-svc -x @a/log\ns6-svc -t @a/log\nhear a/log dDxsu\ns6-svc -t @a\nhear a dDu\nawait a/log/lines 2"},
		{name: "a service with a logger is removed", files: files{"a/run*": "echo one; " + asleep, "a/finish*": "echo two", "a/log/run*": keeps, "a/log/finish*": tells},
			script: "hear a su\nhear a/log su\nawait a/log/lines 1\nmv a .a\ns6-svscanctl -an @\nhear a dDx\nhear a/log dDx\nawait .a/log/lines 2\nshow .a/log/args\nlist .a\ngone .a\ngone .a/log"},
		{name: "a service with a logger is removed at once", files: files{"a/run*": asleep, "a/log/run*": "trap 'echo term >> got; exit 0' TERM; echo >&3; while :; do sleep 0.1; done", "a/log/notification-fd": "3"},
			script: "hear a su\nhear a/log suU\nmv a .a\ns6-svscanctl -aN @\nhear a dDx\nhear a/log dDx\nshow .a/log/got"},
		{name: "the logger is removed", files: files{"a/run*": asleep, "a/log/run*": keeps, "b/run*": asleep, "b/down": ""},
			script: "hear a su\nhear a/log su\nhear b s\nmv a/log a/.log\ns6-svscanctl -an @\ns6-svc -u @b\nhear b u\nstat a\nstat a/.log\nmv a/.log a/log"},
		{name: "a logger comes later", files: files{"a/run*": asleep, "a/.log/run*": keeps, "b/run*": asleep},
			script: "hear a su\nhear b su\nmv a/.log a/log\ns6-svscanctl -a @\ns6-svc -t @b\nhear b dDu\ns6-svok @a/log\nlist a"},
		{name: "log is a file", files: files{"a/run*": asleep, "a/log": ""}, script: "hear a su\nstat a\nlist a"},
		{name: "a logger has no logger", files: files{"a/run*": asleep, "a/log/run*": keeps, "a/log/log/run*": keeps}, script: "hear a su\nhear a/log su\nlist a"},
		{name: "the logger says that it is ready", files: files{"a/run*": asleep, "a/log/run*": "echo >&3; exec cat", "a/log/notification-fd": "3"}, script: "hear a su\nhear a/log suU\nstat a/log\ns6-svc -r @a/log\nhear a/log dDuU\nflags a/log 12"},
		{name: "a tree with loggers ends", files: files{"a/run*": "trap 'echo last; exit 0' TERM; echo first; while :; do sleep 0.1; done", "a/finish*": "echo finished", "a/log/run*": "cat >> lines; echo ended >> lines"},
			script: "hear a su\nhear a/log su\nawait a/log/lines 1\ns6-svscanctl -t @\nended\nshow a/log/lines\nhear a dDx\nhear a/log dDx"},
		{name: "a tree with loggers ends at once", files: files{"a/run*": asleep, "a/log/run*": "trap 'echo term >> got; exit 0' TERM; echo >&3; while :; do sleep 0.1; done", "a/log/notification-fd": "3", "a/log/finish*": tells},
			script: "hear a su\nhear a/log suU\ns6-svscanctl -q @\nended\nhear a dDx\nhear a/log dDx\nshow a/log/args\nshow a/log/got"},
		{name: "the logger of all ends last", files: files{"s6-svscan-log/run*": "read x < gate; echo read >> told", "s6-svscan-log/finish*": tells, "s6-svscan-log/gate|": "", "a/run*": asleep},
			script: "hear s6-svscan-log su\nhear a su\ns6-svscanctl -t @\nhear a dDx\nfeed s6-svscan-log/gate\nended\nhear s6-svscan-log dDx\nshow s6-svscan-log/told\nshow s6-svscan-log/args"},
		{name: "the logger of all", files: files{"s6-svscan-log/run*": asleep, "s6-svscan-log/log/run*": keeps, "a/run*": asleep}, script: "hear s6-svscan-log su\nhear a su\nlist s6-svscan-log\nstat s6-svscan-log\ns6-svscanctl -q @\nended"},
	}
}
