package store

import (
	"fmt"
	"os"
	"strings"
	"time"

	"pintle/internal/unit"
)

// leaseDesk is the worker's side of a Keeper: the leases, and the directory that they are in.
type leaseDesk struct {
	options KeeperOptions
	files   *notingFiles
	leases  *leases
	turns   int
	// lock is an open descriptor while this life is known by a file of its own, else -1. It is never closed.
	lock int
}

// leaseView is what a turn has found of a unit.
type leaseView struct {
	fence   uint64 // of this pintle's claim; 0 for none
	from    time.Duration
	expired bool  // the claim is not to be relied on any more
	other   claim // another's, which is waited for
	alive   bool  // that one's heart beats
	back    bool  // it was an earlier life's of this container
}

// leaseOutcome is what a turn brings back.
type leaseOutcome struct {
	batch     uint64
	opened    bool    // else nothing was done
	undone    []order // what is still to be done
	units     map[unit.Name]leaseView
	confirmed time.Duration
	busy      bool
	fault     error
	last      bool
}

// notingFiles remembers why a heart could not beat, or the claims not be seen.
type notingFiles struct {
	leaseDisk
	fault error
}

func (f *notingFiles) Beat(owner string, counter uint64) error {
	return f.note("write", heartFile(owner), f.leaseDisk.Beat(owner, counter))
}

func (f *notingFiles) Look(wanted func(unit.Name) bool) (map[unit.Name]claim, error) {
	claims, err := f.leaseDisk.Look(wanted)
	return claims, f.note("read", leasesDir, err)
}

func (f *notingFiles) note(verb, file string, err error) error {
	if err != nil {
		f.fault = fmt.Errorf("cannot %s %s: %w", verb, file, cause(err))
	}
	return err
}

func newLeaseDesk(o KeeperOptions, clock func() time.Duration) *leaseDesk {
	files := &notingFiles{leaseDisk: leaseDisk{uid: o.UID}}
	files.host, files.boot = leaseNames()
	return &leaseDesk{options: o, files: files, leases: newLeases(files, clock, o.rule, ""), lock: -1}
}

// leaseNames are what a claim says of where its owner's heart beats.
func leaseNames() (host, boot string) {
	host, _ = os.Hostname()
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return host, strings.TrimSpace(string(id))
}

// enter makes up the owner's name. That is left until somebody wants a lease, since few containers do.
func (d *leaseDesk) enter() {
	o := ownerFile{directory: d.options.RunDirectory, uid: d.options.UID, host: d.files.host, boot: d.files.boot, alone: ofThisContainer}
	if os.Getpid() == 1 {
		o.first = startOfInit()
	}
	if d.options.life != nil {
		d.options.life(&o)
	}
	d.leases.owner, d.leases.dead, d.lock = o.begin()
}

// tidyEvery is how many turns there are from one time that the directory is tidied to the next.
const tidyEvery = 200

// turn does what was asked for, and then what is done every Beat; the last turn claims nothing.
func (d *leaseDesk) turn(orders []order, batch uint64, last bool) leaseOutcome {
	o := leaseOutcome{batch: batch, last: last}
	if d.files.volume == nil {
		v, err := d.options.mount(d.options.Directory, d.options.UID, leasesDir)
		if err != nil {
			o.fault, o.undone, o.busy = err, orders, true
			return o
		}
		d.files.volume = v
	}
	if d.leases.owner == "" {
		d.enter()
	}
	d.files.fault = nil
	for _, order := range orders {
		order(d.leases)
	}
	if last {
		clear(d.leases.units) // whoever has still one of these is left to be followed; nothing is hurried any more
		d.leases.give()
		d.files.volume.Close()
		return o
	}
	d.leases.turn()
	if d.turns++; d.turns%tidyEvery == 1 {
		d.files.tidy(d.leases.owner)
	}
	o.opened, o.fault, o.confirmed = true, d.files.fault, d.leases.confirmed
	o.busy = len(d.leases.units) > 0 || len(d.leases.given) > 0
	o.units = map[unit.Name]leaseView{}
	for name, u := range d.leases.units {
		o.units[name] = leaseView{
			fence: u.held.Fence, from: u.from, expired: u.lost, back: u.back,
			other: u.seen, alive: u.beats && d.leases.now()-u.since < d.options.rule.Hold,
		}
	}
	if o.fault != nil && d.files.volume.Gone() {
		d.files.volume.Close()
		d.files.volume = nil // the next turn makes a new one, where nobody's claims are
	}
	return o
}
