package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const (
	runsDir    = "runs"
	runsSuffix = ".jsonl"

	// A unit's file is rewritten with its newest records when it has more than this. What is rewritten is somewhat
	// smaller, so that not every record has all of them written.
	mostRuns     = 125
	mostRunBytes = 256 << 10
	keptRuns     = 100
	keptRunBytes = 192 << 10

	// maxRunFile is the largest file that is read; one that another pintle wrote may be larger than its own.
	maxRunFile = 4 << 20
	// mostQueued bounds the records that wait for a disk; the oldest make room. memoryRuns is how many of a unit are
	// remembered where there is no state directory.
	mostQueued = 256
	memoryRuns = 10
)

// runs keeps the records of runs: a goroutine of its own writes them, one line
// after the other. They are not synced: no restart waits for a disk because of them.
type runs struct {
	directory string
	uid       int
	mount     func(directory string, uid int, dirs ...string) (volume, error)
	changed   func()

	wake chan struct{}
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards what follows; never held during I/O or a callback
	queue   []runJob
	fault   error
	lost    int // how many records made room for newer ones before they could be written
	closing bool

	// The rest belongs to the goroutine.
	volume volume
	files  map[unit.Name]*runFile
	memory map[unit.Name][]engine.RunRecord // where there is no directory
}

// runJob is one of: add a record, forget a unit, and answer a question.
type runJob struct {
	unit   unit.Name
	record func() engine.RunRecord // may be asked again
	forget bool
	answer chan runsAnswer // has room for it
}

// runsAnswer is what there is to know of a unit's runs.
type runsAnswer struct {
	records []engine.RunRecord
	err     error
}

// runFile is what is known of a unit's file.
type runFile struct {
	lines int
	size  int64
	torn  bool // its last line has no end
}

func newRuns(o Options) *runs {
	r := &runs{
		directory: o.Directory, uid: o.UID, mount: o.mount, changed: o.Changed,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		files: map[unit.Name]*runFile{}, memory: map[unit.Name][]engine.RunRecord{},
	}
	go r.serve()
	return r
}

// Ran asks for the record of a run to be kept. It never blocks. record is called
// from another goroutine, and may wait for what it has to gather; where the disk
// fails it may be called again.
func (s *Store) Ran(name unit.Name, record func() engine.RunRecord) {
	s.runs.put(runJob{unit: name, record: record})
}

// Runs returns the newest limit records of a unit's runs, all where limit is negative; the oldest first.
func (s *Store) Runs(ctx context.Context, name unit.Name, limit int) ([]engine.RunRecord, error) {
	answered := make(chan runsAnswer, 1)
	if !s.runs.put(runJob{unit: name, answer: answered}) {
		return nil, errors.New("cannot read run records: the store is closed")
	}
	select {
	case r := <-answered:
		if limit >= 0 && r.err == nil {
			r.records = r.records[max(0, len(r.records)-limit):]
		}
		return r.records, r.err
	case <-ctx.Done():
		s.runs.withdraw(answered)
		return nil, fmt.Errorf("cannot read run records: the state directory does not answer: %w", context.Cause(ctx))
	}
}

func (r *runs) forget(name unit.Name) { r.put(runJob{unit: name, forget: true}) }

func (r *runs) put(job runJob) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.queue = append(r.queue, job)
	r.trim()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return true
}

// withdraw takes a question back: while a disk does not answer, those who ask and go away must not heap up.
func (r *runs) withdraw(answer chan runsAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = slices.DeleteFunc(r.queue, func(j runJob) bool { return j.answer == answer })
}

// trim lets the oldest records go where there are too many; who asks, and what is to be forgotten, stays.
func (r *runs) trim() {
	isRecord := func(j runJob) bool { return j.record != nil }
	for len(r.queue) > mostQueued {
		i := slices.IndexFunc(r.queue, isRecord)
		if i < 0 {
			return
		}
		r.queue = slices.Delete(r.queue, i, i+1)
		r.lost++
	}
}

func (r *runs) conditions() []engine.Condition {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil {
		return nil
	}
	text := fmt.Sprintf("run records are kept in memory only: %v", r.fault)
	if r.lost > 0 {
		text += fmt.Sprintf("; %d of them are lost", r.lost)
	}
	return []engine.Condition{{Code: engine.RunsInMemory, Text: text}}
}

// close writes what is queued, and ends the goroutine.
func (r *runs) close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closing {
		r.closing = true
		close(r.wake)
	}
	r.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("cannot write run records in time: %w", context.Cause(ctx))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > 0 {
		return fmt.Errorf("cannot keep %d run records: %w", len(r.queue), r.fault)
	}
	return nil
}

// serve is the goroutine. What could not be written stays in the queue, and is tried again with what comes next, or after a while.
func (r *runs) serve() {
	defer close(r.done)
	defer func() {
		if r.volume != nil {
			r.volume.Close()
		}
	}()
	var again <-chan time.Time
	for open := true; open; {
		select {
		case _, open = <-r.wake:
		case <-again:
		}
		r.mu.Lock()
		jobs := r.queue
		r.queue = nil
		r.mu.Unlock()
		var fault error
		var left []runJob
		var answers []func()
		behind := map[unit.Name]bool{} // who has a record that is left: the next ones come after it
		for _, job := range jobs {
			switch {
			case job.answer != nil:
				records, err := r.all(job.unit, left)
				answers = append(answers, func() { job.answer <- runsAnswer{records, err} })
			case job.forget:
				delete(behind, job.unit)
				left = slices.DeleteFunc(left, func(j runJob) bool { return j.unit == job.unit })
				r.drop(job.unit)
			case behind[job.unit]:
				left = append(left, job)
			default:
				record := job.record()
				if err := r.add(record); err != nil {
					fault, behind[job.unit] = err, true
					left = append(left, runJob{unit: job.unit, record: func() engine.RunRecord { return record }})
				}
			}
		}
		if again = nil; len(left) > 0 {
			again = time.After(maxRetry)
		}
		r.settle(left, fault, len(jobs))
		for _, answer := range answers {
			answer()
		}
	}
}

// settle puts back what is left, and says whether all is well.
func (r *runs) settle(left []runJob, fault error, jobs int) {
	before := r.conditions()
	r.mu.Lock()
	r.queue = append(left, r.queue...)
	r.trim()
	if jobs > 0 && (fault != nil || len(left) == 0) {
		r.fault = fault
	}
	r.mu.Unlock()
	if r.changed != nil && !slices.Equal(before, r.conditions()) {
		r.changed()
	}
}

func runsFile(name unit.Name) string { return runsDir + "/" + string(name) + runsSuffix }

func (r *runs) open() error {
	if r.volume != nil && !r.volume.Gone() {
		return nil
	}
	if r.volume != nil {
		r.volume.Close()
		r.volume = nil
	}
	v, err := r.mount(r.directory, r.uid, runsDir, asideDir)
	if err != nil {
		return err
	}
	r.volume = v
	clear(r.files)
	clearAway(v, runsDir)
	return nil
}

// add writes one record.
func (r *runs) add(record engine.RunRecord) error {
	if r.directory == "" {
		kept := append(r.memory[record.Unit], record)
		r.memory[record.Unit] = slices.Clone(kept[max(0, len(kept)-memoryRuns):])
		return nil
	}
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("cannot write a run record of %s: %w", record.Unit, err)
	}
	if err := r.open(); err != nil {
		return err
	}
	name := runsFile(record.Unit)
	if err := r.append(record.Unit, append(line, '\n')); err != nil {
		delete(r.files, record.Unit) // whatever it has come to is found out next time
		return fmt.Errorf("cannot write %s: %w", filepath.Join(r.directory, name), cause(err))
	}
	return nil
}

// append adds a line, or rewrites the file with the newest ones.
func (r *runs) append(name unit.Name, line []byte) error {
	file, ok := r.files[name]
	if !ok {
		lines, err := r.lines(name)
		if err != nil {
			return err
		}
		file = &runFile{lines: len(lines)}
		for _, l := range lines {
			file.size += int64(len(l))
			file.torn = !bytes.HasSuffix(l, []byte("\n"))
		}
		r.files[name] = file
	}
	if file.torn { // by a crash or a full disk: that line is nobody's
		line = append([]byte("\n"), line...)
	}
	if file.lines+1 > mostRuns || file.size+int64(len(line)) > mostRunBytes {
		return r.rewrite(name, file, line)
	}
	f, err := r.volume.Append(runsFile(name), 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		file.lines, file.size, file.torn = file.lines+1, file.size+int64(len(line)), false
	}
	return err
}

// rewrite puts the newest lines, and one more, into a new file in place of the old one.
func (r *runs) rewrite(name unit.Name, file *runFile, line []byte) error {
	lines, err := r.lines(name)
	if err != nil {
		return err
	}
	if file.torn {
		lines, line = lines[:len(lines)-1], line[1:]
	}
	lines = append(lines, line)
	size, first := 0, len(lines)
	for first > 0 && len(lines)-first < keptRuns {
		if size += len(lines[first-1]); size > keptRunBytes && first < len(lines) {
			break
		}
		first--
	}
	text := bytes.Join(lines[first:], nil)
	if err := replace(r.volume, runsFile(name), rand.Text(), text, 0o640); err != nil {
		return err
	}
	*file = runFile{lines: len(lines) - first, size: int64(len(text))}
	return nil
}

// lines reads a unit's file, each line with its end. One that cannot be read is set aside.
func (r *runs) lines(name unit.Name) ([][]byte, error) {
	text, err := read(r.volume, runsFile(name), r.uid, maxRunFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case ofDisk(err):
		return nil, err
	case err != nil:
		setAside(r.volume, runsDir, string(name)+runsSuffix, err)
		return nil, nil
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	return slices.DeleteFunc(lines, func(l []byte) bool { return len(l) == 0 }), nil
}

// all are the records of a unit that can be read: those on disk, and those that could not be written. A line that is no
// record is passed over.
func (r *runs) all(name unit.Name, unwritten []runJob) ([]engine.RunRecord, error) {
	var records []engine.RunRecord
	if r.directory == "" {
		records = slices.Clone(r.memory[name])
	} else if err := r.open(); err == nil { // else what is in memory is still an answer, and a condition says why
		lines, err := r.lines(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", filepath.Join(r.directory, runsFile(name)), cause(err))
		}
		for _, line := range lines {
			var record engine.RunRecord
			if json.Unmarshal(line, &record) == nil && record.Unit == name {
				records = append(records, record)
			}
		}
	}
	for _, job := range unwritten {
		if job.unit == name {
			records = append(records, job.record())
		}
	}
	return records, nil
}

// drop removes a unit's records.
func (r *runs) drop(name unit.Name) {
	delete(r.memory, name)
	delete(r.files, name)
	if r.directory != "" && r.open() == nil {
		_ = r.volume.Remove(runsFile(name)) // where it can't be removed, the next instance of that name has older runs
	}
}
