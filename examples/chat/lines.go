package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// serveLines is the handler of a connection that speaks lines.
func (srv *server) serveLines(ctx context.Context, conn *proactor.Conn) error {
	c := srv.enter(conn, false)
	var err error
	defer func() { c.leave(err) }()
	r := conn.Reader(proactor.WithFrameLimit(srv.lineLimit + len("\r\n")))
	err = c.readLines(ctx, r)
	switch {
	case errors.Is(err, proactor.ErrFrameTooLong):
		c.tell(fmt.Sprintf("! goodbye: a line has %d bytes at most", srv.lineLimit))
	case errors.Is(err, errLineTime):
		c.tell("! goodbye: the line did not end in time")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	default:
		return err
	}
	linger(ctx, conn, r)
	return err
}

const (
	lingerTime  = 2 * time.Second
	lingerLimit = 256 << 10 // bytes
)

// linger lets the peer read what it was told last: a close while something of it is unread
// would send a reset, and that drops what the peer has not read.
func linger(ctx context.Context, conn *proactor.Conn, r *proactor.Reader) {
	conn.CloseWrite()
	conn.SetReadDeadline(time.Now().Add(lingerTime))
	r.Skip(ctx, lingerLimit)
}

var errLineTime = errors.New("a line or message did not end in time")

// readLines does what the client says, until it ends.
func (c *client) readLines(ctx context.Context, r *proactor.Reader) error {
	for !c.gone {
		line, err := c.readLine(ctx, r)
		if err != nil {
			return err
		}
		if err := c.obey(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// readLine waits for the next line. Only a line that has begun must end in time.
func (c *client) readLine(ctx context.Context, r *proactor.Reader) ([]byte, error) {
	if _, err := r.Peek(ctx, 1); err != nil {
		return nil, err
	}
	if there := min(r.Buffered(), c.srv.lineLimit); there > 0 {
		p, err := r.Peek(ctx, there)
		if err != nil {
			return nil, err
		}
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			r.Discard(i + 1)
			return p[:i], nil
		}
	}
	c.hurry()
	line, err := r.ReadSlice(ctx, '\n')
	c.relax()
	if isLate(err) {
		err = errLineTime
	}
	return line, err
}

// hurry sets the time by which what has begun must have come in.
func (c *client) hurry() { c.conn.SetReadDeadline(time.Now().Add(c.srv.lineTime)) }

// relax is the opposite of hurry.
func (c *client) relax() { c.conn.SetReadDeadline(time.Time{}) }

// isLate reports whether err is that of the time that hurry has set.
func isLate(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, proactor.ErrIdle)
}
