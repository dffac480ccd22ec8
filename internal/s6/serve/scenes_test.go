//go:build !race

package serve

import "slices"

func scenes() []scene {
	return slices.Concat(commandScenes(), lifeScenes(), readyScenes(), fileScenes(), logScenes(), scanScenes(), toolScenes())
}

// asleep runs until it is told to end.
const asleep = "exec sleep 500"

// crash is a run that does something, and leaves no other run behind: the state that it has come to stays. back brings one,
// and has it be started.
func crash(what string) string { return "mv run off\n" + what }

const back = "write a/run* \"exec sleep 500\"\ns6-svc -u @a\nhear a u\nflags a 4\n"

// once is a script that does something at its first run, and then sleeps.
func once(what string) string { return "test -e once && " + asleep + "\n: > once\n" + what }
