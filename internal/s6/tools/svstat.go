package tools

import (
	"errors"
	"strconv"
	"syscall"
)

// maxFields is how many fields s6-svstat shows.
const maxFields = 16

// svview is what s6-svstat's fields are taken from.
type svview struct {
	svstatus
	release    release
	at         instant
	normallyUp bool
}

// svfield is one field. Its letter is the option that stands for it, where there is one.
type svfield struct {
	name   string
	letter byte
	show   func(v *svview) string
}

// svfields are in the order in which releases before 2.13 look for what a word begins.
var svfields = [...]svfield{
	{"up", 'u', func(v *svview) string { return strconv.FormatBool(v.up()) }},
	{"wantedup", 'w', func(v *svview) string { return strconv.FormatBool(v.wanted) }},
	{"normallyup", 'N', func(v *svview) string { return strconv.FormatBool(v.normallyUp) }},
	{"ready", 'r', func(v *svview) string { return strconv.FormatBool(v.pid != 0 && v.ready) }},
	{"paused", 0, func(v *svview) string {
		return strconv.FormatBool(v.paused && (v.pid != 0 || !v.release.atLeast(2, 13, 2)))
	}},
	{"pid", 'p', func(v *svview) string { return v.pidIfUp() }},
	{"pgid", 'g', func(v *svview) string {
		if v.release.hasPGID() && v.pgid > 0 {
			return strconv.Itoa(v.pgid)
		} else if v.release.hasPGID() {
			return "-1"
		}
		return v.pidIfUp()
	}},
	{"exitcode", 'e', func(v *svview) string { return strconv.Itoa(v.exitCode(v.release)) }},
	{"signal", 's', func(v *svview) string {
		if number := v.signal(v.release); number >= 0 {
			return "SIG" + signalName(number)
		}
		return "NA"
	}},
	{"signum", 0, func(v *svview) string { return strconv.Itoa(v.signal(v.release)) }},
	{"updownsince", 0, func(v *svview) string { return v.changed.label() }},
	{"readysince", 0, func(v *svview) string { return v.readied.label() }},
	{"updownfor", 't', func(v *svview) string { return v.since(v.changed) }},
	{"readyfor", 0, func(v *svview) string { return v.since(v.readied) }},
}

func (v *svview) pidIfUp() string {
	if v.up() {
		return strconv.Itoa(v.pid)
	}
	return "-1"
}

// since is how long ago a moment was, in whole seconds, and 0 where the clock was set back.
func (v *svview) since(i instant) string {
	if v.at.before(i) {
		return "0"
	}
	seconds := v.at.seconds - i.seconds
	if v.at.nano < i.nano {
		seconds--
	}
	return strconv.FormatUint(seconds, 10)
}

func svstat(c *call) int {
	v := svview{release: c.release()}
	pgid := v.release.atLeast(2, 13)
	if pgid {
		c.usage = "s6-svstat [ -uwNrpgest | -o up,wantedup,normallyup,ready,paused,pid,pgid,exitcode,signal,signum,updownsince,readysince,updownfor,readyfor ] [ -n ] servicedir"
		c.options += "g"
	}
	var (
		fields  []svfield
		numbers bool
	)
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		var more []svfield
		switch letter {
		case 'n':
			numbers = true
		case 'o':
			var wrong string
			if more, wrong = readFields(o.arg, pgid, maxFields-len(fields)); wrong != "" {
				return c.fatal(exitUsage, wrong)
			}
		case unknown:
			return c.wrongUsage()
		default:
			for _, f := range svfields {
				if f.letter == letter {
					more = []svfield{f}
				}
			}
		}
		if fields = append(fields, more...); len(fields) > maxFields {
			return c.fatal(exitUsage, "too many option fields")
		}
	}
	args := o.rest()
	if len(args) == 0 {
		return c.wrongUsage()
	}
	if code := c.look(&v, args[0]); code != 0 {
		return code
	}
	if len(fields) == 0 {
		return c.print([]byte(v.sentence(numbers) + "\n"))
	}
	text := ""
	for _, f := range fields {
		text += " " + f.show(&v)
	}
	return c.print([]byte(text[1:] + "\n"))
}

// readFields takes a list of fields, at most so many. Since there is pgid, names are to be complete.
func readFields(list string, pgid bool, most int) (fields []svfield, wrong string) {
	for list != "" {
		name, rest, _ := cut(list, ",")
		if name == "" && !pgid {
			return nil, "invalid null option field"
		}
		found := false
		for _, f := range svfields {
			if pgid && f.name == name || !pgid && f.letter != 'g' && hasPrefix(f.name, name) {
				fields, found = append(fields, f), true
				break
			}
		}
		if !found {
			return nil, "invalid option field: " + name
		}
		if len(fields) > most {
			return nil, "too many option fields"
		}
		list = rest
	}
	return fields, ""
}

// look reads all that is known of a service.
func (c *call) look(v *svview, dir string) (code int) {
	held, err := isLocked(dir + "/" + superviseDir + "/lock")
	switch {
	case err != nil:
		return c.unable(exitSystem, err, "check "+dir)
	case !held:
		return c.fatal(exitRefused, v.release.unableOf("read status for "+dir+": s6-supervise not running"))
	}
	if v.svstatus, err = readStatus(dir, v.release); err != nil {
		return c.unable(exitSystem, err, "read status for "+dir)
	}
	if v.at = now(); v.at.before(v.changed) {
		v.changed = v.at
	}
	err = syscall.Access(dir+"/down", 0)
	v.normallyUp = err != nil
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return c.unable(exitSystem, err, "access "+dir+"/down")
	}
	return 0
}

// sentence is the status for people.
func (v *svview) sentence(numbers bool) string {
	up, begun := v.up(), !v.notStarted(v.release)
	text := ""
	switch {
	case up:
		text = "up (pid " + strconv.Itoa(v.pid)
		if v.release.hasPGID() {
			text += " pgid " + strconv.Itoa(v.pgid)
		} else if v.release.atLeast(2, 13) {
			text += " pgid " + strconv.Itoa(v.pid)
		}
	case !begun:
		text = "down (not started yet"
	case !v.wait.Signaled():
		text = "down (exitcode " + strconv.Itoa(int(v.wait>>8&0xff))
	case numbers:
		text = "down (signal " + strconv.Itoa(int(v.wait.Signal()))
	default:
		text = "down (signal SIG" + signalName(int(v.wait.Signal()))
	}
	text += ") "
	if begun {
		text += v.since(v.changed) + " seconds"
	}
	for _, also := range []struct {
		said bool
		text string
	}{
		{up && !v.normallyUp, ", normally down"},
		{!up && v.normallyUp, ", normally up"},
		{up && v.paused, ", paused"},
		{!up && v.wanted, ", want up"},
		{up && !v.wanted, ", want down"},
		{v.ready && begun, ", ready " + v.since(v.readied) + " seconds"},
	} {
		if also.said {
			text += also.text
		}
	}
	return text
}
