package serve

import "slices"

func scenes() []scene {
	return slices.Concat(commandScenes())
}

// asleep runs until it is told to end.
const asleep = "exec sleep 500"
