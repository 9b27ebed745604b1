package proactor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// Step is one operation of a chain, made by Conn.SendStep, Conn.RecvStep,
// File.WriteStep, File.SyncStep and Operation, among others. A Step may be used again once
// its chain has ended.
type Step struct {
	prepare func(*ring.SQE, []StepResult)
	failed  func(syscall.Errno) error
	done    func(n int)
	invalid error // why it cannot be performed
	conn    *Conn
	file    *File
	within  *ChainFile
	onFile  func(l *Loop, sqe *ring.SQE, fd int) // prepare, of a step within
	opens   bool                                 // opens within
	shuts   bool                                 // closes within
	op      string                               // what a file's errors call it
	memory  []byte                               // that a file's step reads into or writes
	sends   bool
	closes  bool  // closes file
	cursor  bool  // is at the cursor of file
	full    int   // bytes that it must move
	short   error // what fewer are
	open    bool  // the chain goes on in user space behind it, see RecvStep
	waits   bool  // needs the results before it
	always  bool
}

// StepResult is what became of a step: a number of bytes, a descriptor, or what
// else the operation returns, and its error. A step that did not run because
// another failed has futures.ErrCanceled.
type StepResult struct {
	N   int
	Err error
}

// Operation makes a step of any operation of the queue: prepare fills the entry,
// user data and link flags apart, on the loop's thread, and what the entry
// points to must stay reachable through prepare itself. name is the system call
// that errors show.
//
// If prepare panics, the step fails with a *futures.PanicError, and none of those
// that were to be submitted with it is performed.
func Operation(name string, prepare func(*ring.SQE)) Step {
	if prepare == nil {
		return OperationAfter(name, nil)
	}
	s := OperationAfter(name, func(sqe *ring.SQE, _ []StepResult) { prepare(sqe) })
	s.waits = false
	return s
}

// OperationAfter is Operation for a step that needs the results of those before
// it: a read of the descriptor that an open returned. Such a step is not linked
// but submitted when they have succeeded.
func OperationAfter(name string, prepare func(*ring.SQE, []StepResult)) Step {
	s := Step{prepare: prepare, waits: true}
	s.failed = func(e syscall.Errno) error { return os.NewSyscallError(name, e) }
	if prepare == nil {
		s.prepare = func(*ring.SQE, []StepResult) {}
		s.invalid = fmt.Errorf("proactor: the step %q has no function to prepare it: %w", name, syscall.EINVAL)
	}
	return s
}

// Full makes fewer than n bytes a failure of the step, with io.ErrUnexpectedEOF,
// as they are to the kernel's links for reads and writes.
func (s Step) Full(n int) Step {
	s.full, s.short = n, io.ErrUnexpectedEOF
	return s
}

// Always makes a step run even if one before it has failed: the close of what an
// earlier one opened. Its error counts if it is the first.
func (s Step) Always() Step {
	s.always, s.waits = true, true
	return s
}

// SendStep sends all of p in a chain. p belongs to the library until the chain
// has ended.
func (c *Conn) SendStep(p []byte) Step {
	s := Step{conn: c, sends: true, full: len(p), short: io.ErrShortWrite, failed: c.failure("write")}
	if len(p) > maxTransfer {
		s.invalid = c.opError("write", fmt.Errorf("%d bytes in one step, at most %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	s.prepare = func(sqe *ring.SQE, _ []StepResult) {
		engine.RaceRead(p)
		if c.medium == file {
			sqe.PrepWrite(c.fd, p)
		} else {
			sqe.PrepSend(c.fd, p, ring.MsgWaitAll|ring.MsgNoSignal)
		}
	}
	return s
}

// RecvStep receives into p what comes first, a byte at least (or an empty message,
// see Conn.Recv); the end of the stream is io.EOF. p belongs to the library until the chain has ended. What
// follows it in the chain is submitted when it has ended: the kernel takes the
// end of a stream for a success.
func (c *Conn) RecvStep(p []byte) Step {
	s := c.recvStep(p, 0)
	s.full, s.short, s.open = 1, io.EOF, true
	return s
}

// RecvFullStep receives exactly len(p) bytes; if the stream ends before that,
// the error is io.ErrUnexpectedEOF. p belongs to the library until the chain has
// ended.
func (c *Conn) RecvFullStep(p []byte) Step {
	s := c.recvStep(p, ring.MsgWaitAll)
	s.full, s.short = len(p), io.ErrUnexpectedEOF
	return s
}

func (c *Conn) recvStep(p []byte, flags uint32) Step {
	s := Step{conn: c, failed: c.failure("read"), done: func(n int) { engine.RaceWrote(p[:n]) }}
	if len(p) == 0 || len(p) > maxTransfer {
		s.invalid = c.opError("read", fmt.Errorf("%d bytes in one step, want 1 to %d: %w", len(p), maxTransfer, syscall.EINVAL))
	}
	s.prepare = func(sqe *ring.SQE, _ []StepResult) {
		if c.medium == file {
			sqe.PrepRead(c.fd, p)
		} else {
			sqe.PrepRecv(c.fd, p, flags)
		}
	}
	return s
}

func (c *Conn) failure(op string) func(syscall.Errno) error {
	return func(e syscall.Errno) error { return c.failed(op, e) }
}

var (
	errChainUnread  = errors.New("a chain receives, but data or an end that nobody has taken is there before it: receive that first")
	errChainWaiting = errors.New("a chain receives, but somebody else does already")
	errChainLoops   = errors.New("the steps of a chain are on connections or files of different loops: move a connection")
)

// Chain performs the steps one after the other, each when the one before has
// succeeded, and hands those that need nothing of each other's results to the
// queue at once (IOSQE_IO_LINK, Linux 5.3): connect, send and receive cost one
// system call and one wake-up. The future fails with the first failure, and the
// steps behind it are cancelled; its value has the result of each step in either
// case. Memory in the steps belongs to the library until then, and a Close of their
// files waits for it.
//
// On a connection a chain keeps its place among the sends: it begins when those
// called before it have gone out, and later ones wait until it has ended. If it
// receives, nothing else may be receiving when it begins; a Recv called
// meanwhile waits. A send that fails or is cut ends the connection's sending.
//
// At the cursor of a file, too, a chain keeps its place: it begins when the reads
// and writes there that were called before it have ended, and later ones wait until
// it has ended.
//
// The chain runs on the loop of its connections and files, which must be one,
// else on the caller's. A chain longer than the queue (1024 entries) fails with
// syscall.ENOSPC. Cancelling ends the step under way and so the rest.
func (rt *Runtime) Chain(steps ...Step) futures.Future[[]StepResult] {
	c := &chain{steps: steps, results: make([]StepResult, len(steps)), answer: futures.NewPromise[[]StepResult]()}
	c.answer.SetCanceler(&c.starter)
	for _, s := range steps {
		switch {
		case s.prepare == nil && s.within == nil:
			return futures.Failed[[]StepResult](fmt.Errorf("proactor: a chain's step is the zero Step: %w", syscall.EINVAL))
		case s.invalid != nil:
			return futures.Failed[[]StepResult](s.invalid)
		}
		switch l := s.loop(); {
		case l == nil:
		case c.loop == nil:
			c.loop = l
		case c.loop != l && s.conn != nil:
			return futures.Failed[[]StepResult](s.conn.misused("chain", errChainLoops))
		case c.loop != l:
			return futures.Failed[[]StepResult](s.file.failed("chain", errChainLoops))
		}
	}
	if err := c.invite(); err != nil {
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

// loop is the loop that the step has to run on, nil if any will do.
func (s *Step) loop() *Loop {
	switch {
	case s.conn != nil:
		return s.conn.loop
	case s.file != nil:
		return s.file.loop
	}
	return nil
}

// chain is one under way.
type chain struct {
	loop    *Loop
	steps   []Step
	results []StepResult
	ops     []chainOp
	claims  []*claim
	cursors []*cursorClaim
	guests  []*guest
	starter starter
	answer  *futures.Promise[[]StepResult]

	waiting int   // claims of either kind not granted yet
	next    int   // step to be submitted next
	live    int   // steps with the queue
	failure error // the first
	reason  error // why it is being cancelled
	started bool
	ended   bool
}

// chainOp is a step that is with the queue.
type chainOp struct {
	chain    *chain
	step     int
	userData uint64
	live     bool
	failure  error          // of preparing the entry
	holds    bool           // keeps the step's file open
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
		case s.cursor:
			c.claimCursor(s.file)
		}
	}
	if err := c.hold(); err != nil {
		c.refuse(err)
		return
	}
	for _, claim := range c.claims {
		if err := claim.possible(); err != nil {
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

// claim notes which sides of which connections the chain needs.
func (c *chain) claim(s *Step) {
	for _, has := range c.claims {
		if has.conn == s.conn && has.sends == s.sends {
			return
		}
	}
	c.claims = append(c.claims, &claim{chain: c, conn: s.conn, sends: s.sends})
	c.waiting++
}

// granted is called for each claim, and for the end of begin.
func (c *chain) granted() {
	if c.waiting--; c.waiting == 0 && !c.ended {
		c.started = true
		c.seat()
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
	broken := c.failure != nil || c.reason != nil
	for broken && c.next < len(c.steps) && !c.runsAnyway(c.next) {
		c.results[c.next].Err = futures.ErrCanceled
		c.next++
		if c.failure == nil {
			c.failure = c.reason
		}
	}
	if c.next == len(c.steps) {
		if !c.closeGuests() {
			c.finish()
		}
		return
	}
	if c.steps[c.next].closes {
		c.close(c.next)
		return
	}
	end := c.next + 1
	for end < len(c.steps) && c.follows(end) && !broken {
		end++
	}
	c.submit(end)
}

// runsAnyway reports whether step i runs although the chain has failed.
func (c *chain) runsAnyway(i int) bool {
	s := &c.steps[i]
	if s.within != nil && !s.opens && !c.guest(s.within).open {
		return false
	}
	return s.always || s.shuts
}

// follows reports whether step i is submitted with the one before it, as its link.
func (c *chain) follows(i int) bool {
	s, before := &c.steps[i], &c.steps[i-1]
	if s.within != nil && !s.opens {
		if g := c.guest(s.within); g.slot < 0 && !g.open {
			return false // it has no name before it is open
		}
	}
	return !s.waits && !before.shuts && (s.shuts || !before.open)
}

// link is the flag that step i has if the next is its link. A file is closed
// whatever became of the step before, but for its open.
func (c *chain) link(i int) uint8 {
	s, next := &c.steps[i], &c.steps[i+1]
	if next.shuts && !s.opens {
		return ring.SQEHardLink
	}
	return ring.SQELink
}

// submit hands the steps up to end to the queue, as links in one submission, or
// those up to one whose failure would not keep the next from running.
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
		if s.within != nil {
			c.guest(s.within).prepare(sqe, s)
		} else if op.failure = s.fill(sqe, c.results[:i]); op.failure != nil && c.failure == nil {
			c.failure = op.failure
		}
		if i < end-1 && !c.steps[i+1].shuts && !ring.Op(sqe.Opcode()).BreaksLink() {
			end = i + 1
		}
		if i < end-1 {
			sqe.SetFlags(c.link(i))
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

// fill has the step prepare its entry. One whose function panics becomes an entry
// that the queue refuses, and with it all that it is linked to.
func (s *Step) fill(sqe *ring.SQE, before []StepResult) (failure error) {
	defer func() {
		if value := recover(); value != nil {
			failure = &futures.PanicError{Value: value, Stack: debug.Stack()}
			sqe.Reset()
			sqe.PrepOperation(noOperation, -1, 0, 0, 0)
		}
	}()
	s.prepare(sqe, before)
	return nil
}

// noOperation is a code that no queue knows.
const noOperation = 255

// complete implements engine.Operation: a step has ended.
func (o *chainOp) Complete(result int32, flags uint32) {
	if flags&ring.CQEFMore != 0 {
		return
	}
	c := o.chain
	o.live = false
	c.live--
	c.take(o.step, result)
	if s := &c.steps[o.step]; s.conn != nil {
		s.conn.others--
		if result > 0 {
			s.conn.touch()
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

// take notes what became of step i.
func (c *chain) take(i int, result int32) {
	s, r := &c.steps[i], &c.results[i]
	if s.within != nil {
		result = c.guest(s.within).took(s, result)
	}
	switch {
	case result >= 0:
		r.N = int(result)
		if s.done != nil {
			s.done(r.N)
		}
		if r.N < s.full && !s.tookEmptyMessage(r.N) {
			r.Err = s.short
			if c.reason != nil {
				r.Err = c.reason
			} else if s.short != io.EOF {
				r.Err = s.describe(s.short)
			}
		}
	case syscall.Errno(-result) == syscall.ECANCELED && c.failure != nil:
		r.Err = futures.ErrCanceled
	case c.reason != nil:
		r.Err = c.reason
	case syscall.Errno(-result) == syscall.ECANCELED && s.conn != nil && s.conn.state >= connEnding:
		r.Err = s.conn.closedError(s.direction())
	case c.ops[i].failure != nil:
		r.Err = c.ops[i].failure
	default:
		r.Err = s.failed(syscall.Errno(-result))
	}
	if r.Err != nil && c.failure == nil {
		c.failure = r.Err
	}
	if r.Err != nil && s.sends && (r.N > 0 || result < 0 && syscall.Errno(-result) != syscall.ECANCELED) &&
		(s.conn.medium != packets || syscall.Errno(-result) != syscall.EMSGSIZE) {
		s.conn.send.err = r.Err // the stream has a hole, or no other end
	}
}

// tookEmptyMessage reports whether n bytes are all of what RecvStep waited for.
func (s *Step) tookEmptyMessage(n int) bool {
	return n == 0 && s.conn != nil && s.short == io.EOF && !s.conn.endsHere()
}

// describe says where an error is from.
func (s *Step) describe(err error) error {
	switch {
	case s.conn != nil:
		return s.conn.opError(s.direction(), err)
	case s.file != nil:
		return s.file.failed(s.op, err)
	case s.within != nil:
		return s.within.failed(s.op, err)
	}
	return err
}

func (s *Step) direction() string {
	if s.sends {
		return "write"
	}
	return "read"
}

// cancelLive cancels the step under way, unless it closes a file, and those that
// are linked behind it. A queue finds these only when their turn has come, so only
// the first is canceled until it has ended.
func (c *chain) cancelLive() {
	cancel := c.loop.engine.Cancel
	for i := range c.ops {
		if c.ops[i].live && !c.steps[i].shuts {
			cancel(c.ops[i].userData)
			cancel = c.loop.engine.CancelOnce
		}
	}
}

// cancel implements startable.
func (c *chain) cancel() { c.end(futures.ErrCanceled) }

// End implements engine.Ender, for each of the chain's steps.
func (o *chainOp) End(reason error) { o.chain.end(reason) }

// end ends the chain for that reason.
func (c *chain) end(reason error) {
	switch {
	case c.ended || c.reason != nil:
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
	c.letGo(nil)
	c.dismiss()
	c.loop.engine.Later(func() { c.answer.Settle(c.results, c.failure) })
}

// claim is a chain's claim to one side of a connection.
type claim struct {
	chain  *chain
	conn   *Conn
	sends  bool
	queued bool
	has    bool
}

// possible says why the chain cannot have that side, nil if it can.
func (m *claim) possible() error {
	if m.sends {
		return m.conn.send.refusal()
	}
	r := &m.conn.recv
	switch {
	case m.conn.state != connOpen:
		return m.conn.closedError("read")
	case m.conn.readExpired():
		return m.conn.timedOut("read")
	case r.in.handler != nil:
		return m.conn.misused("read", errHandlerReceives)
	case r.in.line.Len() > 0 || r.direct != nil || r.claim != nil:
		return m.conn.misused("read", errChainWaiting)
	case r.in.unread.Len() > 0 || r.err != nil:
		return m.conn.misused("read", errChainUnread)
	}
	return nil
}

// queue has the claim granted, at once or later.
func (m *claim) queue() {
	m.queued = true
	if m.sends {
		s := &m.conn.send
		s.queue.Push(&s.conn.loop.segments, segment{turn: m})
		s.start()
		return
	}
	r := &m.conn.recv
	r.claim = m
	if r.armed && !r.pausing {
		r.pausing = true
		m.conn.loop.engine.Cancel(r.userData)
	}
	r.arm()
}

func (m *claim) grant() {
	if !m.has {
		m.has = true
		m.chain.granted()
	}
}

// end implements turn.
func (m *claim) end(reason error) { m.chain.end(reason) }

// refuse implements turn.
func (m *claim) refuse(err error) {
	m.queued = false
	if !m.chain.started {
		m.chain.refuse(err)
	}
}

// quiet is called when the receiver has nothing armed.
func (m *claim) quiet() {
	r := &m.conn.recv
	switch {
	case m.has || m.chain.ended:
	case m.conn.state >= connEnding:
		m.chain.refuse(m.conn.closedError("read"))
	case r.in.unread.Len() > 0 || r.err != nil:
		m.chain.refuse(m.conn.misused("read", errChainUnread))
	default:
		m.grant()
	}
}

// release lets the connection go on.
func (m *claim) release() {
	switch {
	case !m.queued:
	case m.sends:
		m.queued = false
		m.conn.send.unclaim(m)
	default:
		m.queued = false
		m.conn.recv.claim = nil
		m.conn.recv.arm()
	}
}
