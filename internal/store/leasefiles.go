package store

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pintle/internal/unit"
)

// leaseDisk is leaseFiles in the state directory:
//
//	leases/UNIT.FENCE.claim       a claim, one JSON object; made by link(2), never changed
//	leases/UNIT.FENCE.released    empty: the owner of that claim runs nothing by it any more
//	leases/OWNER.heart            the counter of a heart, replaced by rename(2) every Beat
//
// Nobody writes a file of another's but to clear away claims below the highest, which
// no decision depends on.
type leaseDisk struct {
	volume volume
	uid    int
	// host and boot are noted in claims, for people.
	host, boot string
}

const (
	leasesDir      = "leases"
	claimSuffix    = ".claim"
	releasedSuffix = ".released"
	heartSuffix    = ".heart"
	maxLease       = 4 << 10
)

func claimFile(name unit.Name, fence uint64, suffix string) string {
	return fmt.Sprintf("%s/%s.%d%s", leasesDir, name, fence, suffix)
}

func heartFile(owner string) string { return leasesDir + "/" + owner + heartSuffix }

func (d *leaseDisk) Beat(owner string, counter uint64) error {
	text := strconv.AppendUint(nil, counter, 10)
	return replace(d.volume, heartFile(owner), rand.Text(), append(text, '\n'), 0o600)
}

func (d *leaseDisk) Heart(owner string) (uint64, error) {
	text, err := read(d.volume, heartFile(owner), d.uid, maxLease)
	if ofDisk(err) && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	counter, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, nil // what is no heart, or none that pintle wrote, does not beat
	}
	return counter, nil
}

// mostLooks is how often the directory is listed again because a claim was cleared away before it was read.
const mostLooks = 5

// Look lists the directory once for all units, and again where others took some over meanwhile.
func (d *leaseDisk) Look(wanted func(unit.Name) bool) (claims map[unit.Name]claim, err error) {
	read := map[unit.Name]claim{}
	for range mostLooks {
		if claims, err = d.look(wanted, read); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return claims, err
}

// look lists the directory, and reads the claims that are not in read yet, into it.
func (d *leaseDisk) look(wanted func(unit.Name) bool, read map[unit.Name]claim) (map[unit.Name]claim, error) {
	names, err := d.volume.List(leasesDir)
	if err != nil {
		return nil, err
	}
	claims := map[unit.Name]claim{}
	released := map[string]bool{}
	for _, file := range names {
		if base, ok := strings.CutSuffix(file, releasedSuffix); ok {
			released[base] = true
		}
		if name, fence, ok := parseClaim(file, claimSuffix); ok && wanted(name) && fence > claims[name].Fence {
			claims[name] = claim{Unit: name, Fence: fence}
		}
	}
	var overtaken error
	for name, c := range claims {
		if read[name].Fence != c.Fence {
			if read[name], err = d.claim(c); errors.Is(err, fs.ErrNotExist) {
				overtaken = err
				delete(read, name)
				continue
			} else if err != nil {
				return nil, err
			}
		}
		c = read[name]
		c.released = released[fmt.Sprintf("%s.%d", name, c.Fence)]
		claims[name] = c
	}
	return claims, overtaken
}

// claim reads one. What is no claim inside still counts by its name: it has an owner
// whose heart never moves.
func (d *leaseDisk) claim(c claim) (claim, error) {
	text, err := read(d.volume, claimFile(c.Unit, c.Fence, claimSuffix), d.uid, maxLease)
	if ofDisk(err) || errors.Is(err, fs.ErrNotExist) { // cleared away since, because there is a higher one
		return c, err
	}
	var inside claim
	if err == nil && json.Unmarshal(text, &inside) == nil && inside.Unit == c.Unit && inside.Fence == c.Fence && plainWord(inside.Owner) {
		return inside, nil
	}
	c.Owner = "nobody"
	return c, nil
}

// plainWord tells whether an owner's name can be a file's.
func plainWord(owner string) bool {
	return owner != "" && len(owner) < 64 && strings.Trim(owner, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// parseClaim takes a file's name apart.
func parseClaim(file, suffix string) (name unit.Name, fence uint64, ok bool) {
	base, ok := strings.CutSuffix(file, suffix)
	dot := strings.LastIndexByte(base, '.')
	if !ok || dot < 0 {
		return "", 0, false
	}
	fence, err := strconv.ParseUint(base[dot+1:], 10, 64)
	if err != nil || fence == 0 || base[dot+1:] != strconv.FormatUint(fence, 10) {
		return "", 0, false
	}
	name, err = unit.ParseName(base[:dot])
	return name, fence, err == nil
}

// Claim makes the whole file under another name and links it: so it is there with its
// content or not at all, and there for one only. A file system without links makes it
// where it is to be, which is as exclusive.
func (d *leaseDisk) Claim(c claim) error {
	c.Host, c.Boot = d.host, d.boot
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	interim, file := leasesDir+"/"+temporary+rand.Text(), claimFile(c.Unit, c.Fence, claimSuffix)
	defer d.volume.Remove(interim)
	if err := d.create(interim, text); err != nil {
		return err
	}
	err = d.volume.Link(interim, file)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		err = d.create(file, text)
	}
	if err != nil {
		return err
	}
	if err := d.volume.Sync(leasesDir); err != nil {
		return err
	}
	for _, suffix := range []string{claimSuffix, releasedSuffix} { // of the one before; what is below that, tidy finds
		if c.Fence > 1 {
			_ = d.volume.Remove(claimFile(c.Unit, c.Fence-1, suffix))
		}
	}
	return nil
}

func (d *leaseDisk) create(file string, text []byte) error {
	f, err := d.volume.Create(file, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d *leaseDisk) Release(c claim) error {
	file := claimFile(c.Unit, c.Fence, releasedSuffix)
	err := d.create(file, nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// oldInterim is how old, by the disk's own clock, a file that is being written must be to be nobody's any more.
const oldInterim = 10 * time.Minute

// tidy removes what dead owners left: claims below the highest, hearts that have not moved for long, and what they were
// about to write. Who holds a claim by such a heart counts as dead without it, too; and a heart that is removed and
// beats is there again at its next turn.
func (d *leaseDisk) tidy(own string) {
	now, err := d.volume.Stat(heartFile(own))
	if err != nil {
		return
	}
	names, _ := d.volume.List(leasesDir)
	highest := map[unit.Name]uint64{}
	for _, file := range names {
		if name, fence, ok := parseClaim(file, claimSuffix); ok {
			highest[name] = max(highest[name], fence)
		}
	}
	for _, file := range names {
		for _, suffix := range []string{claimSuffix, releasedSuffix} {
			if name, fence, ok := parseClaim(file, suffix); ok && fence < highest[name] {
				_ = d.volume.Remove(leasesDir + "/" + file)
			}
		}
		if !strings.HasSuffix(file, heartSuffix) && !strings.HasPrefix(file, temporary) {
			continue
		}
		info, err := d.volume.Stat(leasesDir + "/" + file)
		if err == nil && now.ModTime().Sub(info.ModTime()) > oldInterim {
			_ = d.volume.Remove(leasesDir + "/" + file)
		}
	}
}
