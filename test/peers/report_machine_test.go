package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/test/dockertest"
)

// setting is where and with what a run was made. It has nothing that names the machine.
type setting struct {
	size     string // full, quick or smoke
	machine  [][2]string
	versions [][2]string
	private  []string // what no page may have: the host's name and directories
}

// settingOf finds out what the report says of the machine, and the versions of the peers that the answers name.
func settingOf(w *workshop, answers []answer) setting {
	s := setting{size: w.size.String(), private: namesOfThisMachine()}
	add := func(what, is string) {
		if is != "" {
			s.machine = append(s.machine, [2]string{what, is})
		}
	}
	cpu := value("/proc/cpuinfo", "model name")
	cores := fmt.Sprintf("%d cores", runtime.NumCPU())
	add("processor", strings.TrimPrefix(cpu+", "+cores, ", "))
	if kB, err := strconv.ParseFloat(strings.TrimSuffix(value("/proc/meminfo", "MemTotal"), " kB"), 64); err == nil {
		add("memory", quantity(kB*1024, "B"))
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err == nil {
		add("kernel", "Linux "+numbersOf(string(release)))
	}
	add("system", strings.Trim(assigned("/etc/os-release", "PRETTY_NAME"), `"`))
	add("Go", strings.TrimPrefix(runtime.Version(), "go"))
	if slices.ContainsFunc(answers, func(a answer) bool { return strings.HasPrefix(a.id, "docker-") && len(a.figures) > 0 }) {
		r := dockertest.Docker(w, "info", "--format", "{{.ServerVersion}}, storage by {{.Driver}}, cgroups v{{.CgroupVersion}}")
		add("Docker", strings.TrimSpace(r.Stdout))
	}
	add("day", time.Now().UTC().Format("2 January 2006"))

	// The supervisors know their versions; the inits are packages of their own names.
	versions := map[string]func(w *workshop) string{}
	for _, p := range []supervisor{pintle, s6, runit, supervisord, pebble, processCompose} {
		versions[p.name] = p.version
	}
	for _, name := range []string{"tini", "dumb-init", "catatonit"} {
		versions[name] = func(w *workshop) string { return debianVersion(w, name) }
	}
	for _, a := range answers {
		for _, f := range a.figures {
			if version := versions[f.peer]; version != nil {
				s.versions = append(s.versions, [2]string{f.peer, version(w)})
				delete(versions, f.peer)
			}
		}
	}
	return s
}

// numbersOf is a kernel's release without what a cloud has put behind its numbers.
func numbersOf(release string) string {
	return regexp.MustCompile(`^[0-9.]*[0-9]`).FindString(release)
}

// value is what a file of /proc has behind a name and a colon; empty where it has none.
func value(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// assigned is what a file of NAME=VALUE lines has for a name.
func assigned(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return v
		}
	}
	return ""
}

// namesOfThisMachine are its name and the directories that only it has.
func namesOfThisMachine() []string {
	var all []string
	if host, err := os.Hostname(); err == nil && len(host) > 3 {
		all = append(all, host)
	}
	if root, err := filepath.Abs("../.."); err == nil {
		all = append(all, root)
	}
	if home, err := os.UserHomeDir(); err == nil && len(home) > 1 {
		all = append(all, home)
	}
	return append(all, os.TempDir())
}

// withoutNames is a text in which nothing names the machine: notes may have come from error messages, which tell of paths.
func (s setting) withoutNames(text string) string {
	for _, name := range s.private {
		end := `(/[^\s"'` + "`" + `),;:<]*)?`
		if !strings.HasPrefix(name, "/") {
			end = `\b`
			name = `\b` + regexp.QuoteMeta(name)
		} else {
			name = regexp.QuoteMeta(name) + `\b`
		}
		text = regexp.MustCompile(name+end).ReplaceAllString(text, "…")
	}
	return text
}

// String is the size as PINTLE_PEERS has it.
func (s size) String() string {
	return map[size]string{smoke: "smoke", quick: "quick", full: "full"}[s]
}
