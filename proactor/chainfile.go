package proactor

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// ChainFile is a file that lives within a chain: open, read and close it, or
// open, write, sync and close it, as one call.
//
// The steps of one file stand between its OpenStep and its CloseStep, and there
// may be steps of others among them. Where the queue has a direct descriptor to
// spare all of them travel in one submission; where not, because RLIMIT_NOFILE is
// too low for a table of those or more such chains are under way than it has
// slots, what follows the open is submitted when it has ended. Nothing else tells.
//
// Whatever becomes of the chain, the file is closed when it has ended. Errors are
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
	s := f.step("open", nil)
	s.opens, s.invalid = true, f.bad
	return s
}

// ReadStep is File.ReadStep of the file. In front of its CloseStep it travels with
// it all the same.
func (f *ChainFile) ReadStep(p []byte, offset int64) Step {
	s := f.readStep(p, offset)
	s.full, s.short, s.open = 1, io.EOF, true
	return s
}

// ReadFullStep is File.ReadFullStep of the file.
func (f *ChainFile) ReadFullStep(p []byte, offset int64) Step {
	s := f.readStep(p, offset)
	s.full, s.short = len(p), io.ErrUnexpectedEOF
	return s
}

func (f *ChainFile) readStep(p []byte, offset int64) Step {
	s := f.step("read", func(l *Loop, sqe *ring.SQE, fd int) { l.memory.find(p).prepareRead(sqe, fd, p, offset) })
	s.memory, s.done = p, func(n int) { engine.RaceWrote(p[:n]) }
	switch {
	case offset < 0:
		s.invalid = f.failed("readat", errNegativeOffset)
	case len(p) == 0 || len(p) > maxTransfer:
		s.invalid = f.failed("read", fmt.Errorf("%d bytes in one step, want 1 to %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	return s
}

// WriteStep writes all of p at offset; fewer bytes fail it with
// io.ErrShortWrite. With os.O_APPEND among the flags of the file it is written at
// the end, and offset is to be 0. p belongs to the library until the chain has
// ended.
func (f *ChainFile) WriteStep(p []byte, offset int64) Step {
	s := f.step("write", func(l *Loop, sqe *ring.SQE, fd int) {
		engine.RaceRead(p)
		l.memory.find(p).prepareWrite(sqe, fd, p, offset)
	})
	s.memory, s.full, s.short = p, len(p), io.ErrShortWrite
	switch {
	case offset < 0:
		s.invalid = f.failed("writeat", errNegativeOffset)
	case offset > 0 && f.flag&os.O_APPEND != 0:
		s.invalid = f.failed("writeat", fmt.Errorf("offset %d in a file that is written at its end: %w", offset, syscall.EINVAL))
	case len(p) > maxTransfer:
		s.invalid = f.failed("write", fmt.Errorf("%d bytes in one step, at most %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	return s
}

// SyncStep is File.Sync in a chain: behind writes, it waits for them.
func (f *ChainFile) SyncStep() Step { return f.syncStep(0) }

// SyncDataStep is File.SyncData in a chain.
func (f *ChainFile) SyncDataStep() Step { return f.syncStep(ring.FsyncDataSync) }

func (f *ChainFile) syncStep(flags uint32) Step {
	return f.step("sync", func(_ *Loop, sqe *ring.SQE, fd int) { sqe.PrepFsync(fd, flags) })
}

// CloseStep closes the file. It runs whatever became of the steps before it, if
// the file was opened; its error counts if it is the first. Without it the file is
// closed at the end of the chain.
func (f *ChainFile) CloseStep() Step {
	s := f.step("close", nil)
	s.shuts = true
	return s
}

func (f *ChainFile) step(op string, onFile func(l *Loop, sqe *ring.SQE, fd int)) Step {
	return Step{within: f, op: op, onFile: onFile, failed: func(e syscall.Errno) error { return f.failed(op, e) }}
}

func (f *ChainFile) failed(op string, cause error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: cause}
}

// guest is a ChainFile in a chain.
type guest struct {
	chain  *chain
	file   *ChainFile
	slot   int  // of the loop's table, -1 if it has a descriptor instead
	fd     int  // that descriptor
	open   bool // as far as is known
	closer int  // the step that closes it, -1 if none does
}

// invite lists the files that live within the steps, and checks that each step
// finds its file open.
func (c *chain) invite() error {
	for i := range c.steps {
		s := &c.steps[i]
		if s.within == nil {
			continue
		}
		g := c.guest(s.within)
		switch {
		case s.opens && g != nil:
			return s.within.failed("open", fmt.Errorf("opened twice in one chain: %w", syscall.EINVAL))
		case s.opens:
			c.guests = append(c.guests, &guest{chain: c, file: s.within, slot: -1, fd: -1, closer: -1})
		case g == nil || g.closer >= 0:
			return s.within.failed(s.op, errFileClosed)
		case s.shuts:
			g.closer = i
		}
	}
	return nil
}

// guest is what the chain knows of a file, nil if it has not met it.
func (c *chain) guest(f *ChainFile) *guest {
	for _, g := range c.guests {
		if g.file == f {
			return g
		}
	}
	return nil
}

// seat gives each file a slot, as long as there are any.
func (c *chain) seat() {
	for _, g := range c.guests {
		g.slot = c.loop.files.take(c.loop.engine.Queue())
	}
}

// prepare fills the entry of a step of the file.
func (g *guest) prepare(sqe *ring.SQE, s *Step) {
	switch {
	case s.opens && g.slot >= 0: // nothing inherits what is in a slot, and it may not ask for that
		sqe.PrepOpenat(currentDir, &g.file.path[0], uint32(s.within.flag&^closeOnExec), uint32(permissions(g.file.perm)))
		sqe.SetSlot(g.slot)
	case s.opens:
		sqe.PrepOpenat(currentDir, &g.file.path[0], uint32(s.within.flag|closeOnExec), uint32(permissions(g.file.perm)))
	case s.shuts:
		g.prepareClose(sqe)
	case g.slot >= 0:
		s.onFile(g.chain.loop, sqe, g.slot)
		sqe.SetFlags(ring.SQEFixedFile)
	default:
		s.onFile(g.chain.loop, sqe, g.fd)
	}
}

func (g *guest) prepareClose(sqe *ring.SQE) {
	if g.slot >= 0 {
		sqe.PrepCloseDirect(g.slot)
	} else {
		sqe.PrepClose(g.fd)
	}
}

// took notes what became of the file by a step, and returns the step's result.
func (g *guest) took(s *Step, result int32) int32 {
	switch {
	case s.opens && result >= 0:
		g.open = true
		if g.slot < 0 {
			g.fd = int(result)
		}
		return 0
	case s.shuts && syscall.Errno(-result) != syscall.ECANCELED: // else it is open still
		g.open = false
	}
	return result
}

// closeGuests closes the files that are open when the chain is at its end, which
// it is when that is done. It returns false if there are none.
func (c *chain) closeGuests() bool {
	for _, g := range c.guests {
		if g.open {
			sqe := c.loop.engine.Next()
			g.prepareClose(sqe)
			c.live++
			c.loop.engine.Submit(sqe, g)
		}
	}
	return c.live > 0
}

// complete implements engine.Operation: a file that was left open is closed.
func (g *guest) Complete(result int32, _ uint32) {
	c := g.chain
	g.open = false
	c.live--
	var err error
	if result < 0 {
		err = g.file.failed("close", syscall.Errno(-result))
	}
	if g.closer >= 0 {
		c.results[g.closer] = StepResult{Err: err}
	}
	if c.failure == nil {
		c.failure = err
	}
	if c.live == 0 && !c.ended {
		c.finish()
	}
}

// dismiss gives memory and slots back. A file that is open still is one of a
// queue that has failed.
func (c *chain) dismiss() {
	for i := range c.ops {
		if c.steps[i].within != nil {
			c.ops[i].aligned.letGo()
		}
	}
	for _, g := range c.guests {
		switch {
		case g.open && g.slot < 0:
			sockets.Close(g.fd)
		case !g.open && g.slot >= 0:
			c.loop.files.give(g.slot)
		}
	}
	c.guests = nil
}

// slotPool is the slots of a loop's table of direct descriptors. The table is made
// when the first is taken.
type slotPool struct {
	made bool
	free []int
}

// slotsOfLoop is how many a table has: more than chains are usually under way at
// once, and fewer than any usual RLIMIT_NOFILE.
const slotsOfLoop = 256

// take returns a slot, -1 if there is none left, or no table.
func (p *slotPool) take(q ring.Queue) int {
	if !p.made {
		p.made = true
		if q.RegisterFiles(slotsOfLoop) == nil {
			p.free = make([]int, 0, slotsOfLoop)
			for slot := slotsOfLoop - 1; slot >= 0; slot-- {
				p.free = append(p.free, slot)
			}
		}
	}
	last := len(p.free) - 1
	if last < 0 {
		return -1
	}
	slot := p.free[last]
	p.free = p.free[:last]
	return slot
}

func (p *slotPool) give(slot int) { p.free = append(p.free, slot) }
