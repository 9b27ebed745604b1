package proactor

import (
	"github.com/goproactor/goproactor/futures"
)

// A Writer begins with a small buffer and goes on to a larger one. When that is full it
// is queued.
const (
	firstWrite = 2 << 10
	writePiece = 16 << 10
)

// writeRoom is the room that AvailableBuffer has at least: enough for any number.
const writeRoom = 128

// Writer collects replies in memory of the connection's loop, to be sent with one
// Flush or Queue. It holds no memory while nothing is collected. More than 16 KiB are sent
// in pieces: each full one is queued while the next is filled.
//
// After the first error nothing is written any more, and Write, Flush and Queue return that
// error. A Writer is for one goroutine or task at a time. What a task has written and not
// flushed is dropped when the task returns. On a "unixpacket" connection each piece is a
// message.
type Writer struct {
	conn *Conn
	out  Buffer // what is collected; the data of its lease is the filled part
	err  error
}

// Writer returns a Writer of replies on the connection.
func (c *Conn) Writer() *Writer { return &Writer{conn: c} }

// Buffered is the number of bytes that were written and not flushed or queued yet.
func (w *Writer) Buffered() int { return w.out.Len() }

// Write implements io.Writer. It does not wait, and p may be reused when it returns.
func (w *Writer) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		room := w.room(1)
		if w.err != nil {
			return n, w.err
		}
		k := copy(room, p[n:])
		w.advance(k)
		n += k
	}
	return n, w.err
}

// WriteString implements io.StringWriter.
func (w *Writer) WriteString(s string) (int, error) {
	n := 0
	for n < len(s) {
		room := w.room(1)
		if w.err != nil {
			return n, w.err
		}
		k := copy(room, s[n:])
		w.advance(k)
		n += k
	}
	return n, w.err
}

// WriteByte implements io.ByteWriter.
func (w *Writer) WriteByte(b byte) error {
	room := w.room(1)
	if w.err != nil {
		return w.err
	}
	room[0] = b
	w.advance(1)
	return nil
}

// AvailableBuffer is an empty slice with some capacity, for append functions. Give their
// result to Write before the next call of the Writer:
// w.Write(strconv.AppendInt(w.AvailableBuffer(), n, 10)). This copies nothing.
func (w *Writer) AvailableBuffer() []byte {
	room := w.room(writeRoom)
	if w.err != nil {
		return nil
	}
	return room[:0]
}

// Flush sends what was written. The future resolves when the kernel has taken all of
// it, with the number of bytes of the last piece: all bytes if they were not more than
// 16 KiB. If nothing was written it is resolved at once.
func (w *Writer) Flush() futures.Future[int] {
	if w.err != nil {
		return futures.Failed[int](w.err)
	}
	if w.out.lease == nil {
		return futures.Future[int]{}
	}
	c, b := w.conn, w.out
	w.out = Buffer{}
	if c.loop.engine.Inside() {
		if w.err = c.send.accepts(b.Len()); w.err != nil {
			b.Release()
			return futures.Failed[int](w.err)
		}
	}
	return c.Send(b)
}

// Queue is Flush for one who does not ask when it is sent: the future is resolved already
// while the connection's queue is below its high-water mark, else when it has shrunk. A
// handler that awaits it waits only for a peer that does not keep up. Full pieces that
// were queued before count, even if nothing is left to queue. See Conn.Queue.
func (w *Writer) Queue() futures.Future[struct{}] {
	if w.err != nil {
		return futures.Failed[struct{}](w.err)
	}
	c, b := w.conn, w.out
	if b.lease == nil && c.medium == packets { // it would be an empty message
		return futures.Future[struct{}]{}
	}
	w.out = Buffer{}
	if c.loop.engine.Inside() {
		if w.err = c.send.accepts(b.Len()); w.err != nil {
			b.Release()
			return futures.Failed[struct{}](w.err)
		}
	}
	return c.Queue(b)
}

// Release drops what was written and not flushed. The Writer may be used again. A task
// need not call it.
func (w *Writer) Release() {
	w.out.Release()
	w.out = Buffer{}
}

// advance notes that the first n bytes of the room are filled.
func (w *Writer) advance(n int) {
	l := w.out.lease
	l.SetData(l.Memory()[:len(l.Data())+n])
}

// room is the free part of the buffer, at least n bytes, or an error.
func (w *Writer) room(n int) []byte {
	if w.out.lease != nil {
		if data := w.out.Bytes(); cap(data)-len(data) >= n {
			return data[len(data):cap(data)]
		}
	}
	return w.moreRoom()
}

// moreRoom leases a larger buffer, or queues a full one and leases another.
func (w *Writer) moreRoom() []byte {
	if w.err != nil {
		return nil
	}
	c := w.conn
	if c.loop.engine.Inside() {
		if w.err = c.send.refusal(); w.err != nil {
			return nil
		}
	}
	full, size := w.out, firstWrite
	if full.lease != nil {
		size = writePiece
	}
	w.out = c.memory(size)
	l := w.out.lease
	filled := 0
	if full.lease != nil && len(l.Memory()) > len(full.lease.Memory()) {
		filled = copy(l.Memory(), full.Bytes())
		full.Release()
		full = Buffer{}
	}
	l.SetData(l.Memory()[:filled])
	if full.lease != nil {
		w.queue(full)
	}
	return l.Memory()[filled:]
}

// queue queues a full piece.
func (w *Writer) queue(b Buffer) {
	c := w.conn
	if !c.loop.engine.Inside() {
		c.Queue(b)
		return
	}
	b = b.take("Queue")
	g := segment{data: b.Bytes(), lease: b}
	if w.err = c.send.accepts(len(g.data)); w.err != nil {
		c.send.conclude(g, w.err)
		return
	}
	c.send.enqueue(g)
}
