package proactor

import (
	"io"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// transfer is a read or write of a file under way. It is pooled.
type transfer struct {
	transferring
	file     *File
	aligned  *AlignedMemory // that memory lies within, if any
	promise  futures.Promise[int]
	answer   *futures.Promise[int] // instead of promise, if it was called from elsewhere
	userData uint64
	done     int // bytes moved so far
	piece    int // of a vector: the first piece with bytes left
	within   int // bytes of that piece moved so far
	attempt  []ring.Iovec
	reason   error // why it is being canceled
	ended    bool
	spare    bool // in the pool
}

// transferring is what a transfer is to do.
type transferring struct {
	verb   verb
	vector bool
	memory []byte
	pieces [][]byte
	offset int64
}

// verb says whether a transfer reads or writes, and where.
type verb uint8

const (
	readsAt verb = iota
	writesAt
	reads // at the cursor
	writes
)

func (v verb) isRead() bool   { return v == readsAt || v == reads }
func (v verb) atCursor() bool { return v == reads || v == writes }

// op is its name in errors.
func (v verb) op() string {
	if v.isRead() {
		return "read"
	}
	return "write"
}

// maxPieces is how many pieces one attempt takes (IOV_MAX).
const maxPieces = 1024

// transfer starts one.
func (f *File) transfer(t transferring) futures.Future[int] {
	l := f.loop
	if !l.engine.Inside() {
		return f.transferElsewhere(t)
	}
	o, future := l.takeTransfer()
	o.transferring, o.file = t, f
	o.begin()
	return future
}

// takeTransfer takes a transfer from the pool, or makes one.
func (l *Loop) takeTransfer() (*transfer, futures.Future[int]) {
	for last := len(l.transfers) - 1; last >= 0; last-- {
		o := l.transfers[last]
		l.transfers = l.transfers[:last]
		o.spare = false
		if future, ok := o.promise.Renew(); ok {
			return o, future
		}
	}
	o := new(transfer)
	o.promise.Bind(&l.engine, o)
	return o, o.promise.Future()
}

// Recycle implements futures.Recycler.
func (o *transfer) Recycle() {
	if o.spare || o.file == nil || !o.ended {
		return
	}
	l := o.file.loop
	o.spare, o.file = true, nil
	l.transfers = append(l.transfers, o)
}

func (f *File) transferElsewhere(t transferring) futures.Future[int] {
	o := &transfer{transferring: t, file: f, answer: futures.NewPromise[int]()}
	starter := new(starter)
	o.answer.SetCanceler(starter)
	if !t.verb.isRead() {
		engine.RaceRead(t.memory)
		for _, p := range t.pieces {
			engine.RaceRead(p)
		}
	}
	if !starter.start(f.loop, o) {
		o.refuse(f.closedError(t.verb.op()))
	}
	return o.answer.Future()
}

// begin checks and submits.
func (o *transfer) begin() {
	f := o.file
	o.done, o.piece, o.within = 0, 0, 0
	o.reason, o.ended = nil, false
	err := f.refusal(o.verb.op())
	switch {
	case err != nil:
	case o.offset < 0:
		err = f.failed(o.verb.op()+"at", errNegativeOffset)
	case o.verb == writesAt && f.append:
		err = f.failed("writeat", errAppendWriteAt)
	case o.moves():
		f.inFlight++
		o.aligned = f.loop.memory.find(o.memory)
		o.aligned.addUser()
		if !o.verb.atCursor() {
			o.submit()
			return
		}
		f.joinLine(o)
		return
	}
	o.ended = true
	o.settle(0, err)
}

// moves reports whether there is something to do. Package os reads and writes nothing
// without a system call, except that it writes nothing at the cursor: that fails where the
// file is not open for writing.
func (o *transfer) moves() bool {
	if o.vector {
		return o.more()
	}
	return len(o.memory) > 0 || o.verb == writes
}

// more reports whether a vector has bytes left, and steps over pieces that have
// none.
func (o *transfer) more() bool {
	for o.piece < len(o.pieces) && o.within == len(o.pieces[o.piece]) {
		o.piece, o.within = o.piece+1, 0
	}
	return o.piece < len(o.pieces)
}

// grant implements cursorTurn.
func (o *transfer) grant() { o.submit() }

// shut implements cursorTurn.
func (o *transfer) shut() { o.leave(o.file.closedError(o.verb.op())) }

// submit hands over what is left, or as much as one attempt takes.
func (o *transfer) submit() {
	f := o.file
	sqe := f.loop.engine.Next()
	at := o.at()
	if o.vector {
		o.prepareVector(sqe, at)
	} else if p := o.memory[o.done:min(len(o.memory), o.done+maxTransfer)]; o.verb.isRead() {
		o.aligned.prepareRead(sqe, f.fd, p, at)
	} else {
		engine.RaceRead(p)
		o.aligned.prepareWrite(sqe, f.fd, p, at)
	}
	o.userData = f.loop.engine.Submit(sqe, o)
}

// at is where the next attempt reads or writes.
func (o *transfer) at() int64 {
	if o.verb.atCursor() {
		return o.file.next(o.verb)
	}
	return o.offset + int64(o.done)
}

// next is the offset of an operation at the cursor. The kernel keeps the cursor, except
// with O_DIRECT: its ring does not move the cursor then if the operation waits for the
// device (seen on 6.18), and the next write would overwrite this one.
func (f *File) next(v verb) int64 {
	if f.direct && !(f.append && v == writes) {
		return f.cursor
	}
	return ring.AtCursor
}

func (o *transfer) prepareVector(sqe *ring.SQE, at int64) {
	o.attempt = o.attempt[:0]
	room := maxTransfer
	for i, p := range o.pieces[o.piece:] {
		if room == 0 || len(o.attempt) == maxPieces {
			break
		}
		if i == 0 {
			p = p[o.within:]
		}
		if p = p[:min(len(p), room)]; len(p) > 0 {
			o.attempt = append(o.attempt, ring.Iovec{Base: &p[0], Len: uintptr(len(p))})
			room -= len(p)
			if !o.verb.isRead() {
				engine.RaceRead(p)
			}
		}
	}
	if o.verb.isRead() {
		sqe.PrepReadv(o.file.fd, o.attempt, at)
	} else {
		sqe.PrepWritev(o.file.fd, o.attempt, at)
	}
}

// Complete implements engine.Operation.
func (o *transfer) Complete(result int32, _ uint32) {
	errno := syscall.Errno(-result)
	switch {
	case result > 0:
		if left := o.advance(int(result)); left && o.verb != reads {
			o.goOn()
			return
		}
		o.end(nil)
	case result == 0 && o.verb.isRead():
		o.end(io.EOF)
	case result == 0 && !o.vector && len(o.memory) == 0: // nothing was written
		o.end(nil)
	case result == 0:
		o.end(o.file.failed(o.verb.op(), io.ErrUnexpectedEOF))
	case errno == syscall.EINTR:
		o.goOn()
	case errno == syscall.EAGAIN:
		o.awaitReady()
	case errno == syscall.ECANCELED && o.reason != nil:
		o.end(o.reason)
	case errno == syscall.ECANCELED && o.file.ending:
		o.end(o.file.closedError(o.verb.op()))
	default:
		o.end(o.file.failed(o.verb.op(), errno))
	}
}

// advance moves past n bytes, and reports whether any are left.
func (o *transfer) advance(n int) (left bool) {
	if o.verb.atCursor() {
		o.file.cursor += int64(n)
	}
	if !o.vector {
		if o.verb.isRead() {
			engine.RaceWrote(o.memory[o.done : o.done+n])
		}
		o.done += n
		return o.done < len(o.memory)
	}
	o.done += n
	for n > 0 && o.more() {
		p := o.pieces[o.piece][o.within:]
		k := min(n, len(p))
		if o.verb.isRead() {
			engine.RaceWrote(p[:k])
		}
		n -= k
		o.within += k
	}
	return o.more()
}

// goOn submits the rest, unless the transfer was canceled or the file ends.
func (o *transfer) goOn() {
	switch {
	case o.reason != nil:
		o.end(o.reason)
	case o.file.ending:
		o.end(o.file.closedError(o.verb.op()))
	default:
		o.submit()
	}
}

// awaitReady waits with a poll. It is for a pipe or device that others have made
// non-blocking: a transfer on it does not wait.
func (o *transfer) awaitReady() {
	if o.reason != nil || o.file.ending {
		o.goOn()
		return
	}
	l := o.file.loop
	sqe := l.engine.Next()
	if o.verb.isRead() {
		sqe.PrepPoll(o.file.fd, ring.PollIn)
	} else {
		sqe.PrepPoll(o.file.fd, ring.PollOut)
	}
	o.userData = l.engine.Submit(sqe, (*readyTransfer)(o))
}

// readyTransfer is the transfer while it waits.
type readyTransfer transfer

func (w *readyTransfer) Complete(result int32, _ uint32) {
	o := (*transfer)(w)
	if result < 0 {
		o.Complete(result, 0)
		return
	}
	o.goOn()
}

// end ends a transfer that was submitted.
func (o *transfer) end(err error) {
	f := o.file
	if o.verb.atCursor() {
		f.leaveLine(o)
	}
	o.leave(err)
}

// leave ends a transfer that is not in the line any more.
func (o *transfer) leave(err error) {
	f := o.file
	f.inFlight--
	o.ended = true
	f.settled()
	o.settle(o.done, err)
}

// settle gives the result.
func (o *transfer) settle(n int, err error) {
	o.aligned.removeUser()
	o.aligned, o.memory, o.pieces = nil, nil, nil
	if o.answer != nil {
		o.answer.Settle(n, err)
		return
	}
	o.promise.Settle(n, err)
}

// refuse implements startable.
func (o *transfer) refuse(err error) {
	o.ended = true
	o.settle(0, err)
}

// cancel implements startable.
func (o *transfer) cancel() { o.Cancel() }

// Recancel implements futures.Recanceler.
func (o *transfer) Recancel() { o.Cancel() }

// Cancel implements futures.Canceler. A transfer in the line leaves it; one in flight
// ends with its final completion.
func (o *transfer) Cancel() {
	if o.ended || o.file == nil {
		return
	}
	if o.verb.atCursor() && !o.file.isFirst(o) {
		o.reason = futures.ErrCanceled
		o.file.leaveLine(o)
		o.leave(o.reason)
		return
	}
	l := &o.file.loop.engine
	if o.reason == nil {
		o.reason = futures.ErrCanceled
		l.CancelOnce(o.userData)
	}
	l.AwaitEnd(o.userData)
}
