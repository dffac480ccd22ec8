package config

import (
	"reflect"

	"github.com/goccy/go-yaml/ast"

	"pintle/internal/unit"
)

// The types of the file. The decoder follows them by reflection, and so can a
// generator of a JSON Schema. The tag is the key, then options: "required" must be
// given; "later" is checked but has no effect yet, and makes a Notice. Every mapping
// whose keys are known also takes any key that begins with "x-".

// key is a key of a mapping whose keys are free.
type key struct {
	text string
	at   Position
}

type document struct {
	Main           *mainSection            `yaml:"main"`
	Services       map[key]serviceSection  `yaml:"services"`
	Templates      map[key]templateSection `yaml:"templates"`
	Prepare        *prepareSection         `yaml:"prepare,later"`
	StateDirectory directory               `yaml:"state_directory"`
	StopTimeout    duration                `yaml:"stop_timeout"`
}

// program is what all units have.
type program struct {
	User            owner        `yaml:"user"`
	Environment     map[key]word `yaml:"environment"`
	WorkingDir      directory    `yaml:"working_dir"`
	StopSignal      signal       `yaml:"stop_signal"`
	StopGracePeriod duration     `yaml:"stop_grace_period"`
}

type mainSection struct {
	At Position
	program
	Command     argv   `yaml:"command"`
	Subcommands []word `yaml:"subcommands"`
}

// supervised is what services and templates have.
type supervised struct {
	program
	Command   argv                        `yaml:"command,required"`
	Restart   oneOf[restartWords]         `yaml:"restart"`
	ExitCodes map[key]oneOf[verdictWords] `yaml:"exit_codes"`
	Readiness *readinessSection           `yaml:"readiness"`
	Labels    map[key]word                `yaml:"labels"`
	DependsOn dependencies                `yaml:"depends_on,later"`
	EnvFile   oneOrMore                   `yaml:"env_file,later"`
	Log       *logSection                 `yaml:"log,later"`
}

type readinessSection struct {
	TCP address `yaml:"tcp,required"`
}

type serviceSection struct {
	supervised
	Enabled flag `yaml:"enabled"`
}

type templateSection struct {
	supervised
	Instances *instancesSection       `yaml:"instances"`
	Overrides map[key]overrideSection `yaml:"overrides"`
}

type instancesSection struct {
	Names     pattern             `yaml:"names"`
	Managers  []manager           `yaml:"managers"`
	Max       count               `yaml:"max"`
	Always    []word              `yaml:"always"`
	Initial   oneOf[initialWords] `yaml:"initial"`
	Discover  *discoverSection    `yaml:"discover,later"`
	Exclusive flag                `yaml:"exclusive,later"`
}

type overrideSection struct {
	Command     argv         `yaml:"command"`
	Environment map[key]word `yaml:"environment"`
}

type discoverSection struct {
	Directory file   `yaml:"directory,required"`
	Marker    word   `yaml:"marker"`
	Except    []word `yaml:"except"`
}

type logSection struct {
	Directory file           `yaml:"directory"`
	Rotate    *rotateSection `yaml:"rotate"`
}

type rotateSection struct {
	Size size  `yaml:"size"`
	Keep count `yaml:"keep"`
}

type prepareSection struct {
	At          Position
	Users       map[key]userSection `yaml:"users"`
	Directories []preparedDirectory `yaml:"directories"`
	Files       []preparedFile      `yaml:"files"`
}

type userSection struct {
	UID          id        `yaml:"uid"`
	GID          id        `yaml:"gid"`
	Home         directory `yaml:"home"`
	JoinGroupsOf []file    `yaml:"join_groups_of"`
}

type preparedDirectory struct {
	Path   file               `yaml:"path,required"`
	Owner  owner              `yaml:"owner"`
	Mode   mode               `yaml:"mode"`
	Repair oneOf[repairWords] `yaml:"repair"`
}

type preparedFile struct {
	Path  file  `yaml:"path,required"`
	Copy  file  `yaml:"copy,required"`
	Owner owner `yaml:"owner"`
	Mode  mode  `yaml:"mode"`
}

// argv is an argument vector: a list that is not empty.
type argv []word

// oneOrMore is a list, or a single word that stands for a list of one.
type oneOrMore []word

func (v *oneOrMore) from(d *decoder, n ast.Node, at place) {
	list := (*[]word)(v)
	if isScalar(n) {
		*list = make([]word, 1)
		d.decode(n, at, reflect.ValueOf(list).Elem().Index(0))
		return
	}
	d.decode(n, at, reflect.ValueOf(list).Elem())
}

// dependencies is a list of units, or a mapping from unit to condition.
type dependencies struct {
	list  []word
	named map[key]dependencySection
}

type dependencySection struct {
	Condition oneOf[conditionWords] `yaml:"condition"`
}

func (v *dependencies) from(d *decoder, n ast.Node, at place) {
	if _, list := n.(*ast.SequenceNode); list {
		d.decode(n, at, reflect.ValueOf(&v.list).Elem())
	} else {
		d.decode(n, at, reflect.ValueOf(&v.named).Elem())
	}
	for _, w := range v.list {
		if _, err := unit.ParseName(w.text); err != nil && w.given() {
			d.failf(w.at, "cannot use %s: %s is no unit's name", at.path, w.shown())
		}
	}
	for k := range v.named {
		if _, err := unit.ParseName(k.text); err != nil {
			d.failf(k.at, "%s", err)
		}
	}
}
