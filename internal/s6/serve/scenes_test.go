package serve

import "slices"

func scenes() []scene {
	return slices.Concat(commandScenes(), lifeScenes(), readyScenes(), fileScenes(), logScenes(), scanScenes())
}

// asleep runs until it is told to end.
const asleep = "exec sleep 500"

// once is a script that does something at its first run, and then sleeps.
func once(what string) string { return "test -e once && " + asleep + "\n: > once\n" + what }
