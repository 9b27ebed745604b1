package library

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lane performs functions in their order, on a goroutine of its own.
type lane chan func()

func newLane() lane {
	l := make(lane, 64)
	go func() {
		for fn := range l {
			fn()
		}
	}()
	return l
}

// do returns a function that waits for what fn comes to.
func (l lane) do(fn func() Outcome) func() Outcome {
	result := make(chan Outcome, 1)
	l <- func() { result <- fn() }
	return func() Outcome {
		limit := time.NewTimer(patience)
		defer limit.Stop()
		select {
		case o := <-result:
			result <- o // it may be asked for again
			return o
		case <-limit.C:
			return Outcome{Error: hangs}
		}
	}
}

// standardEnd is a connection of package net.
type standardEnd struct {
	c              net.Conn
	reads, writes  lane
	back           []byte // was read and given back
	readsOver      atomic.Bool
	closed         atomic.Bool
	canceling      atomic.Int64 // ID of the read that a deadline is to end
	under          map[int]func() Outcome
	isRead         map[int]bool
	cancelingWrite atomic.Bool
}

func newStandardEnd(c net.Conn) *standardEnd {
	return &standardEnd{c: c, reads: newLane(), writes: newLane(), under: map[int]func() Outcome{}, isRead: map[int]bool{}}
}

func (e *standardEnd) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Read:
		if p.ended {
			return at(errCanceled)
		}
		await := e.reads.do(func() Outcome { return e.read(s.ID, s.N) })
		e.under[s.ID], e.isRead[s.ID] = await, true
		return await
	case Write:
		bytes := pattern(p.from, s.N)
		await := e.writes.do(func() Outcome {
			n, err := e.c.Write(bytes)
			if err != nil && e.cancelingWrite.Load() {
				return Outcome{N: n, Error: canceled}
			}
			return outcome(n, err)
		})
		e.under[s.ID] = await
		return await
	case Cancel:
		e.cancel(s.Target)
		return nil
	case CloseWrite:
		return e.writes.do(func() Outcome { return outcome(0, e.c.(halfCloser).CloseWrite()) })
	case CloseRead:
		return at(e.c.(halfCloser).CloseRead())
	case Close:
		e.closed.Store(true)
		return at(e.c.Close())
	case Abort:
		return at(e.abort())
	case EndReads:
		return at(e.endReads())
	case EndWrites:
		return at(e.c.SetWriteDeadline(time.Unix(1, 0)))
	case MoveDeadlines:
		return at(e.moveDeadlines())
	case Move, Detach: // are the library's own, and change nothing
		return at(nil)
	}
	panic("no verb of an end")
}

type halfCloser interface {
	CloseRead() error
	CloseWrite() error
}

// errCanceled is what the library answers to an ended context.
var errCanceled error = context.Canceled

// read reads n bytes, with as many calls as that takes.
func (e *standardEnd) read(id, n int) Outcome {
	p := make([]byte, n)
	var got int
	var err error
	switch {
	case e.closed.Load():
		err = net.ErrClosed
	case e.readsOver.Load():
		err = os.ErrDeadlineExceeded
	default:
		got = copy(p, e.back)
		e.back = e.back[got:]
	}
	for got < n && err == nil {
		var more int
		more, err = e.transfer(id, func() (int, error) { return e.c.Read(p[got:]) })
		got += more
	}
	if got == n {
		err = nil
	}
	switch class(err) {
	case expired, canceled:
		e.back = append(p[:got:got], e.back...)
		return outcome(0, err)
	case closed:
		return outcome(0, err)
	}
	return Outcome{N: got, Sum: checksum(p[:got]), Error: class(err)}
}

// transfer reads, again if the deadline was for another read, which is canceled.
func (e *standardEnd) transfer(id int, read func() (int, error)) (int, error) {
	for {
		n, err := read()
		switch canceling := int(e.canceling.Load()); {
		case class(err) != expired || e.readsOver.Load():
			return n, err
		case canceling == id:
			return n, errCanceled
		}
		runtime.Gosched()
	}
}

// cancel has a deadline end what is under way, and moves it away again.
func (e *standardEnd) cancel(id int) {
	await := e.under[id]
	switch {
	case await == nil:
	case e.isRead[id]:
		e.canceling.Store(int64(id))
		e.c.SetReadDeadline(time.Unix(1, 0))
		await()
		if !e.readsOver.Load() {
			e.c.SetReadDeadline(time.Time{})
		}
	default:
		e.cancelingWrite.Store(true)
		e.c.SetWriteDeadline(time.Unix(1, 0))
		await()
	}
}

func (e *standardEnd) endReads() error {
	e.readsOver.Store(true)
	return e.c.SetReadDeadline(time.Unix(1, 0))
}

func (e *standardEnd) moveDeadlines() error {
	e.readsOver.Store(false)
	return e.c.SetDeadline(time.Time{})
}

func (e *standardEnd) abort() error {
	if c, ok := e.c.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	e.closed.Store(true)
	return e.c.Close()
}

func (e *standardEnd) close() {
	e.abort()
	close(e.reads)
	close(e.writes)
}

// standardStreams makes the two connections of a program with package net.
func standardStreams(p *Program) (*streamPlayer, error) {
	one, err := standardPair(p.Medium)
	if err != nil {
		return nil, err
	}
	player := &streamPlayer{}
	last := one[1]
	if p.Medium == Proxy {
		behind, err := standardPair(p.Medium)
		if err != nil {
			return nil, err
		}
		last = behind[1]
		player.finish = standardForward(one[1], behind[0])
	}
	player.ends = [2]end{newStandardEnd(one[0]), newStandardEnd(last)}
	return player, nil
}

func standardForward(one, other net.Conn) func() {
	var both sync.WaitGroup
	copyTo := func(dst, src net.Conn) {
		// Without splice(2): package net keeps the pipes that it makes for that.
		if _, err := io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src}); err == nil {
			dst.(halfCloser).CloseWrite()
		}
	}
	both.Go(func() { copyTo(one, other) })
	both.Go(func() { copyTo(other, one) })
	return func() {
		one.Close()
		other.Close()
		both.Wait()
	}
}

func standardPair(m Medium) (pair [2]net.Conn, err error) {
	switch m {
	case Unix:
		return socketPair(syscall.SOCK_STREAM)
	case Unixpacket:
		return socketPair(syscall.SOCK_SEQPACKET)
	case Pipe:
		r, w, err := os.Pipe()
		return [2]net.Conn{pipeEnd{w}, pipeEnd{r}}, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return pair, err
	}
	defer ln.Close()
	if pair[0], err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return pair, err
	}
	pair[1], err = ln.Accept()
	return pair, err
}

func socketPair(kind int) (pair [2]net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return pair, err
	}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		pair[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			return pair, err
		}
	}
	return pair, nil
}

// pipeEnd is an *os.File as a net.Conn.
type pipeEnd struct{ *os.File }

// SetDeadline has the error of other methods when the file is closed: package os has one
// here that errors.Is does not find.
func (p pipeEnd) SetDeadline(t time.Time) error      { return p.named(p.File.SetDeadline(t)) }
func (p pipeEnd) SetReadDeadline(t time.Time) error  { return p.named(p.File.SetReadDeadline(t)) }
func (p pipeEnd) SetWriteDeadline(t time.Time) error { return p.named(p.File.SetWriteDeadline(t)) }

func (pipeEnd) named(err error) error {
	if err != nil {
		return os.ErrClosed
	}
	return nil
}

func (pipeEnd) LocalAddr() net.Addr  { return nil }
func (pipeEnd) RemoteAddr() net.Addr { return nil }
