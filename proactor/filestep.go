package proactor

import (
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// ReadStep reads what there is at offset in a chain, up to len(p) bytes and one
// at least; the end of the file is io.EOF. p belongs to the library until the
// chain has ended. What follows is submitted when it has ended: the kernel takes
// fewer bytes than asked for as a failure.
func (f *File) ReadStep(p []byte, offset int64) Step {
	return f.step(stepReads).at(p, offset).some()
}

// ReadFullStep reads exactly len(p) bytes at offset in a chain; where the file ends
// before that, the error is io.ErrUnexpectedEOF. p belongs to the library until the
// chain has ended.
func (f *File) ReadFullStep(p []byte, offset int64) Step {
	return f.step(stepReads).at(p, offset).whole()
}

// ReadNextStep is ReadStep at the cursor, which it moves.
func (f *File) ReadNextStep(p []byte) Step {
	return f.step(stepReads).atNext(p).some()
}

// ReadNextFullStep is ReadFullStep at the cursor, which it moves; where the file ends
// before len(p) bytes, the cursor is at the end.
func (f *File) ReadNextFullStep(p []byte) Step {
	return f.step(stepReads).atNext(p).whole()
}

// WriteStep writes all of p at offset in a chain. A write that fits only in part
// fails with io.ErrShortWrite and the error that ended it, syscall.ENOSPC for
// one; StepResult.N is what was written. On a file opened with os.O_APPEND it is an
// error: that is written with WriteNextStep. p belongs to the library until the chain
// has ended. With SyncStep behind it the data is on its device when the chain has
// ended.
func (f *File) WriteStep(p []byte, offset int64) Step {
	s := f.step(stepWrites).at(p, offset).whole()
	if f.append {
		s.invalid = f.failed("writeat", errAppendWriteStep)
	}
	return s
}

// WriteNextStep is WriteStep at the cursor, or at the end if the file was opened with
// os.O_APPEND. The cursor is behind what was written afterwards. In which order chains
// and other reads and writes use the cursor: Runtime.Chain.
func (f *File) WriteNextStep(p []byte) Step {
	return f.step(stepWrites).atNext(p).whole()
}

// SyncStep is File.Sync in a chain: behind writes, it waits for them.
func (f *File) SyncStep() Step { return f.step(stepSyncs) }

// SyncDataStep is File.SyncData in a chain.
func (f *File) SyncDataStep() Step { return f.step(stepSyncs).dataOnly() }

// CloseStep closes the file in a chain, as Close does, when the steps before it
// have ended. From the beginning of the chain on no other operation may begin on
// the file; if the chain fails before its close, it is open again. With Always it
// is closed in any case.
func (f *File) CloseStep() Step {
	s := f.step(stepCloses)
	s.waits, s.unlinked = true, true
	return s
}

func (f *File) step(a stepAction) Step { return Step{file: f, action: a} }

// at makes the step a read into p or a write of p at offset.
func (s Step) at(p []byte, offset int64) Step {
	s.memory, s.offset = p, offset
	if s.invalid = s.checkLength(); offset < 0 {
		s.invalid = s.failedAs(string(s.action)+"at", errNegativeOffset)
	}
	return s
}

// atNext makes the step a read into p or a write of p at the cursor. Where we keep
// the cursor ourselves, it is known only when the steps before have ended.
func (s Step) atNext(p []byte) Step {
	s.memory, s.offset, s.waits = p, ring.AtCursor, s.file.direct
	s.invalid = s.checkLength()
	return s
}

func (s *Step) atCursor() bool { return s.file != nil && s.offset == ring.AtCursor }

func (s Step) dataOnly() Step {
	s.flags = ring.FsyncDataSync
	return s
}

// prepareOnFile fills the entry of a read, write or sync on a descriptor or slot. The
// first n bytes have been moved; m is the registered memory of the step, if any.
func (s *Step) prepareOnFile(sqe *ring.SQE, fd int, m *AlignedMemory, n int) {
	switch p := s.memory[n:]; s.action {
	case stepReads:
		m.prepareRead(sqe, fd, p, s.position(n))
	case stepWrites:
		engine.RaceRead(p)
		m.prepareWrite(sqe, fd, p, s.position(n))
	case stepSyncs:
		sqe.PrepFsync(fd, s.flags)
	}
}

// position is where a step that has moved n bytes goes on.
func (s *Step) position(n int) int64 {
	switch {
	case !s.atCursor():
		return s.offset + int64(n)
	case s.action == stepReads:
		return s.file.next(reads)
	}
	return s.file.next(writes)
}
