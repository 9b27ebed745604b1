package proactor

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strings"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// Events are conditions of a descriptor, the masks of poll(2).
type Events uint32

const (
	Readable   = Events(ring.PollIn)    // reading does not wait
	Urgent     = Events(ring.PollPri)   // there is out-of-band data, or a changed file
	Writable   = Events(ring.PollOut)   // writing does not wait
	Broken     = Events(ring.PollErr)   // an error is pending, or the reading end of the pipe is closed; always reported
	HungUp     = Events(ring.PollHup)   // the peer has closed; always reported
	PeerClosed = Events(ring.PollRDHup) // the peer has shut down its sending side
)

var eventNames = []struct {
	event Events
	name  string
}{
	{Readable, "readable"}, {Urgent, "urgent"}, {Writable, "writable"},
	{Broken, "broken"}, {HungUp, "hung up"}, {PeerClosed, "peer closed"},
}

func (e Events) String() string {
	var names []string
	for _, n := range eventNames {
		if e&n.event != 0 {
			names = append(names, n.name)
			e &^= n.event
		}
	}
	if e != 0 || len(names) == 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(e)))
	}
	return strings.Join(names, "|")
}

// Poll waits until descriptor fd has one of the events in want, or Broken or HungUp, and
// resolves with the events that it has; at once if it has one already (poll(2), Linux
// 5.1). It reads nothing. fd is any descriptor that can be polled: a socket, a
// pipe, an eventfd, timerfd, signalfd, inotify descriptor and so on. The caller must keep
// it open until the future resolves: cancel that before closing it.
//
// Any goroutine may call Poll; a call on a loop uses that loop. Errors are
// *os.SyscallError: syscall.EBADF if fd is not open, syscall.EINVAL if it cannot be
// polled; or futures.ErrCanceled, or ErrClosed when the runtime ends.
func (rt *Runtime) Poll(fd int, want Events) futures.Future[Events] {
	return rt.someLoop().Poll(fd, want)
}

// Poll is Runtime.Poll on this loop.
func (l *Loop) Poll(fd int, want Events) futures.Future[Events] {
	p := &poll{loop: l, fd: fd, want: want, answer: futures.NewPromise[Events]()}
	p.answer.SetCanceler(&p.starter)
	if !p.starter.start(l, p) {
		p.refuse(l.closedBy(ErrClosed))
	}
	return p.answer.Future()
}

// PollAll delivers the events of descriptor fd each time that one of those in
// want occurs (edge-triggered, as a multishot poll of Linux 5.13), beginning
// with those that it has already. If the reader falls behind, events are merged.
// Otherwise it is like Poll; the error that ends it ends the stream.
func (rt *Runtime) PollAll(fd int, want Events) *Poller { return rt.someLoop().PollAll(fd, want) }

// PollAll is Runtime.PollAll on this loop.
func (l *Loop) PollAll(fd int, want Events) *Poller {
	p := &Poller{stream: futures.NewStream[Events](nil, 1)}
	p.stream.OnDrain(func() { l.engine.Perform(p.flush) })
	p.poll = poll{loop: l, fd: fd, want: want, poller: p}
	if !p.poll.starter.start(l, &p.poll) {
		p.poll.refuse(l.closedBy(ErrClosed))
	}
	return p
}

// Poller delivers events, see PollAll. Any goroutine may use it.
type Poller struct {
	stream *futures.Stream[Events]
	poll   poll
	merged Events // occurred while the one before was unread
}

// Next resolves with the next events. Its error is io.EOF after Stop, else that of
// PollAll. Canceling it loses no event.
func (p *Poller) Next() futures.Future[Events] { return p.stream.Next() }

// All ranges over the events until Stop. An error that ends the polling, or the end
// of ctx, is yielded once. Leaving the range does not stop the polling.
func (p *Poller) All(ctx context.Context) iter.Seq2[Events, error] { return p.stream.All(ctx) }

// Stop ends the polling. The future resolves when the queue does not use the
// descriptor any more; it may be closed then. Unread events can still be read,
// and io.EOF follows them.
func (p *Poller) Stop() futures.Future[struct{}] {
	done := futures.NewPromise[struct{}]()
	ok := p.poll.loop.engine.Perform(func() {
		if p.poll.ended {
			done.Resolve(struct{}{})
			return
		}
		p.poll.stopped = append(p.poll.stopped, done)
		p.poll.starter.Cancel()
	})
	if !ok {
		done.Resolve(struct{}{})
	}
	return done.Future()
}

// Close is Stop, but Next fails with err instead of io.EOF, and Close does not wait.
func (p *Poller) Close(err error) {
	p.Stop()
	p.stream.Close(err)
}

func (p *Poller) flush() {
	if p.merged != 0 && p.stream.Len() == 0 {
		events := p.merged
		p.merged = 0
		p.stream.Push(events)
	}
}

// poll is a poll under way, one-shot or multishot.
type poll struct {
	loop     *Loop
	fd       int
	want     Events
	userData uint64
	ending   bool
	ended    bool
	reason   error // why it is being canceled
	starter  starter
	answer   *futures.Promise[Events]
	poller   *Poller // nil of one shot
	stopped  []*futures.Promise[struct{}]
}

func (p *poll) begin() {
	if p.loop.stopping() {
		p.refuse(p.loop.closedBy(ErrClosed))
		return
	}
	p.arm()
}

func (p *poll) arm() {
	sqe := p.loop.engine.Next()
	if p.poller != nil {
		sqe.PrepMultishotPoll(p.fd, uint32(p.want))
	} else {
		sqe.PrepPoll(p.fd, uint32(p.want))
	}
	p.userData = p.loop.engine.Submit(sqe, p)
}

// cancel implements startable.
func (p *poll) cancel() {
	if p.poller != nil {
		p.End(nil) // Stop: an orderly end
		return
	}
	p.End(futures.ErrCanceled)
}

// refuse implements startable.
func (p *poll) refuse(err error) {
	if p.poller != nil && err == futures.ErrCanceled {
		err = nil
	}
	p.ended = true
	p.tell(0, err)
}

// End implements engine.Ender.
func (p *poll) End(reason error) {
	if p.ended {
		return
	}
	if !p.ending {
		p.ending, p.reason = true, reason
		p.loop.engine.Cancel(p.userData)
	}
	p.loop.engine.AwaitEnd(p.userData)
}

// Complete implements engine.Operation.
func (p *poll) Complete(result int32, flags uint32) {
	last := flags&ring.CQEFMore == 0
	switch {
	case p.poller != nil && result > 0:
		p.poller.merged |= Events(result)
		p.poller.flush()
		if !last {
			return
		}
		if !p.ending { // the kernel has ended the multishot: arm it again
			p.arm()
			return
		}
		p.settle(0, p.reason)
	case !last:
	case result >= 0:
		p.settle(Events(result), nil)
	case p.ending && syscall.Errno(-result) == syscall.ECANCELED:
		p.settle(0, p.reason)
	default:
		p.settle(0, os.NewSyscallError("poll", syscall.Errno(-result)))
	}
}

func (p *poll) settle(events Events, err error) {
	p.ended = true
	p.loop.engine.Later(func() { p.tell(events, err) })
}

// tell settles the promise, or delivers to the Poller.
func (p *poll) tell(events Events, err error) {
	if p.poller == nil {
		p.answer.Settle(events, err)
		return
	}
	if p.poller.merged != 0 {
		p.poller.stream.Push(p.poller.merged)
	}
	p.poller.stream.Close(err)
	for _, done := range p.stopped {
		done.Resolve(struct{}{})
	}
}
