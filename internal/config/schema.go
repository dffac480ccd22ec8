package config

// The types of the file. The decoder follows them by reflection, and so can a
// generator of a JSON Schema. The tag is the key, then an option: "required" must be
// given; of the "means" of a section exactly one must be given. Every mapping whose keys
// are known also takes any key that begins with "x-".

// key is a key of a mapping whose keys are free.
type key struct {
	text string
	at   Position
}

type document struct {
	Main           *mainSection            `yaml:"main"`
	Oneshots       map[key]oneshotSection  `yaml:"oneshots"`
	Services       map[key]serviceSection  `yaml:"services"`
	Templates      map[key]templateSection `yaml:"templates"`
	Prepare        *prepareSection         `yaml:"prepare"`
	Governor       *governorSection        `yaml:"governor"`
	Log            *containerLogSection    `yaml:"log"`
	S6             *s6Section              `yaml:"s6"`
	Role           role                    `yaml:"role"`
	StateDirectory directory               `yaml:"state_directory"`
	StopTimeout    duration                `yaml:"stop_timeout"`
}

// program is what all units have.
type program struct {
	User            owner                 `yaml:"user"`
	Environment     map[key]word          `yaml:"environment"`
	EnvFile         oneOrMore[envFile]    `yaml:"env_file"`
	WorkingDir      directory             `yaml:"working_dir"`
	DependsOn       dependencies          `yaml:"depends_on"`
	StopSignal      oneOrMore[stopSignal] `yaml:"stop_signal"`
	StopTarget      oneOf[targetWords]    `yaml:"stop_target"`
	StopGracePeriod duration              `yaml:"stop_grace_period"`
	attributes
}

// attributes are those of a process that it has whatever it executes.
type attributes struct {
	Umask           umask               `yaml:"umask"`
	Ulimits         map[key]ulimit      `yaml:"ulimits"`
	Nice            whole[niceRange]    `yaml:"nice"`
	OOMScoreAdj     whole[oomScoreAdjs] `yaml:"oom_score_adj"`
	NoNewPrivileges flag                `yaml:"no_new_privileges"`
	Capabilities    []capability        `yaml:"capabilities"`
	Ambient         []capability        `yaml:"ambient_capabilities"`
}

// longLived is what the units have that run until somebody stops them.
type longLived struct {
	StopCommand  argv     `yaml:"stop_command"`
	StopGraceMax duration `yaml:"stop_grace_max"`
}

type mainSection struct {
	At Position
	program
	longLived
	Command     argv   `yaml:"command"`
	Subcommands []word `yaml:"subcommands"`
}

// judged is what the units have whose end leads to something other than the container's.
type judged struct {
	ExitCodes map[key]oneOf[verdictWords] `yaml:"exit_codes"`
	Backoff   *backoffSection             `yaml:"backoff"`
	Labels    map[key]word                `yaml:"labels"`
	Log       *logSection                 `yaml:"log"`
}

// supervised is what services and templates have.
type supervised struct {
	program
	longLived
	judged
	Command      argv                  `yaml:"command,required"`
	Restart      oneOf[restartWords]   `yaml:"restart"`
	StableAfter  positive              `yaml:"stable_after"`
	GiveUp       *giveUpSection        `yaml:"give_up"`
	OnFailure    oneOf[onFailureWords] `yaml:"on_failure"`
	Readiness    *readinessSection     `yaml:"readiness"`
	StartTimeout duration              `yaml:"start_timeout"`
	Liveness     *livenessSection      `yaml:"liveness"`
	Watchdog     positive              `yaml:"watchdog"`
	OnHang       *onHangSection        `yaml:"on_hang"`
}

type backoffSection struct {
	Initial positive            `yaml:"initial"`
	Max     positive            `yaml:"max"`
	Factor  real[factorRange]   `yaml:"factor"`
	Jitter  real[fractionRange] `yaml:"jitter"`
}

type giveUpSection struct {
	After  whole[atLeastOne] `yaml:"after,required"`
	Within positive          `yaml:"within"`
}

// check is one way to ask a run, and how often.
type check struct {
	TCP     address  `yaml:"tcp,means"`
	HTTP    httpURL  `yaml:"http,means"`
	Exec    argv     `yaml:"exec,means"`
	Period  positive `yaml:"period"`
	Timeout positive `yaml:"timeout"`
}

type readinessSection struct {
	check
	Notify flag               `yaml:"notify,means"`
	FD     whole[descriptors] `yaml:"fd,means"`
	Log    expression         `yaml:"log,means"`
}

type livenessSection struct {
	check
	StartPeriod duration          `yaml:"start_period"`
	Failures    whole[atLeastOne] `yaml:"failures"`
	Successes   whole[atLeastOne] `yaml:"successes"`
}

type onHangSection struct {
	At     Position
	Signal signal   `yaml:"signal,required"`
	Wait   positive `yaml:"wait"`
}

type serviceSection struct {
	supervised
	Enabled flag `yaml:"enabled"`
}

type oneshotSection struct {
	program
	judged
	Enabled  flag     `yaml:"enabled"`
	Up       argv     `yaml:"up,required"`
	Down     argv     `yaml:"down"`
	Timeout  duration `yaml:"timeout"`
	Retries  count    `yaml:"retries"`
	Required flag     `yaml:"required"`
}

type templateSection struct {
	supervised
	Instances *instancesSection       `yaml:"instances"`
	Overrides map[key]overrideSection `yaml:"overrides"`
}

type instancesSection struct {
	Names      pattern             `yaml:"names"`
	Managers   []manager           `yaml:"managers"`
	Max        count               `yaml:"max"`
	Always     []word              `yaml:"always"`
	Initial    oneOf[initialWords] `yaml:"initial"`
	Discover   *discoverSection    `yaml:"discover"`
	IntentFrom *intentFromSection  `yaml:"intent_from"`
	BootReport file                `yaml:"boot_report"`
	Exclusive  flag                `yaml:"exclusive"`
	Roles      []role              `yaml:"roles"`
}

type overrideSection struct {
	Command     argv         `yaml:"command"`
	Environment map[key]word `yaml:"environment"`
	IntentFile  file         `yaml:"intent_file"`
	Log         *logSection  `yaml:"log"`
}

type discoverSection struct {
	Directory  file     `yaml:"directory,required"`
	Marker     fileName `yaml:"marker"`
	Except     []word   `yaml:"except"`
	KeepIntent lasting  `yaml:"keep_intent"`
}

type intentFromSection struct {
	At    Position
	File  word            `yaml:"file,required"`
	Paths oneOrMore[word] `yaml:"paths,required"`
	Up    oneOrMore[word] `yaml:"up,required"`
}

// logSection is what becomes of a unit's output; in the container's own, of every unit's whose own does not say.
type logSection struct {
	Directory directory            `yaml:"directory"`
	Mode      logMode              `yaml:"mode"`
	Rotate    rotateSection        `yaml:"rotate"`
	Overflow  oneOf[overflowWords] `yaml:"overflow"`
	Memory    size[memories]       `yaml:"memory"`
	Console   console              `yaml:"console"`
}

type rotateSection struct {
	At       Position
	Size     size[files]          `yaml:"size"`
	Age      age                  `yaml:"age"`
	Keep     bound[archives]      `yaml:"keep"`
	Total    total                `yaml:"total"`
	Compress oneOf[compressWords] `yaml:"compress"`
}

type containerLogSection struct {
	At Position
	logSection
	Readers []manager    `yaml:"readers"`
	Secrets []secretName `yaml:"secrets"`
	Socket  socket       `yaml:"socket"`
}

// s6Section is what pintle does in s6's place.
type s6Section struct {
	At          Position
	Scan        []scanDirectory `yaml:"scan,required"`
	Owner       owner           `yaml:"owner"`
	Version     s6Version       `yaml:"version"`
	Environment flag            `yaml:"container_environment"`
	ProcessName flag            `yaml:"process_name"`
}

type prepareSection struct {
	At          Position
	Users       map[key]userSection `yaml:"users"`
	Directories []preparedDirectory `yaml:"directories"`
	Files       []preparedFile      `yaml:"files"`
}

type userSection struct {
	UID          id                  `yaml:"uid"`
	GID          id                  `yaml:"gid"`
	Home         directory           `yaml:"home"`
	JoinGroupsOf []file              `yaml:"join_groups_of"`
	OnError      oneOf[onErrorWords] `yaml:"on_error"`
}

type preparedDirectory struct {
	Path    paths               `yaml:"path,required"`
	Owner   owner               `yaml:"owner"`
	Mode    mode                `yaml:"mode"`
	Repair  oneOf[repairWords]  `yaml:"repair"`
	OnError oneOf[onErrorWords] `yaml:"on_error"`
}

type preparedFile struct {
	Path            file                `yaml:"path,required"`
	Copy            file                `yaml:"copy,means"`
	FromEnvironment variableName        `yaml:"from_environment,means"`
	Owner           owner               `yaml:"owner"`
	Mode            mode                `yaml:"mode"`
	OnError         oneOf[onErrorWords] `yaml:"on_error"`
}

type governorSection struct {
	At     Position
	Starts bound[atLeastOne] `yaml:"starts"`
	Storm  storm             `yaml:"storm"`
}

type stormSection struct {
	Share  real[shareRange]  `yaml:"share"`
	Least  whole[atLeastOne] `yaml:"least"`
	Within positive          `yaml:"within"`
	Pause  positive          `yaml:"pause"`
}
