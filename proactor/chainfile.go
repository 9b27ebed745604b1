package proactor

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// ChainFile is a file that is opened, used and closed by the steps of a chain: open,
// read and close it, or open, write, sync and close it, as one call.
//
// The steps of one file stand between its OpenStep and its CloseStep, and there
// may be steps of others among them. If the queue has a direct descriptor free, all
// of them travel in one submission. If not, what follows the open is submitted when
// it has ended, with the same results: RLIMIT_NOFILE may be too low for a table of
// direct descriptors, or more such chains are under way than it has slots.
//
// The file is closed when the chain has ended, even if that has failed. Errors are
// *fs.PathError, as those of File.
//
// A ChainFile may be used again and again, and by several chains at once; its
// methods may be called from any goroutine.
type ChainFile struct {
	name string
	path []byte
	flag int
	perm fs.FileMode
	bad  error
}

// NewChainFile names a file for chains, with flags and permissions as for
// Runtime.OpenFile. It is opened by OpenStep, and belongs to the loop that the
// chain runs on.
func NewChainFile(name string, flag int, perm fs.FileMode) *ChainFile {
	f := &ChainFile{name: name, flag: flag, perm: perm}
	if f.path, f.bad = pathBytes(name); f.bad != nil {
		f.bad = f.failed("open", f.bad)
	}
	return f
}

// Name is the name the file is opened with.
func (f *ChainFile) Name() string { return f.name }

// OpenStep opens the file (openat(2); into a slot: Linux 5.15).
func (f *ChainFile) OpenStep() Step {
	s := f.step(stepOpens)
	s.invalid = f.bad
	return s
}

// ReadStep is File.ReadStep of the file. A CloseStep behind it travels in the same
// submission.
func (f *ChainFile) ReadStep(p []byte, offset int64) Step {
	return f.step(stepReads).at(p, offset).some()
}

// ReadFullStep is File.ReadFullStep of the file.
func (f *ChainFile) ReadFullStep(p []byte, offset int64) Step {
	return f.step(stepReads).at(p, offset).whole()
}

// WriteStep is File.WriteStep of the file. With os.O_APPEND among the flags of the
// file p is written at the end, and offset must be 0.
func (f *ChainFile) WriteStep(p []byte, offset int64) Step {
	s := f.step(stepWrites).at(p, offset).whole()
	if offset > 0 && f.flag&os.O_APPEND != 0 {
		s.invalid = f.failed("writeat", fmt.Errorf("offset %d in a file that is written at its end: %w", offset, syscall.EINVAL))
	}
	return s
}

// SyncStep is File.SyncStep of the file.
func (f *ChainFile) SyncStep() Step { return f.step(stepSyncs) }

// SyncDataStep is File.SyncDataStep of the file.
func (f *ChainFile) SyncDataStep() Step { return f.step(stepSyncs).dataOnly() }

// CloseStep closes the file. It runs even if steps before it have failed, unless the
// file was not opened; its error counts if it is the first. Without it the file is
// closed at the end of the chain.
func (f *ChainFile) CloseStep() Step {
	s := f.step(stepCloses)
	s.runsAfter = true
	return s
}

func (f *ChainFile) step(a stepAction) Step { return Step{chainFile: f, action: a} }

func (f *ChainFile) failed(op string, cause error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: cause}
}

// scopedFile is a ChainFile in one chain.
type scopedFile struct {
	chain     *chain
	file      *ChainFile
	slot      int  // of the loop's table, -1 if it has a descriptor instead
	fd        int  // that descriptor
	open      bool // as far as the completions say
	closeStep int  // the step that closes it, -1 if none does
}

// listFiles lists the files that the steps open, and checks that each step finds its
// file open.
func (c *chain) listFiles() error {
	for i := range c.steps {
		s := &c.steps[i]
		if s.chainFile == nil {
			continue
		}
		f := c.scoped(s.chainFile)
		switch {
		case s.action == stepOpens && f != nil:
			return s.failed(fmt.Errorf("opened twice in one chain: %w", syscall.EINVAL))
		case s.action == stepOpens:
			c.files = append(c.files, &scopedFile{chain: c, file: s.chainFile, slot: -1, fd: -1, closeStep: -1})
		case f == nil || f.closeStep >= 0:
			return s.failed(errFileClosed)
		case s.action == stepCloses:
			f.closeStep = i
		}
	}
	return nil
}

// scoped is f in the chain, nil if no step before has opened it.
func (c *chain) scoped(f *ChainFile) *scopedFile {
	for _, known := range c.files {
		if known.file == f {
			return known
		}
	}
	return nil
}

// assignSlots gives each file a slot, as long as there are any.
func (c *chain) assignSlots() {
	for _, f := range c.files {
		f.slot = c.loop.files.take(c.loop.engine.Queue())
	}
}

// isNamed reports whether entries can name the file: a slot is known before the
// file is open, a descriptor is not.
func (f *scopedFile) isNamed() bool { return f.slot >= 0 || f.open }

// prepare fills the entry of a step on the file, which has moved n bytes.
func (f *scopedFile) prepare(sqe *ring.SQE, s *Step, m *AlignedMemory, n int) {
	switch {
	case s.action == stepOpens && f.slot >= 0: // the kernel refuses O_CLOEXEC for a slot, which no program inherits
		sqe.PrepOpenat(currentDir, &f.file.path[0], uint32(f.file.flag&^closeOnExec), uint32(permissions(f.file.perm)))
		sqe.SetSlot(f.slot)
	case s.action == stepOpens:
		sqe.PrepOpenat(currentDir, &f.file.path[0], uint32(f.file.flag|closeOnExec), uint32(permissions(f.file.perm)))
	case s.action == stepCloses:
		f.prepareClose(sqe)
	case f.slot >= 0:
		s.prepareOnFile(sqe, f.slot, m, n)
		sqe.SetFlags(ring.SQEFixedFile)
	default:
		s.prepareOnFile(sqe, f.fd, m, n)
	}
}

func (f *scopedFile) preparePoll(sqe *ring.SQE, mask uint32) {
	if f.slot >= 0 {
		sqe.PrepPoll(f.slot, mask)
		sqe.SetFlags(ring.SQEFixedFile)
	} else {
		sqe.PrepPoll(f.fd, mask)
	}
}

func (f *scopedFile) prepareClose(sqe *ring.SQE) {
	if f.slot >= 0 {
		sqe.PrepCloseDirect(f.slot)
	} else {
		sqe.PrepClose(f.fd)
	}
}

// note notes whether a step has opened or closed the file, and returns the step's
// result.
func (f *scopedFile) note(s *Step, result int32) int32 {
	switch {
	case s.action == stepOpens && result >= 0:
		f.open = true
		if f.slot < 0 {
			f.fd = int(result)
		}
		return 0
	case s.action == stepCloses && syscall.Errno(-result) != syscall.ECANCELED: // else it is open still
		f.open = false
	}
	return result
}

// closeFiles closes the files that are open at the end of the chain, which ends when
// they are closed. It returns false if there are none.
func (c *chain) closeFiles() bool {
	for _, f := range c.files {
		if f.open {
			sqe := c.loop.engine.Next()
			f.prepareClose(sqe)
			c.live++
			c.loop.engine.Submit(sqe, f)
		}
	}
	return c.live > 0
}

// Complete implements engine.Operation: a file that was left open is closed.
func (f *scopedFile) Complete(result int32, _ uint32) {
	c := f.chain
	f.open = false
	c.live--
	var err error
	if result < 0 {
		err = f.file.failed("close", syscall.Errno(-result))
	}
	if f.closeStep >= 0 {
		c.results[f.closeStep] = StepResult{Err: err}
	}
	if c.failure == nil {
		c.failure = err
	}
	if c.live == 0 && !c.ended {
		c.finish()
	}
}

// releaseSlots gives the slots back. Only the failure of the queue leaves a file
// open: then its slot went with the queue, and its descriptor is closed here.
func (c *chain) releaseSlots() {
	for _, f := range c.files {
		switch {
		case f.open && f.slot < 0:
			sockets.Close(f.fd)
		case !f.open && f.slot >= 0:
			c.loop.files.give(f.slot)
		}
	}
	c.files = nil
}
