package proactor

import (
	"fmt"
	"io"
	"syscall"

	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// WriteStep writes all of p at offset in a chain; fewer bytes fail it with
// io.ErrShortWrite. On a file opened with os.O_APPEND it is an error: that is
// written with WriteNextStep. p belongs to the library until the chain has ended. With
// SyncStep behind it the data is on its device when the chain has ended.
func (f *File) WriteStep(p []byte, offset int64) Step {
	s := f.step("write", func(sqe *ring.SQE) {
		engine.RaceRead(p)
		f.loop.memory.find(p).prepareWrite(sqe, f.fd, p, offset)
	})
	s.memory = p
	s.full, s.short = len(p), io.ErrShortWrite
	switch {
	case f.append:
		s.invalid = f.failed("writeat", errAppendWriteStep)
	case offset < 0:
		s.invalid = f.failed("writeat", errNegativeOffset)
	case len(p) > maxTransfer:
		s.invalid = f.failed("write", fmt.Errorf("%d bytes in one step, at most %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	return s
}

// WriteNextStep writes all of p at the cursor in a chain, and moves it: at the end,
// if the file was opened with os.O_APPEND. In all else it is WriteStep. How a chain
// and other reads and writes at the cursor follow each other: Runtime.Chain.
func (f *File) WriteNextStep(p []byte) Step {
	s := f.step("write", func(sqe *ring.SQE) {
		engine.RaceRead(p)
		f.loop.memory.find(p).prepareWrite(sqe, f.fd, p, f.next(writes))
	})
	s.memory = p
	s.full, s.short = len(p), io.ErrShortWrite
	s.atCursor(func(int) {})
	if len(p) > maxTransfer {
		s.invalid = f.failed("write", fmt.Errorf("%d bytes in one step, at most %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	return s
}

// ReadNextStep reads what there is at the cursor in a chain, and moves it; the end
// of the file is io.EOF. In all else it is ReadStep.
func (f *File) ReadNextStep(p []byte) Step {
	s := f.readNextStep(p)
	s.full, s.short, s.open = 1, io.EOF, true
	return s
}

// ReadNextFullStep reads exactly len(p) bytes at the cursor in a chain, and moves
// it; where the file ends before that, the error is io.ErrUnexpectedEOF, and the
// cursor is at the end. In all else it is ReadFullStep.
func (f *File) ReadNextFullStep(p []byte) Step {
	s := f.readNextStep(p)
	s.full, s.short = len(p), io.ErrUnexpectedEOF
	return s
}

func (f *File) readNextStep(p []byte) Step {
	s := f.step("read", func(sqe *ring.SQE) { f.loop.memory.find(p).prepareRead(sqe, f.fd, p, f.next(reads)) })
	s.memory = p
	s.atCursor(func(n int) { engine.RaceWrote(p[:n]) })
	if len(p) == 0 || len(p) > maxTransfer {
		s.invalid = f.failed("read", fmt.Errorf("%d bytes in one step, want 1 to %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	return s
}

// atCursor makes the step one at its file's cursor. Where we keep that ourselves,
// the step before must have ended to know it.
func (s *Step) atCursor(done func(n int)) {
	f := s.file
	s.cursor, s.waits = true, f.direct
	s.done = func(n int) {
		f.cursor += int64(n)
		done(n)
	}
}

// ReadStep reads what there is at offset in a chain, up to len(p) bytes and one
// at least; the end of the file is io.EOF. p belongs to the library until the
// chain has ended. What follows is submitted when it has ended: the kernel takes
// fewer bytes than asked for as a failure.
func (f *File) ReadStep(p []byte, offset int64) Step {
	s := f.readStep(p, offset)
	s.full, s.short, s.open = 1, io.EOF, true
	return s
}

// ReadFullStep reads exactly len(p) bytes at offset; where the file ends before
// that, the error is io.ErrUnexpectedEOF. p belongs to the library until the
// chain has ended.
func (f *File) ReadFullStep(p []byte, offset int64) Step {
	s := f.readStep(p, offset)
	s.full, s.short = len(p), io.ErrUnexpectedEOF
	return s
}

func (f *File) readStep(p []byte, offset int64) Step {
	s := f.step("read", func(sqe *ring.SQE) { f.loop.memory.find(p).prepareRead(sqe, f.fd, p, offset) })
	s.memory = p
	s.done = func(n int) { engine.RaceWrote(p[:n]) }
	switch {
	case offset < 0:
		s.invalid = f.failed("readat", errNegativeOffset)
	case len(p) == 0 || len(p) > maxTransfer:
		s.invalid = f.failed("read", fmt.Errorf("%d bytes in one step, want 1 to %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	return s
}

// SyncStep is File.Sync in a chain: behind writes, it waits for them.
func (f *File) SyncStep() Step {
	return f.step("sync", func(sqe *ring.SQE) { sqe.PrepFsync(f.fd, 0) })
}

// SyncDataStep is File.SyncData in a chain.
func (f *File) SyncDataStep() Step {
	return f.step("sync", func(sqe *ring.SQE) { sqe.PrepFsync(f.fd, ring.FsyncDataSync) })
}

// CloseStep closes the file in a chain, as Close does, when the steps before it
// have ended. From the beginning of the chain on no other operation may begin on
// the file; if the chain fails before its close, it is open again. With Always it
// is closed in any case.
func (f *File) CloseStep() Step {
	s := f.step("close", func(*ring.SQE) {})
	s.closes, s.waits, s.open = true, true, true
	return s
}

func (f *File) step(op string, prepare func(*ring.SQE)) Step {
	return Step{
		file: f, op: op,
		prepare: func(sqe *ring.SQE, _ []StepResult) { prepare(sqe) },
		failed:  func(e syscall.Errno) error { return f.failed(op, e) },
	}
}

// hold keeps the files of a chain open until it has ended, or says why it cannot
// have them.
func (c *chain) hold() error {
	for i := range c.steps {
		s := &c.steps[i]
		switch f := s.file; {
		case s.within != nil:
			c.holdMemory(i)
		case f == nil:
		case f.state != fileOpen:
			return f.closedError(s.op)
		default:
			f.inFlight++
			c.ops[i].holds = true
			c.holdMemory(i)
			if s.closes {
				f.state = fileShut
			}
		}
	}
	return nil
}

// holdMemory keeps the memory of step i registered.
func (c *chain) holdMemory(i int) {
	c.ops[i].aligned = c.loop.memory.find(c.steps[i].memory)
	c.ops[i].aligned.hold()
}

// letGo is the opposite of hold, for one file or, with nil, for all.
func (c *chain) letGo(file *File) {
	for i := range c.ops {
		f := c.steps[i].file
		if !c.ops[i].holds || file != nil && f != file {
			continue
		}
		c.ops[i].holds = false
		c.ops[i].aligned.letGo()
		f.inFlight--
		if file == nil && c.steps[i].closes && f.state == fileShut && !f.loop.stopping() {
			f.state = fileOpen // the chain did not get there
		}
		f.settled()
	}
}

// close performs step i, which closes its file.
func (c *chain) close(i int) {
	f := c.steps[i].file
	c.next = i + 1
	c.live++
	f.closed = append(f.closed, func(err error) {
		c.live--
		if c.results[i].Err = err; err != nil && c.failure == nil {
			c.failure = err
		}
		if !c.ended {
			c.proceed()
		}
	})
	c.letGo(f)
}
