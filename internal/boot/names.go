package boot

import "strings"

// tiniWithWord are tini's options that have a word behind them.
const tiniWithWord = "pe"

// TiniArgs is what is left of the arguments of a pintle that is called tini, once tini's own options are taken away: the
// container's arguments. What those options ask of tini, pintle does anyway, or has a better way for. An entrypoint that goes
// on with /init means pintle too, which it is already.
func TiniArgs(args []string) []string {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		option := args[0]
		args = args[1:]
		if option == "--" {
			break
		}
		if len(option) == 2 && strings.Contains(tiniWithWord, option[1:]) && len(args) > 0 {
			args = args[1:]
		}
	}
	if len(args) > 0 && args[0] == "/init" {
		args = args[1:]
	}
	return args
}
