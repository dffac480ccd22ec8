package api

import (
	"fmt"
	"slices"

	"pintle/internal/account"
	"pintle/internal/engine"
	"pintle/internal/unit"
)

// access is what an endpoint asks of a peer. Owners (root, and the uid that
// pintle itself runs as) may everything.
type access int

const (
	// manager: managers of the template whose instance the path names, or the
	// unit's keeper. What has neither is the owners' alone. It is the zero
	// value: an endpoint that declares nothing is closed.
	manager access = iota
	// reader: those, and who may read the output of every unit.
	reader
	// owner: owners alone. For what is about the container as a whole.
	owner
	// eachManager: managers of every unit that the body names, as with manager; who handles it asks for each.
	eachManager
	// anyone: whoever reaches the socket. What he sees is redacted where he is no manager.
	anyone
)

// policy decides who may do what, from a peer's credentials and the
// configuration alone: whether a unit exists makes no difference.
type policy struct {
	uid      int // pintle's own
	managers func(template string) (unit.Managers, bool)
	readers  func() unit.Managers
	keeper   func(unit.Name) (uid int, ok bool) // nil: nobody, for all
	accounts account.Database
}

func (p *policy) owner(uid uint32) bool {
	return uid == 0 || int64(uid) == int64(p.uid)
}

// admit returns nil where who may do verb to the container, else an error of
// kind engine.Denied that names the rule.
func (p *policy) admit(who peer, verb string) error {
	if p.owner(who.uid) {
		return nil
	}
	return engine.Errorf(engine.Denied, "cannot %s: uid %d may not: only %s may", verb, who.uid, p.owners())
}

// permit returns nil where who may do verb to the unit name, else an error of
// kind engine.Denied that names the rule.
func (p *policy) permit(who peer, verb string, name unit.Name) error {
	return p.judge(who, verb, name, unit.Managers{})
}

// permitRead is permit for the output of the unit, which the container's readers may have too.
func (p *policy) permitRead(who peer, verb string, name unit.Name) error {
	return p.judge(who, verb, name, p.readers())
}

// judge is permit where others may, too.
func (p *policy) judge(who peer, verb string, name unit.Name, readers unit.Managers) error {
	if p.owner(who.uid) || p.manages(who, readers) || p.keeps(who, name) {
		return nil
	}
	owners, nor := p.owners(), ""
	if uid, ok := p.keeperOf(name); ok {
		owners += fmt.Sprintf(" and uid %d", uid)
	}
	if len(readers.Users)+len(readers.Groups) > 0 {
		owners += fmt.Sprintf(" and log.readers (%s)", readers)
		nor = fmt.Sprintf(", nor among log.readers (%s)", readers)
	}
	template := name.Template()
	if template == "" {
		return engine.Errorf(engine.Denied, "cannot %s %s: uid %d may not: only %s may, because %s is no instance of a template",
			verb, name, who.uid, owners, name)
	}
	m, ok := p.managers(template)
	if !ok {
		return engine.Errorf(engine.Denied, "cannot %s %s: uid %d may not: only %s may, because there is no template %s",
			verb, name, who.uid, owners, template)
	}
	if !p.manages(who, m) {
		return engine.Errorf(engine.Denied, "cannot %s %s: uid %d is not among the managers of template %s (%s)%s",
			verb, name, who.uid, template, m, nor)
	}
	return nil
}

// permitAll is permitRead for many units. The error is that of the first that who may not read, and names all of them.
func (p *policy) permitAll(who peer, verb string, reqs []engine.LogRequest) error {
	var refusal *engine.Error
	may := map[string]bool{}
	for _, req := range reqs {
		template := req.Name.Template()
		allowed, known := may[template]
		if p.keeps(who, req.Name) {
			continue
		}
		if !known {
			err := p.permitRead(who, verb, req.Name)
			allowed = err == nil
			if err != nil && refusal == nil {
				refusal = asError(err)
			}
			may[template] = allowed
		}
		if !allowed {
			refusal.Units = append(refusal.Units, req.Name)
		}
	}
	if refusal == nil {
		return nil
	}
	return refusal
}

// manages tells whether who is one of m. A manager whose name is no account
// (yet) is nobody.
func (p *policy) manages(who peer, m unit.Managers) bool {
	return slices.ContainsFunc(m.Users, func(name string) bool {
		uid, err := p.accounts.UID(name)
		return err == nil && int64(uid) == int64(who.uid)
	}) || slices.ContainsFunc(m.Groups, func(name string) bool {
		gid, err := p.accounts.GID(name)
		return err == nil && slices.Contains(who.gids, uint32(gid))
	})
}

// keeps tells whether who is the unit's keeper.
func (p *policy) keeps(who peer, name unit.Name) bool {
	uid, ok := p.keeperOf(name)
	return ok && int64(uid) == int64(who.uid)
}

func (p *policy) keeperOf(name unit.Name) (uid int, ok bool) {
	if p.keeper == nil {
		return 0, false
	}
	return p.keeper(name)
}

// owners names those who may everything.
func (p *policy) owners() string {
	if p.uid == 0 {
		return "root"
	}
	return fmt.Sprintf("root and uid %d", p.uid)
}

// viewer shows statuses to one peer: whole where he may manage the unit,
// redacted where not. It remembers what it has found out about a template, so
// it serves one answer and is then forgotten.
func (p *policy) viewer(who peer) func(engine.Status) engine.Status {
	seen := map[string]bool{}
	return func(s engine.Status) engine.Status {
		template := s.Name.Template()
		may, known := seen[template]
		if p.keeps(who, s.Name) {
			return s
		}
		if !known {
			may = p.permit(who, "see", s.Name) == nil
			seen[template] = may
		}
		if may {
			return s
		}
		return redact(s)
	}
}

// redact leaves names and states, and how often a unit has run, which who watches it counts anyway. It is a list of
// what is shown, so that a new field of engine.Status is hidden until somebody adds it here.
func redact(s engine.Status) engine.Status {
	return engine.Status{
		Name:       s.Name,
		Kind:       s.Kind,
		State:      s.State,
		Desired:    s.Desired,
		Since:      s.Since,
		Reason:     s.Reason,
		Because:    because(s),
		Restricted: true,
		Run:        s.Run,
		Gone:       s.Gone,
	}
}

// because is the clause for everybody. The engine's own may name an actor, a
// command or an address; what it says of a unit that is switched off is only
// the variable that did it.
func because(s engine.Status) string {
	if s.Reason == unit.SwitchedOff {
		return s.Because
	}
	return engine.Because(s.Reason)
}

// showInfo is what who may see of i. It is a list of what is shown: the sentence of a condition may name paths, units
// and causes, and strays are processes of whoever.
func (p *policy) showInfo(who peer, i engine.Info) engine.Info {
	if p.owner(who.uid) {
		return i
	}
	return engine.Info{
		Version:     i.Version,
		PID:         i.PID,
		UID:         i.UID,
		Started:     i.Started,
		ProcessSets: i.ProcessSets,
		Stopping:    i.Stopping,
		Life:        i.Life,
		Durable:     i.Durable,
		Conditions:  classes(i.Conditions),
	}
}

// classes leaves of conditions what they are, each once, and nothing of whom and what they are about.
func classes(all []engine.Condition) []engine.Condition {
	var seen []engine.Condition
	for _, c := range all {
		c.Text = c.Code.Sentence()
		if !slices.Contains(seen, c) {
			seen = append(seen, c)
		}
	}
	return seen
}
