// Package tools is the command line tools of s6, by their own names: a link to
// pintle that is called s6-setuidgid is s6-setuidgid.
//
// It promises that options, messages, exit codes and files are those of s6
// 2.11.3.2, Debian 12's, and of s6-overlay 3.1, but for what docs/s6-tools.md lists with
// reasons; its tests run each case beside the real tool. A tool that runs
// another program in its place does so by execve(2): same process, same
// descriptors, and the rights that are left.
//
// It knows nothing else of pintle, so that cmd/pintle can run it before the rest of the binary is initialised.
package tools

import (
	"io"
	"os"
	"path"
	"syscall"
)

// tool is one program. Where two names share a run function, it looks at call.name.
type tool struct {
	name string
	// usage is what follows "usage: " in a message; options as subgetopt takes them.
	usage, options string
	run            func(c *call) int
}

// tools are all of them. What a tool is executed as once more, by itself, has a space in its name, which no link has.
var tools = [...]tool{
	{"s6-applyuidgid", "s6-applyuidgid [ -z ] [ -u uid ] [ -g gid ] [ -G gidlist ] [ -U ] prog...", "zUu:g:G:", applyUIDGID},
	{"s6-envdir", "s6-envdir [ -I | -i ] [ -n ] [ -f ] [ -L ] [ -c nullchar ] dir prog...", "IinfLc:", envdir},
	{"s6-envuidgid", "s6-envuidgid [ -i | -D defaultuid:defaultgid:defaultgidlist ] [ -u | -g | -B ] [ -n ] account prog...", "ugBniD:", envUIDGID},
	{"s6-log", "s6-log [ -d notif ] [ -q | -v ] [ -b ] [ -p ] [ -l linelimit ] [ -- ] logging_script", "qvbpl:d:", logLines},
	{"s6-notifyoncheck", "s6-notifyoncheck [ -d ] [ -3 fd ] [ -s initialsleep ] [ -T globaltimeout ] [ -t localtimeout ] [ -w waitingtime ] [ -n tries ] [ -c \"checkprog...\" ] prog...", "d3:s:T:t:w:n:c:", notifyOnCheck},
	{pollerName, "", "", pollCheck},
	{"s6-permafailon", "s6-permafailon seconds deathcount statuslist prog...", "", permafailon},
	{"s6-setlock", "s6-setlock [ -r | -w ] [ -n | -N | -t timeout ] lockfile prog...", "nNrwt:", setlock},
	{"s6-setsid", "s6-setsid [ -s | -b | -f | -g ] [ -i | -I | -q ] [ -d ctty ] prog...", "sbfgiIqd:", setsid},
	{"s6-setuidgid", "s6-setuidgid username prog...", "", setUIDGID},
	{"s6-softlimit", "s6-softlimit [ -a allbytes ] [ -c corebytes ] [ -d databytes ] [ -f filebytes ] [ -l lockbytes ] [ -m membytes ] [ -o openfiles ] [ -p processes ] [ -r residentbytes ] [ -s stackbytes ] [ -t cpusecs ] prog...", "hHa:c:d:f:l:m:o:p:r:s:t:", softlimit},
	{"s6-svc", "", "", svcontrol},
	{"s6-svdt", "s6-svdt [ -S | -s ] [ -n maxentries ] servicedir", "Ssn:", svdt},
	{"s6-svdt-clear", "s6-svdt-clear servicedir", "", svdtClear},
	{"s6-svlisten", "s6-svlisten [ -U | -u | -d | -D | -r | -R ] [ -a | -o ] [ -t timeout ] servicedir... \"\" prog...", "uUdDrRaot:", svlistenBlock},
	{"s6-svlisten1", "s6-svlisten1 [ -U | -u | -d | -D | -r | -R ] [ -t timeout ] servicedir prog...", "uUdDrRt:", svlisten1},
	{"s6-svok", "s6-svok servicedir", "", svok},
	{"s6-svscanctl", "s6-svscanctl [ -zabhitqnN ] svscandir", "zabhitqnN", svscanctl},
	{"s6-svstat", "s6-svstat [ -uwNrpest | -o up,wantedup,normallyup,ready,paused,pid,exitcode,signal,signum,updownsince,readysince,updownfor,readyfor ] [ -n ] servicedir", "no:uwNrpest", svstat},
	{"s6-svwait", "s6-svwait [ -U | -u | -d | -D | -r | -R ] [ -a | -o ] [ -t timeout ] servicedir...", "UudDrRaot:", svwait},
	{"s6-tai64n", "", "", tai64n},
	{"s6-tai64nlocal", "s6-tai64nlocal [ -g ]", "g", tai64nlocal},
	{"with-contenv", "", "", withContenv},
}

// call is one command line being carried out.
type call struct {
	// name is what messages begin with. It changes where the real tools are a chain of programs.
	name           string
	usage, options string
	// args are the words after the name.
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	// env is the environment as "KEY=value", for the program that comes next.
	env []string
	// path is the PATH of the tool's own environment: s6 searches by that one, whatever env has become.
	path string
	// steps says that the words come from another tool of ours, which may name the next one in them.
	steps bool
	tools []tool
	// exec replaces the process; it returns only where it could not.
	exec func(file string, args, env []string) error
}

// Run is the tool that args[0] names; found is false where it names none. Code is what to exit with.
func Run(args []string) (code int, found bool) {
	if len(args) == 0 {
		return 0, false
	}
	name := path.Base(args[0])
	for i := range tools {
		if t := &tools[i]; t.name == name {
			return t.run(&call{
				name: name, usage: t.usage, options: t.options, args: args[1:],
				stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
				env: os.Environ(), path: searchPath(os.LookupEnv("PATH")), exec: syscall.Exec, tools: tools[:],
			}), true
		}
	}
	return 0, false
}

// Names lists the tools that a link can be made for.
func Names() []string {
	var names []string
	for i := range tools {
		if tools[i].name != pollerName {
			names = append(names, tools[i].name)
		}
	}
	return names
}
