package proactor

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

var errChainLoops = errors.New("the steps of a chain are on connections or files of different loops: move a connection")

// Chain performs the steps one after the other, each when the one before has
// succeeded. Steps that do not need the results of others are submitted together
// (IOSQE_IO_LINK, Linux 5.3): connect, send and receive cost one
// system call and one wake-up. The future fails with the first error, and the
// steps behind that are canceled; its value has the result of each step in either
// case. Memory of the steps belongs to the library until then, and a Close of their
// files waits for it.
//
// A chain keeps the order of a connection's sends: it begins when those
// called before it have gone out, and later ones wait until it has ended. If it
// receives, nothing else may be receiving when it begins; a Recv called
// meanwhile waits. A send that fails, or sends only a part, ends the connection's
// sending.
//
// A chain keeps the order at the cursor of a file, too: it begins when the reads
// and writes at the cursor that were called before it have ended, and later ones wait
// until it has ended.
//
// The chain runs on the loop of its connections and files, which must be the same for
// all, else on the caller's. A chain longer than the queue (1024 entries) fails with
// syscall.ENOSPC. A cancel ends the step under way, and the others do not run.
func (rt *Runtime) Chain(steps ...Step) futures.Future[[]StepResult] {
	c := &chain{steps: steps, results: make([]StepResult, len(steps)), rest: -1, answer: futures.NewPromise[[]StepResult]()}
	c.answer.SetCanceler(&c.starter)
	for _, s := range steps {
		switch {
		case s.isZero():
			return futures.Failed[[]StepResult](fmt.Errorf("proactor: a chain's step is the zero Step: %w", syscall.EINVAL))
		case s.invalid != nil:
			return futures.Failed[[]StepResult](s.invalid)
		}
		switch l := s.loop(); {
		case l == nil:
		case c.loop == nil:
			c.loop = l
		case c.loop != l:
			return futures.Failed[[]StepResult](s.failedAs("chain", errChainLoops))
		}
	}
	if err := c.listFiles(); err != nil {
		return futures.Failed[[]StepResult](err)
	}
	if c.loop == nil {
		c.loop = rt.someLoop()
	}
	if !c.starter.start(c.loop, c) {
		c.answer.Fail(c.loop.closedBy(ErrClosed))
	}
	return c.answer.Future()
}

// chain is a Chain under way.
type chain struct {
	loop    *Loop
	steps   []Step
	results []StepResult
	ops     []chainOp
	claims  []*claim
	cursors []*cursorClaim
	files   []*scopedFile
	starter starter
	answer  *futures.Promise[[]StepResult]

	waiting int   // claims of either kind not granted yet
	next    int   // step to be submitted next
	live    int   // operations with the queue
	rest    int   // the step of which the rest is submitted next, -1 if there is none
	blocked bool  // when its descriptor is ready
	failure error // the first
	reason  error // why it is being canceled
	started bool
	ended   bool

	returnsMemory bool // to an Await in a callback, which did not wait for steps to come
}

// chainOp is a step that is with the queue.
type chainOp struct {
	chain    *chain
	step     int
	userData uint64
	kind     ring.Op
	live     bool
	waits    bool           // it is a poll, until the step's descriptor is ready
	passed   bool           // what is linked behind it runs even if it fails
	failure  error          // of preparing the entry
	hasFile  bool           // it counts among those in flight on the step's file
	aligned  *AlignedMemory // that the step's memory lies within, if any
}

func (c *chain) begin() {
	if c.loop.stopping() {
		c.refuse(c.loop.closedBy(ErrClosed))
		return
	}
	c.ops = make([]chainOp, len(c.steps))
	c.waiting = 1
	for i := range c.steps {
		switch s := &c.steps[i]; {
		case s.conn != nil:
			c.claim(s)
		case s.atCursor():
			c.claimCursor(s.file)
		}
	}
	if err := c.acquire(); err != nil {
		c.refuse(err)
		return
	}
	for _, claim := range c.claims {
		if err := claim.refusal(); err != nil {
			c.refuse(err)
			return
		}
	}
	for _, claim := range c.claims {
		claim.queue()
	}
	for _, claim := range c.cursors {
		if !c.ended {
			claim.queue()
		}
	}
	c.granted()
}

// granted is called for each claim that is granted, and at the end of begin.
func (c *chain) granted() {
	if c.waiting--; c.waiting == 0 && !c.ended {
		c.started = true
		c.assignSlots()
		c.proceed()
	}
}

// refuse ends a chain that has not started.
func (c *chain) refuse(err error) {
	c.failure = err
	for i := range c.results {
		c.results[i].Err = futures.ErrCanceled
	}
	c.finish()
}

// proceed submits what is next, or ends.
func (c *chain) proceed() {
	if c.blocked && c.reason == nil {
		c.awaitReady()
		return
	}
	if c.rest >= 0 {
		c.resume()
	}
	broken := c.failure != nil || c.reason != nil
	for broken && c.next < len(c.steps) && !c.runsAnyway(c.next) {
		c.results[c.next].Err = futures.ErrCanceled
		c.next++
		if c.failure == nil {
			c.failure = c.reason
		}
	}
	if c.next == len(c.steps) {
		if !c.closeFiles() {
			c.finish()
		}
		return
	}
	if s := &c.steps[c.next]; s.file != nil && s.action == stepCloses {
		c.closeFile(c.next)
		return
	}
	end := c.next + 1
	for end < len(c.steps) && c.follows(end) && !broken {
		end++
	}
	c.submit(end)
}

// resume goes back to the step of which the rest is to be submitted. Those that were
// linked behind it have been canceled by the kernel, and are submitted again, too.
func (c *chain) resume() {
	i := c.rest
	c.rest = -1
	if c.reason == nil {
		c.next = i
		return
	}
	c.next = i + 1
	c.fail(i, 0, c.reason)
}

// runsAnyway reports whether step i runs although the chain has failed.
func (c *chain) runsAnyway(i int) bool {
	s := &c.steps[i]
	switch {
	case s.chainFile != nil && s.action != stepOpens && !c.scoped(s.chainFile).open:
		return false
	case c.returnsMemory && s.moves():
		return false
	}
	return s.runsAfter
}

// follows reports whether step i is submitted with the one before it, as its link.
func (c *chain) follows(i int) bool {
	s, before := &c.steps[i], &c.steps[i-1]
	if s.chainFile != nil && s.action != stepOpens && !c.scoped(s.chainFile).isNamed() {
		return false
	}
	return !s.waits && before.action != stepCloses && (s.action == stepCloses || !before.unlinked)
}

// link is the flag that step i has if the next is its link. A close runs whatever
// becomes of the step before: but not if that is an open, and not before the rest of
// what moved too few bytes.
func (c *chain) link(i int) uint8 {
	s, next := &c.steps[i], &c.steps[i+1]
	if next.action == stepCloses && s.action != stepOpens && !s.resumes {
		return ring.SQEHardLink
	}
	return ring.SQELink
}

// submit submits the steps up to end, linked, or only those up to one whose failure
// would not break its link.
func (c *chain) submit(end int) {
	l := c.loop
	if err := l.engine.Reserve(end - c.next); err != nil {
		c.failure = fmt.Errorf("proactor: chain of %d linked steps: %w", end-c.next, err)
		for ; c.next < end; c.next++ {
			c.results[c.next].Err = futures.ErrCanceled
		}
		c.proceed()
		return
	}
	for i := c.next; i < end; i++ {
		s, op := &c.steps[i], &c.ops[i]
		sqe := l.engine.Next()
		if op.failure = c.prepare(i, sqe); op.failure != nil && c.failure == nil {
			c.failure = op.failure
		}
		op.kind, op.passed = ring.Op(sqe.Opcode()), false
		if i < end-1 && c.steps[i+1].action != stepCloses && !op.kind.BreaksLink() {
			end = i + 1
		}
		if i < end-1 {
			link := c.link(i)
			sqe.SetFlags(link)
			op.passed = link == ring.SQEHardLink || !op.kind.BreaksLink()
		}
		op.chain, op.step, op.live = c, i, true
		op.userData = l.engine.Submit(sqe, op)
		c.live++
		if s.conn != nil {
			s.conn.others++
		}
	}
	c.next = end
}

// prepare fills the entry of step i.
func (c *chain) prepare(i int, sqe *ring.SQE) error {
	s, moved, aligned := &c.steps[i], c.results[i].N, c.ops[i].aligned
	switch {
	case s.prepare != nil:
		return s.fill(sqe, c.results[:i])
	case s.conn != nil:
		s.conn.prepareStep(sqe, s, moved)
	case s.file != nil:
		s.prepareOnFile(sqe, s.file.fd, aligned, moved)
	default:
		c.scoped(s.chainFile).prepare(sqe, s, aligned, moved)
	}
	return nil
}

// Complete implements engine.Operation: a step has ended.
func (o *chainOp) Complete(result int32, flags uint32) {
	if flags&ring.CQEFMore != 0 {
		return
	}
	c := o.chain
	o.live = false
	c.live--
	if o.waits {
		c.ready(o.step, result)
	} else {
		c.take(o.step, result)
	}
	if s := &c.steps[o.step]; s.conn != nil {
		s.conn.others--
		if result > 0 {
			s.conn.touch(int(result))
		}
		defer s.conn.settled()
	}
	switch {
	case c.live == 0:
		c.proceed()
	case c.reason != nil:
		c.cancelLive()
	}
}

// take notes the result of step i.
func (c *chain) take(i int, result int32) {
	s, r := &c.steps[i], &c.results[i]
	if s.chainFile != nil {
		result = c.scoped(s.chainFile).note(s, result)
	}
	if result >= 0 {
		s.moved(r.N, int(result))
		r.N += int(result)
	}
	errno := syscall.Errno(max(-result, 0))
	switch {
	case c.rest >= 0 && i > c.rest: // canceled by the kernel, it is submitted again
	case c.reason == nil && (result > 0 && s.hasRest(r.N) || c.isAgain(i, errno)):
		c.rest, c.blocked = i, errno == syscall.EAGAIN
	case result >= 0 && (r.N >= s.minimum || s.isEmptyMessage(r.N)):
	default:
		c.fail(i, errno, c.errorOf(i, errno))
	}
}

// isAgain reports whether step i, which has failed with errno, is submitted again: a
// signal has interrupted it, or its descriptor, which others have made non-blocking, is
// not ready. What has a step behind it that has run cannot be.
func (c *chain) isAgain(i int, errno syscall.Errno) bool {
	s, op := &c.steps[i], &c.ops[i]
	switch {
	case op.passed || op.kind == ring.OpConnect || op.kind == ring.OpClose: // these two are under way, or done
		return false
	case errno == syscall.EAGAIN:
		return s.moves()
	}
	return errno == syscall.EINTR
}

// awaitReady waits until the step that is submitted next has data, or room.
func (c *chain) awaitReady() {
	s, op := &c.steps[c.rest], &c.ops[c.rest]
	sqe := c.loop.engine.Next()
	switch {
	case s.conn != nil:
		sqe.PrepPoll(s.conn.fd, s.readiness())
		s.conn.others++
	case s.file != nil:
		sqe.PrepPoll(s.file.fd, s.readiness())
	default:
		c.scoped(s.chainFile).preparePoll(sqe, s.readiness())
	}
	op.waits, op.live = true, true
	op.userData = c.loop.engine.Submit(sqe, op)
	c.live++
}

// ready notes that the descriptor of step i is ready, or that it cannot be waited for.
func (c *chain) ready(i int, result int32) {
	c.ops[i].waits, c.blocked = false, false
	if result >= 0 || c.reason != nil {
		return
	}
	errno := syscall.Errno(-result)
	c.rest, c.next = -1, i+1
	c.fail(i, errno, c.errorOf(i, errno))
}

// errorOf is the error of step i, which has failed with errno or, if that is 0, by
// moving too few bytes.
func (c *chain) errorOf(i int, errno syscall.Errno) error {
	s := &c.steps[i]
	switch {
	case errno == syscall.ECANCELED && c.failure != nil:
		return futures.ErrCanceled
	case c.reason != nil:
		return c.reason
	case errno == 0 && s.tooFew == io.EOF:
		return io.EOF
	case errno == 0:
		return s.failed(s.tooFew)
	case errno == syscall.ECANCELED && s.conn != nil && s.conn.state >= connEnding:
		return s.conn.closedError(string(s.action))
	case c.ops[i].failure != nil:
		return c.ops[i].failure
	}
	return s.refused(errno, c.results[i].N)
}

// fail notes the error of step i; errno is the kernel's, if any. A stream is no
// longer sent on if a part of it went out, or if it cannot be sent on.
func (c *chain) fail(i int, errno syscall.Errno, err error) {
	s, r := &c.steps[i], &c.results[i]
	r.Err = err
	if c.failure == nil {
		c.failure = err
	}
	onlyThis := errno == 0 || errno == syscall.ECANCELED || s.sends() && s.conn.medium == packets && errno == syscall.EMSGSIZE
	if s.sends() && (r.N > 0 || !onlyThis) {
		s.conn.send.err = err
	}
}

// cancelLive cancels the step under way, unless it closes a file, and those that
// are linked behind it. A queue finds these only when their turn has come, so only
// the first is canceled until it has ended.
func (c *chain) cancelLive() {
	cancel := c.loop.engine.Cancel
	for i := range c.ops {
		if c.ops[i].live && c.steps[i].action != stepCloses {
			cancel(c.ops[i].userData)
			cancel = c.loop.engine.CancelOnce
		}
	}
	c.awaitLive()
}

// awaitLive has an Await in a callback wait for the step under way, and for those that
// are linked behind it, if they use memory.
func (c *chain) awaitLive() {
	for i := range c.ops {
		if c.ops[i].live && c.steps[i].borrows() {
			c.loop.engine.AwaitEnd(c.ops[i].userData)
		}
	}
}

// cancel implements startable.
func (c *chain) cancel() {
	c.returnsMemory = c.returnsMemory || c.loop.engine.Quiescing()
	c.end(futures.ErrCanceled)
}

// End implements engine.Ender, for each of the chain's steps.
func (o *chainOp) End(reason error) { o.chain.end(reason) }

// end ends the chain for that reason.
func (c *chain) end(reason error) {
	switch {
	case c.ended:
	case c.reason != nil:
		c.awaitLive()
	case !c.started:
		c.refuse(reason)
	default:
		c.reason = reason
		c.cancelLive()
	}
}

func (c *chain) finish() {
	c.ended = true
	for _, claim := range c.claims {
		claim.release()
	}
	for _, claim := range c.cursors {
		claim.release()
	}
	c.release(nil)
	c.releaseSlots()
	c.loop.engine.Later(func() { c.answer.Settle(c.results, c.failure) })
}

// acquire counts the steps as operations in flight on their files, so that these stay
// open until the chain has ended. It returns an error if a file is not open.
func (c *chain) acquire() error {
	for i := range c.steps {
		s, op := &c.steps[i], &c.ops[i]
		switch f := s.file; {
		case f == nil && s.chainFile == nil:
			continue
		case f != nil && f.state != fileOpen:
			return f.closedError(string(s.action))
		case f != nil:
			f.inFlight++
			if s.action == stepCloses {
				f.state = fileShut
			}
		}
		op.hasFile = true
		op.aligned = c.loop.memory.find(s.memory)
		op.aligned.addUser()
	}
	return nil
}

// release is the opposite of acquire, for one file or, with nil, for all.
func (c *chain) release(file *File) {
	for i := range c.ops {
		f := c.steps[i].file
		if !c.ops[i].hasFile || file != nil && f != file {
			continue
		}
		c.ops[i].hasFile = false
		c.ops[i].aligned.removeUser()
		if f == nil {
			continue
		}
		f.inFlight--
		if file == nil && c.steps[i].action == stepCloses && f.state == fileShut && !f.loop.stopping() {
			f.state = fileOpen // the chain did not get there
		}
		f.settled()
	}
}

// closeFile performs step i, which closes its File.
func (c *chain) closeFile(i int) {
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
	c.release(f)
}
