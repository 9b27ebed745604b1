package library

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"golang.org/x/sys/unix"
)

// streamPlayer has an end for each side: of the library, or of package net.
type streamPlayer struct {
	ends   [2]end
	finish func() // waits for a third who forwards
}

type end interface {
	begin(s *Step, p *planned) func() Outcome
	close()
}

func (s *streamPlayer) begin(step *Step, p *planned) func() Outcome {
	if step.Verb == Cancel {
		for _, e := range s.ends {
			e.begin(step, p)
		}
		return func() Outcome { return Outcome{} }
	}
	return s.ends[step.On].begin(step, p)
}

func (s *streamPlayer) end() string {
	for _, e := range s.ends {
		e.close()
	}
	if s.finish != nil {
		s.finish()
	}
	return ""
}

// libraryEnd is a Conn.
type libraryEnd struct {
	ctx   context.Context
	rt    *proactor.Runtime
	c     *proactor.Conn
	under map[int]*operation
}

func newLibraryEnd(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) *libraryEnd {
	return &libraryEnd{ctx: ctx, rt: rt, c: c, under: map[int]*operation{}}
}

// operation is a transfer under way: one future after another until all bytes were moved.
type operation struct {
	ctx      context.Context // it is awaited with
	attempt  attempt
	canceled bool
}

// attempt is one future, of one of the calls that transfer bytes.
type attempt struct {
	await  func(context.Context) (int, error)
	cancel func()
}

func attemptOf(f futures.Future[int]) attempt { return attempt{f.Await, f.Cancel} }

func (e *libraryEnd) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Read:
		return e.read(s, p)
	case Write:
		return e.write(s, p)
	case Cancel:
		if o := e.under[s.Target]; o != nil {
			o.canceled = true
			o.attempt.cancel()
		}
		return nil
	case CloseWrite:
		return settled(e.ctx, e.c.CloseWrite())
	case CloseRead:
		return settled(e.ctx, e.c.CloseRead())
	case EndReads:
		return at(e.c.SetReadDeadline(time.Unix(1, 0)))
	case EndWrites:
		return at(e.c.SetWriteDeadline(time.Unix(1, 0)))
	case MoveDeadlines:
		return at(e.c.SetDeadline(time.Time{}))
	case Move:
		return at(e.move(s.Way))
	case Detach:
		return at(e.detach())
	case Close:
		err := e.c.Close()
		return func() Outcome { e.awaitClosed(); return outcome(0, err) }
	case Abort:
		e.c.Abort()
		return func() Outcome { e.awaitClosed(); return Outcome{} }
	}
	panic("no verb of an end")
}

func at(err error) func() Outcome { return func() Outcome { return outcome(0, err) } }

func settled[T any](ctx context.Context, f futures.Future[T]) func() Outcome {
	return func() Outcome {
		_, err := patiently(ctx, f.Await)
		return outcome(0, err)
	}
}

func (e *libraryEnd) awaitClosed() {
	if _, err := patiently(e.ctx, e.c.Closed().Await); err != nil {
		panic("a connection does not close: " + err.Error())
	}
}

func (e *libraryEnd) close() {
	e.c.Abort()
	e.awaitClosed()
}

func (e *libraryEnd) move(way int) error {
	loops := e.rt.Loops()
	c, err := patiently(e.ctx, e.c.Move(loops[way%len(loops)]).Await)
	if err == nil {
		e.c = c
	}
	return err
}

func (e *libraryEnd) detach() error {
	nc, err := e.c.Detach()
	if err != nil {
		return err
	}
	e.c, err = e.rt.Adopt(nc)
	return err
}

// read reads all that the step asks for, with one of the calls that receive.
func (e *libraryEnd) read(s *Step, pl *planned) func() Outcome {
	p := make([]byte, s.N)
	once := e.receiver(s.Way)
	o := &operation{ctx: e.ctx}
	if s.Ended {
		o.ctx = ended(e.ctx)
	}
	o.attempt = once(o.ctx, p)
	e.under[s.ID] = o
	return func() Outcome {
		defer delete(e.under, s.ID)
		got, err := o.fill(e.ctx, p, once)
		if class(err) == canceled && s.Ended && !pl.ended {
			var more int
			o = &operation{ctx: e.ctx, attempt: once(e.ctx, p[got:])}
			more, err = o.fill(e.ctx, p[got:], once)
			got += more
		}
		switch class(err) {
		case canceled, expired:
			e.giveBack(p[:got])
		case "unexpected EOF":
			err = io.EOF
		}
		return received(p[:got], err)
	}
}

// received is the outcome of a read, which says nothing of bytes that are given back.
func received(p []byte, err error) Outcome {
	switch class(err) {
	case canceled, expired, closed:
		return outcome(0, err)
	}
	o := outcome(len(p), err)
	o.Sum = checksum(p)
	return o
}

// fill awaits one attempt after the other until p is full.
func (o *operation) fill(ctx context.Context, p []byte, once func(context.Context, []byte) attempt) (got int, err error) {
	for {
		var n int
		if o.ctx != ctx { // it has ended: that is no hang
			n, err = o.attempt.await(o.ctx)
		} else {
			n, err = patiently(ctx, o.attempt.await)
		}
		if got += n; err != nil || got == len(p) {
			return got, err
		}
		if o.canceled {
			return got, futures.ErrCanceled
		}
		o.attempt = once(o.ctx, p[got:])
	}
}

// giveBack has the next receive get p again.
func (e *libraryEnd) giveBack(p []byte) {
	if len(p) == 0 {
		return
	}
	b := e.c.Loop().Buffer(len(p))
	copy(b.Bytes(), p)
	e.c.Unread(b.Keep())
}

// receiver is one of the calls that receive.
func (e *libraryEnd) receiver(way int) func(context.Context, []byte) attempt {
	switch way % 7 {
	case 0:
		return func(_ context.Context, p []byte) attempt { return attemptOf(e.receive(p)) }
	case 1:
		return func(_ context.Context, p []byte) attempt { return attemptOf(e.c.RecvInto(p)) }
	case 2:
		return e.chained
	case 3:
		return e.reader(func(ctx context.Context, r *proactor.Reader, p []byte) (int, error) { return r.ReadFull(ctx, p) })
	case 4:
		return e.reader(func(ctx context.Context, r *proactor.Reader, p []byte) (int, error) {
			return io.ReadFull(r.Bound(ctx), p)
		})
	case 5:
		return blocking(e.bufs)
	}
	return e.reader(peek)
}

func peek(ctx context.Context, r *proactor.Reader, p []byte) (int, error) {
	b, err := r.Peek(ctx, len(p))
	n := copy(p, b)
	if c := class(err); c == canceled || c == expired {
		return 0, err
	}
	r.Discard(n)
	return n, err
}

// receive takes a lease, and gives back what is too much.
func (e *libraryEnd) receive(p []byte) futures.Future[int] {
	return futures.Map(e.c.Recv(), func(b proactor.Buffer) (int, error) {
		defer b.Release()
		n := copy(p, b.Bytes())
		e.giveBack(b.Bytes()[n:])
		return n, nil
	})
}

// chained receives by a chain. A chain does not take what was received before it: then a
// receive without a chain does it.
func (e *libraryEnd) chained(_ context.Context, p []byte) attempt {
	chain := attemptOfChain(e.rt.Chain(e.c.RecvFullStep(p)))
	otherwise := futures.Future[int]{}
	return attempt{func(ctx context.Context) (int, error) {
		n, err := chain.await(ctx)
		if err == nil || !strings.Contains(err.Error(), "a chain receives, but") {
			return n, err
		}
		otherwise = e.c.RecvInto(p)
		return otherwise.Await(ctx)
	}, func() { chain.cancel(); otherwise.Cancel() }}
}

// attemptOfChain is a chain of one step.
func attemptOfChain(f futures.Future[[]proactor.StepResult]) attempt {
	return attempt{func(ctx context.Context) (n int, err error) {
		results, err := f.Await(ctx)
		if len(results) > 0 {
			n = results[0].N
		}
		return max(n, 0), err
	}, f.Cancel}
}

// reader has a Reader read.
func (e *libraryEnd) reader(read func(context.Context, *proactor.Reader, []byte) (int, error)) func(context.Context, []byte) attempt {
	return blocking(func(ctx context.Context, p []byte) (int, error) {
		r := e.c.Reader(proactor.WithFrameLimit(len(p) + 1))
		defer r.Release()
		return read(ctx, r, p)
	})
}

// blocking has read wait: as a task or goroutine of its own.
func blocking(read func(context.Context, []byte) (int, error)) func(context.Context, []byte) attempt {
	return func(ctx context.Context, p []byte) attempt {
		return attemptOf(futures.Go(ctx, func(ctx context.Context) (int, error) { return read(ctx, p) }))
	}
}

// bufs receives with a range, and gives back what is too much.
func (e *libraryEnd) bufs(ctx context.Context, p []byte) (got int, err error) {
	for b, err := range e.c.Bufs(ctx) {
		if err != nil {
			return got, err
		}
		n := copy(p[got:], b.Bytes())
		e.giveBack(b.Bytes()[n:])
		b.Release()
		if got += n; got == len(p) {
			return got, nil
		}
	}
	return got, io.EOF
}

func (e *libraryEnd) write(s *Step, pl *planned) func() Outcome {
	p := pattern(pl.from, s.N)
	o := &operation{ctx: e.ctx}
	if s.Ended {
		o.ctx = ended(e.ctx)
	}
	way := s.Way
	if s.Ended && (way%8 == 2 || way%8 == 3 || way%8 == 7) {
		// The cancel of a SendZeroCopy resets the connection, that of a SendVector may come
		// between two pieces, and what is with Queue is sent.
		way = 0
	}
	o.attempt = e.sender(way, p)
	e.under[s.ID] = o
	return func() Outcome {
		defer delete(e.under, s.ID)
		if s.Ended {
			n, err := o.attempt.await(o.ctx)
			if class(err) != canceled {
				return outcome(n, err)
			}
			if n != 0 {
				return Outcome{N: n, Error: canceled, Text: "with a part sent"}
			}
			o.attempt = e.sender(way, p)
		}
		n, err := patiently(e.ctx, o.attempt.await)
		return outcome(n, err)
	}
}

// sender is one of the calls that send.
func (e *libraryEnd) sender(way int, p []byte) attempt {
	switch way % 8 {
	case 0:
		return attemptOf(e.c.SendBytes(p))
	case 1:
		b := e.c.Loop().Buffer(len(p))
		copy(b.Bytes(), p)
		return attemptOf(e.c.Send(b))
	case 2:
		return attemptOf(e.c.SendVector(slices.Collect(slices.Chunk(p, len(p)/3+1))...))
	case 3:
		return attemptOf(e.c.SendZeroCopy(p))
	case 4:
		if len(p) > roomy {
			break
		}
		return attemptOfChain(e.rt.Chain(e.c.SendStep(p)))
	case 5:
		if len(p) > roomy {
			break
		}
		w := e.c.Writer()
		if n, err := w.Write(p); err != nil || n != len(p) {
			return attemptOf(futures.Failed[int](err))
		}
		return attemptOf(w.Flush())
	case 6:
		return e.sendFile(p)
	case 7:
		if len(p) == 1 || len(p) > roomy {
			break
		}
		return e.queue(p)
	}
	return attemptOf(e.c.SendBytes(p))
}

// queue queues one half of p and sends the other, which reports an error of both.
func (e *libraryEnd) queue(p []byte) attempt {
	half := len(p) / 2
	b := e.c.Loop().Buffer(half)
	copy(b.Bytes(), p)
	queued, sent := e.c.Queue(b), e.c.SendBytes(p[half:])
	return attempt{func(ctx context.Context) (int, error) {
		_, refused := queued.Await(ctx)
		n, err := sent.Await(ctx)
		if err == nil && refused == nil {
			n += half
		}
		return n, errors.Join(err, refused)
	}, sent.Cancel}
}

// sendFile sends p from a file, which may be closed at once.
func (e *libraryEnd) sendFile(p []byte) attempt {
	fd, err := unix.MemfdCreate("sent", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	f := os.NewFile(uintptr(fd), "sent")
	defer f.Close()
	if _, err := f.Write(p); err != nil {
		panic(err)
	}
	sent := e.c.SendFile(f, 0, int64(len(p)))
	return attempt{func(ctx context.Context) (int, error) {
		n, err := sent.Await(ctx)
		return int(n), err
	}, sent.Cancel}
}

// connect makes the two connections of a program on the library.
func (l *machine) connect(ctx context.Context, p *Program) (*streamPlayer, error) {
	var pairs [2][2]*proactor.Conn
	var err error
	for i := range 2 {
		if pairs[i], err = l.pair(ctx, p.Medium); err != nil {
			return nil, err
		}
		if p.Medium != Proxy {
			break
		}
	}
	player := &streamPlayer{}
	last := pairs[0][1]
	if p.Medium == Proxy {
		last = pairs[1][1]
		player.finish = l.forward(ctx, pairs[0][1], pairs[1][0])
	}
	player.ends[0] = l.end(ctx, p, pairs[0][0])
	if p.foreign() {
		nc, err := last.Detach()
		if err != nil {
			return nil, err
		}
		player.ends[1] = newStandardEnd(nc)
		return player, nil
	}
	player.ends[1] = l.end(ctx, p, last)
	return player, nil
}

// foreign says that the second end is one of package net. That waits, which a task must
// not.
func (p *Program) foreign() bool { return p.Foreign && !p.Task && p.Medium != Pipe }

// end makes the calls that the program wants on c.
func (l *machine) end(ctx context.Context, p *Program, c *proactor.Conn) end {
	switch {
	case p.NetConn && !p.Task:
		return newNetConnEnd(ctx, l.rt, c)
	case p.Handled:
		return newHandledEnd(ctx, l.rt, c)
	}
	return newLibraryEnd(ctx, l.rt, c)
}

func (l *machine) pair(ctx context.Context, m Medium) (pair [2]*proactor.Conn, err error) {
	switch m {
	case Unix:
		pair[0], pair[1], err = l.rt.SocketPair("unix")
		return pair, err
	case Unixpacket:
		pair[0], pair[1], err = l.rt.SocketPair("unixpacket")
		return pair, err
	case Pipe:
		pair[1], pair[0], err = l.rt.Pipe()
		return pair, err
	}
	accept := l.listener.Accept()
	if pair[0], err = patiently(ctx, l.rt.Dial(ctx, "tcp", l.listener.Addr().String()).Await); err != nil {
		return pair, err
	}
	pair[1], err = patiently(ctx, accept.Await)
	return pair, err
}

// forward has a third connect two connections.
func (l *machine) forward(ctx context.Context, one, other *proactor.Conn) func() {
	up, down := one.Forward(other), other.Forward(one)
	return func() {
		one.Abort()
		other.Abort()
		patiently(ctx, up.Await)
		patiently(ctx, down.Await)
		patiently(ctx, one.Closed().Await)
		patiently(ctx, other.Closed().Await)
	}
}
