package contestant

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readSize is how much a textbook server reads at a time.
const readSize = 64 << 10

// conn is one connection of a non-blocking textbook server: its descriptor and
// the bytes that the socket did not take yet.
type conn struct {
	fd   int
	owed []byte
}

// reactor is what the textbook models share once a descriptor is ready: read,
// answer, keep what the socket does not take. How one learns that a descriptor
// is ready is the model, and has a file of its own.
type reactor struct {
	listener  int
	broadcast bool
	conns     []*conn // by descriptor
	buf       [readSize]byte

	opened  func(*conn) error // the model begins to watch the connection
	stalled func(*conn)       // the socket is full: the model waits for it to be writable; may be nil
	closing func(*conn)       // the model forgets the connection; may be nil
}

func newReactor(o Options) (*reactor, error) {
	fd, err := listen(o, unix.SOCK_NONBLOCK)
	return &reactor{listener: fd, broadcast: o.Broadcast}, err
}

// accept takes every connection that waits.
func (r *reactor) accept() error {
	for {
		fd, err := accept(r.listener, unix.SOCK_NONBLOCK)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		for fd >= len(r.conns) {
			r.conns = append(r.conns, nil)
		}
		c := &conn{fd: fd}
		r.conns[fd] = c
		if err := r.opened(c); err != nil {
			return err
		}
	}
}

// read reads once and answers. It reports whether there may be more to read. A
// connection that is owed bytes is not read from: that is the backpressure.
func (r *reactor) read(c *conn) (more bool) {
	n, err := unix.Read(c.fd, r.buf[:])
	switch {
	case n > 0:
		r.answer(c, r.buf[:n])
		return c.fd >= 0 && len(c.owed) == 0
	case errors.Is(err, unix.EAGAIN):
		return false
	case errors.Is(err, unix.EINTR):
		return true
	default:
		r.close(c)
		return false
	}
}

func (r *reactor) answer(c *conn, p []byte) {
	if !r.broadcast {
		r.send(c, p)
		return
	}
	for _, other := range r.conns {
		if other != nil {
			r.send(other, p)
		}
	}
}

func (r *reactor) send(c *conn, p []byte) {
	if len(c.owed) > 0 {
		c.owed = append(c.owed, p...)
		return
	}
	n, err := write(c.fd, p)
	if err != nil {
		r.close(c)
		return
	}
	if n < len(p) {
		c.owed = append(c.owed, p[n:]...)
		if r.stalled != nil {
			r.stalled(c)
		}
	}
}

// flush sends what is owed and reports whether nothing is owed any more.
func (r *reactor) flush(c *conn) (done bool) {
	n, err := write(c.fd, c.owed)
	if err != nil {
		r.close(c)
		return false
	}
	c.owed = c.owed[n:]
	if len(c.owed) > 0 {
		return false
	}
	c.owed = nil
	return true
}

// write writes until the socket is full.
func write(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := unix.Write(fd, p[n:])
		switch {
		case err == nil:
			n += m
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case errors.Is(err, unix.EINTR):
		default:
			return n, err
		}
	}
	return n, nil
}

func (r *reactor) close(c *conn) {
	if r.closing != nil {
		r.closing(c)
	}
	unix.Close(c.fd)
	r.conns[c.fd] = nil
	c.fd = -1
}
