package proactor

import (
	"io"
	"os"

	"github.com/goproactor/goproactor/internal/sockets"
)

// ReadFrom implements io.ReaderFrom: it writes everything that it reads from r. A file,
// or a part of one (io.LimitedReader), is sent by SendFile and its cursor is moved. Data of
// another NetConn is sent from the buffers that it was received in. Anything else is
// copied.
func (n *netConn) ReadFrom(r io.Reader) (int64, error) {
	moved, handled, err := n.readFrom(r)
	if handled {
		if err != nil {
			err = n.conn.asOpError("readfrom", err)
		}
		return moved, err
	}
	return io.Copy(onlyWriter{n}, r)
}

// onlyWriter hides the other methods of a connection from io.Copy.
type onlyWriter struct{ io.Writer }

// readFrom is ReadFrom for readers that need no copying; handled is false for others.
func (n *netConn) readFrom(r io.Reader) (moved int64, handled bool, err error) {
	switch r := r.(type) {
	case *netConn:
		return n.readFromConn(r)
	case *os.File:
		return n.readFromFile(r, -1)
	case *io.LimitedReader:
		if f, ok := r.R.(*os.File); ok {
			moved, handled, err = n.readFromFile(f, r.N)
			r.N -= moved
		}
	}
	return moved, handled, err
}

// readFromFile sends a regular file from its cursor on, at most limit bytes if that is
// not negative.
func (n *netConn) readFromFile(f *os.File, limit int64) (moved int64, handled bool, err error) {
	raw, err := f.SyscallConn()
	if err != nil || n.conn.medium == packets {
		return 0, false, nil
	}
	var at, left int64
	if raw.Control(func(fd uintptr) {
		if at, left = sockets.RestOfFile(int(fd)); limit >= 0 {
			left = min(left, limit)
		}
		if left > 0 && n.conn.loop.engine.Inside() && n.ctx.Err() == nil {
			moved = n.conn.sendAtOnce(int(fd), at, left)
		}
	}) != nil || left <= 0 {
		return 0, false, nil // the end, or a file without a true size (proc(5))
	}
	if moved < left {
		var more int64
		more, err = n.conn.SendFile(f, at+moved, left-moved).Await(n.ctx)
		moved += more
	}
	if _, failure := f.Seek(at+moved, io.SeekStart); err == nil {
		err = failure
	}
	return moved, true, err
}

// readFromConn sends what another connection receives until the end of its stream.
func (n *netConn) readFromConn(r *netConn) (moved int64, handled bool, err error) {
	if n.conn.medium == packets || r.conn.medium == packets {
		return 0, false, nil
	}
	f := &forward{from: r.conn, to: n.conn, open: true}
	if r.conn.loop.engine.Inside() {
		err = f.run(n.ctx)
		return f.moved, true, err
	}
	moved, err = f.begin().Await(n.ctx)
	return moved, true, err
}

// WriteTo implements io.WriterTo: it writes to w what is received until the end of the
// stream, from the buffers that it was received in.
func (n *netConn) WriteTo(w io.Writer) (moved int64, err error) {
	if to, ok := w.(*netConn); ok {
		if moved, handled, err := to.readFromConn(n); handled {
			return moved, err
		}
	}
	for {
		b, err := n.conn.Recv().Await(n.ctx)
		if err == io.EOF {
			return moved, nil
		}
		if err != nil {
			return moved, n.conn.asOpError("read", err)
		}
		k, err := writeAll(w, b)
		if moved += int64(k); err != nil {
			return moved, err
		}
	}
}

// writeAll writes a lease, and ends it.
func writeAll(w io.Writer, b Buffer) (int, error) {
	defer b.Release()
	n, err := w.Write(b.Bytes())
	if err == nil && n < b.Len() {
		err = io.ErrShortWrite
	}
	return n, err
}

// CloseRead shuts the receiving side down, as (*net.TCPConn).CloseRead does.
func (n *netConn) CloseRead() error {
	_, err := n.conn.CloseRead().Await(n.ctx)
	if err != nil {
		err = n.conn.asOpError("close", err)
	}
	return err
}

var (
	_ io.ReaderFrom = (*netConn)(nil)
	_ io.WriterTo   = (*netConn)(nil)
)
