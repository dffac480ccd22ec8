//go:build !race

package serve

import (
	"fmt"
	"strings"
)

// scanScenes are what s6-svscan does: services come and go, and s6-svscanctl asks for something.
func scanScenes() (list []scene) {
	// b tells that the scan is over: it is told to restart after it, and both are asked in the same order.
	b := func(f files) files { f["b/run*"] = asleep; return f }
	list = []scene{
		{name: "a service appears", files: b(files{".a/run*": asleep}), script: "hear b su\nmv .a a\ns6-svscanctl -a @\nhear .a su\nstat a\nlist"},
		{name: "a service appears unasked", files: b(files{".a/run*": asleep}), script: "hear b su\nmv .a a\npintle: hear .a su\nmeet\ns6-svok @a"},
		{name: "a service disappears unasked", files: b(files{"a/run*": asleep}), script: "hear b su\nhear a su\nmv a .a\npintle: hear a dDx\nmeet\ns6-svok @.a"},
		{name: "a service disappears, and is not asked for", files: b(files{"a/run*": asleep}), script: "hear b su\nhear a su\nmv a .a\ns6-svscanctl -a @\npintle: hear a dDx\nmeet\ns6-svc -t @b\nhear b dDu\ns6-svok @.a"},
		{name: "a service disappears: an", files: b(files{"a/run*": asleep, "a/finish*": tells}), script: "hear a su\nhear b su\nmv a .a\ns6-svscanctl -an @\nhear a dDx\nshow .a/args\ngone .a\nlist"},
		{name: "a service disappears: h", files: b(files{"a/run*": asleep}), script: "hear a su\nhear b su\nmv a .a\ns6-svscanctl -h @\nhear a dDx\ngone .a"},
		{name: "a service disappears: aN", files: b(files{"a/run*": asleep}), script: "hear a su\nhear b su\nmv a .a\ns6-svscanctl -aN @\nhear a dDx\ngone .a"},
		{name: "a service disappears: a, then n", files: b(files{"a/run*": asleep}), script: "hear a su\nhear b su\nmv a .a\ns6-svscanctl -a @\ns6-svscanctl -n @\nhear a dDx\ngone .a"},
		{name: "a service that is down disappears", files: b(files{"a/run*": asleep, "a/down": ""}), script: "hear a s\nhear b su\nmv a .a\ns6-svscanctl -an @\nhear a x\ngone .a"},
		{name: "a service whose finish runs disappears", files: b(finishWaits()), script: "hear a su\nhear b su\ns6-svc -t @a\nhear a d\nmv a .a\ns6-svscanctl -an @\nfeed .a/gate\nhear a Dx\ngone .a"},
		{name: "a service is deleted", files: b(files{"a/run*": asleep}), script: "hear a su\nhear b su\nmv a .a\ns6-svscanctl -an @\nhear a dDx\nrm .a\nlist"},
		{name: "a service goes and comes back", files: b(files{"a/run*": asleep}), script: "hear a su\nhear b su\nmv a .a\ns6-svscanctl -an @\nhear a dDx\nmv .a a\ns6-svscanctl -a @\nhear a su\nstat a"},
		{name: "prune has nothing to do", files: b(files{"a/run*": asleep}), script: "hear a su\nhear b su\ns6-svscanctl -n @\ns6-svscanctl -N @\ns6-svscanctl -z @\ns6-svscanctl -h @\ns6-svscanctl -an @\ns6-svc -t @b\nhear b dDu\nstat a"},
		{name: "a service is renamed", files: files{"a/run*": "echo $1 >> names; " + asleep}, script: "hear a su\nawait a/names 1\nmv a c\ns6-svscanctl -an @\ns6-svc -t @c\nhear a dDu\nawait c/names 2\nstat c"},
		{name: "a renamed service gets another supervisor", files: files{"a/run*": "echo $1 >> names; " + asleep}, script: "hear a su\nawait a/names 1\nmv a c\ns6-svscanctl -a @\ns6-svc -xd @c\nhear a dDxsu\nawait c/names 2\nstat c"},
		{name: "a symlink", files: files{".d/a/run*": asleep, ".d/a/event/": ""}, deaf: true, script: "ln .d/a a\ns6-svscanctl -a @\nflags a 4\nstat a\nlist\nrm a\ns6-svscanctl -an @\nflags .d/a 8\nlist"},
		{name: "two symlinks to one directory", files: files{".d/a/run*": "echo run >> told; " + asleep}, deaf: true, script: "ln .d/a a\nln .d/a c\ns6-svscanctl -a @\nawait .d/a/told 1\nflags .d/a 4\nstat a\nstat c\nrm a\ns6-svscanctl -an @\ns6-svc -t @c\nawait .d/a/told 2\nflags .d/a 4\nstat c"},
		{name: "a directory and a symlink to it", files: files{"a/run*": "echo run >> told; " + asleep}, script: "hear a su\nln a c\ns6-svscanctl -a @\nstat c\ns6-svc -t @c\nhear a dDu\nawait a/told 2"},
		{name: "a symlink that leads nowhere", files: b(files{}), script: "ln nowhere a\ns6-svscanctl -a @\nhear b su\nlist\ns6-svc -t @b\nhear b dDu"},
		{name: "files, dots and devices", files: b(files{"file": "x", ".a/run*": asleep, "..b/run*": asleep}), deaf: true, script: "fifo fifo\ns6-svscanctl -a @\nflags b 4\nlist"},
		{name: "an empty directory", files: b(files{"a/": ""}), deaf: true, script: "flags b 4\nflags a 12\nstat a\nlist"},
		{name: "commands that there are not to s6-svscan", files: b(files{}), script: "hear b su\ns6-svscanctl -x @\ns6-svscanctl -aa @\ns6-svc -t @b\nhear b dDu"},
		{name: "nobody is there", files: b(files{}), script: "hear b su\ns6-svscanctl -t @\nended\nhear b dDx\ns6-svscanctl -a @\ns6-svc -u @b\ns6-svok @b\ns6-svstat -o up @b\ns6-svwait -d -t 5000 @b\nlist"},
		{name: "s6-svscan leaves its services", files: b(files{}), script: "hear b su\ns6-svscanctl -b @\nended\ns6-svok @b\ns6: s6-svc -xd @b\nhear b dDx"},
		{name: "a name that is as long as can be", files: files{strings.Repeat("n", 255) + "/run*": asleep, "b/run*": asleep}, deaf: true, script: "flags b 4\ns6: s6-svwait -u -t 15000 @" + strings.Repeat("n", 255) + "\nmeet\ns6-svok @" + strings.Repeat("n", 255)},
	}
	for _, how := range []string{"t", "q", "i"} {
		list = append(list, scene{name: "the tree ends: " + how, files: files{"a/run*": asleep, "a/finish*": tells, "b/run*": asleep, "b/down": ""},
			script: "hear a su\nhear b s\ns6-svscanctl -" + how + " @\nended\nhear a dDx\nhear b x\nshow a/args\nlist\nflags a 8"})
	}
	for _, name := range []string{"UPPER", "a.b", "a-b_c", "a@b", "1", strings.Repeat("n", 200)} {
		list = append(list, scene{name: named(name), files: files{name + "/run*": asleep, name + "/finish*": `echo "$3" > args`}, script: fmt.Sprintf("hear %[1]s su\ns6-svc -t @%[1]s\nhear %[1]s dDu\nstat %[1]s\nshow %[1]s/args", name)})
	}
	for _, name := range []string{"_a", "-a", "a+b", "a:b", "é", "a=b", strings.Repeat("n", 201), strings.Repeat("n", 245)} {
		list = append(list, scene{name: named(name), files: b(files{name + "/run*": asleep}), script: fmt.Sprintf("hear b su\ns6: hear %[1]s su\nmeet\ns6-svok @%[1]s", name)})
	}
	return list
}

// named is what a scene about a name is called.
func named(name string) string {
	if len(name) > 20 {
		return fmt.Sprintf("a name of %d bytes", len(name))
	}
	return "the name " + name
}
