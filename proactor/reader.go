package proactor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// ErrFrameTooLong is the error when a frame exceeds the limit of its Reader. The bytes
// stay unread: Discard or Skip moves past them.
var ErrFrameTooLong = errors.New("proactor: the frame is longer than the Reader's limit: end the connection, or raise WithFrameLimit")

// defaultFrameLimit is the limit without WithFrameLimit, in bytes.
const defaultFrameLimit = 64 << 10

// directRead is the number of bytes from which a Reader receives into the caller's memory
// instead of copying there.
const directRead = 16 << 10

// Reader reads the frames of a protocol from a connection: lines, headers, records of
// known length. It returns slices of the receive buffers, and copies only a frame that
// spans two of them. While it waits for a frame of which nothing has come in, it holds
// no memory; of a frame of which a part has come in, it holds that part.
//
// A slice is valid until the next call of a method of the Reader other than Discard and
// Buffered, and until the task that reads returns.
//
// Methods that take a context wait as Future.Await does: in a handler they give way
// to the loop. If one fails because of its context or of a deadline, nothing is lost:
// the next call gets the bytes. At the end of the stream the error is io.EOF,
// and io.ErrUnexpectedEOF within a frame.
//
// A Reader is for one goroutine or task at a time. From a "unixpacket" connection it reads
// the messages as one stream. While a Reader holds data, only the Reader may receive on
// its connection; Release ends that.
type Reader struct {
	conn  *Conn
	limit int
	head  piece // the beginning of a frame that spans buffers, copied
	tail  piece // what follows it: a received buffer
}

// piece is the unread part of a lease.
type piece struct {
	lease Buffer
	data  []byte
}

// ReaderOption changes how Conn.Reader sets a Reader up.
type ReaderOption func(*Reader)

// WithFrameLimit sets the maximum size of a frame in bytes, its delimiter
// included. The default is 64 KiB. It limits what the Reader holds for a peer that never
// ends its frame.
func WithFrameLimit(bytes int) ReaderOption {
	if bytes < 1 {
		panic(fmt.Sprintf("proactor: WithFrameLimit of %d bytes: want one at least", bytes))
	}
	return func(r *Reader) { r.limit = bytes }
}

// Reader returns a Reader of what the connection receives.
func (c *Conn) Reader(opts ...ReaderOption) *Reader {
	r := &Reader{conn: c, limit: defaultFrameLimit}
	for _, o := range opts {
		o(r)
	}
	return r
}

// Buffered is the number of bytes that can be read without waiting.
func (r *Reader) Buffered() int { return len(r.head.data) + len(r.tail.data) }

// Peek waits until n bytes have come in and returns them without moving past them. If the
// stream ends before, it returns the bytes that have come in, with the error.
func (r *Reader) Peek(ctx context.Context, n int) ([]byte, error) {
	if n < 0 {
		return nil, bufio.ErrNegativeCount
	}
	r.settle()
	if r.head.lease.lease == nil {
		if p := r.tail.data; n <= len(p) && n <= r.limit {
			return p[:n:n], nil
		}
	}
	if n > r.limit {
		return nil, r.tooLong()
	}
	for r.Buffered() < n {
		if err := r.receive(ctx, n); err != nil {
			return r.all(), err
		}
	}
	return r.gather(n), nil
}

// Discard moves past n of the bytes that have come in, for example those that Peek
// returned; they stay valid. It panics if there are fewer than n: Skip waits for them.
func (r *Reader) Discard(n int) {
	if n < 0 || n > r.Buffered() {
		panic(fmt.Sprintf("proactor: Reader.Discard of %d bytes, and %d are there: Peek first, or Skip", n, r.Buffered()))
	}
	k := min(n, len(r.head.data))
	r.head.data = r.head.data[k:]
	r.tail.data = r.tail.data[n-k:]
}

// Skip moves past n bytes, and waits until they have come in. It does not hold them, so
// that no limit applies. It returns how many bytes it has moved past; if they are fewer
// than n there is an error.
func (r *Reader) Skip(ctx context.Context, n int64) (int64, error) {
	if n < 0 {
		return 0, bufio.ErrNegativeCount
	}
	done := int64(0)
	for {
		k := min(n-done, int64(r.Buffered()))
		r.Discard(int(k))
		if done += k; done == n {
			return done, nil
		}
		r.settle()
		if err := r.receive(ctx, 0); err != nil {
			if err == io.EOF && done > 0 {
				err = io.ErrUnexpectedEOF
			}
			return done, err
		}
	}
}

// ReadSlice reads up to and including the first delim. If it fails it does not move; at
// the end of the stream it returns the incomplete frame with the error.
func (r *Reader) ReadSlice(ctx context.Context, delim byte) ([]byte, error) {
	p, err := r.peekSlice(ctx, delim, r.limit)
	if err == nil {
		r.Discard(len(p))
	}
	return p, err
}

// peekSlice is ReadSlice without moving past the slice.
func (r *Reader) peekSlice(ctx context.Context, delim byte, limit int) ([]byte, error) {
	r.settle()
	if r.head.lease.lease == nil {
		p := r.tail.data
		if i := bytes.IndexByte(p, delim); i >= 0 && i < limit {
			return p[: i+1 : i+1], nil
		}
	}
	return r.awaitSlice(ctx, delim, limit)
}

// awaitSlice is peekSlice of a slice that is not complete in one buffer yet.
func (r *Reader) awaitSlice(ctx context.Context, delim byte, limit int) ([]byte, error) {
	before := 0 // bytes that were searched
	for {
		end := r.find(delim, before)
		switch {
		case end > limit, end < 0 && r.Buffered() >= limit:
			return nil, r.tooLongFor(limit)
		case end > 0:
			return r.gather(end), nil
		}
		before = r.Buffered()
		if err := r.receive(ctx, 0); err == io.ErrUnexpectedEOF {
			return r.all(), err
		} else if err != nil {
			return nil, err
		}
	}
}

// find is the number of bytes up to and including the first delim, -1 if there is none
// yet. The first before bytes are known to have none.
func (r *Reader) find(delim byte, before int) int {
	n := len(r.head.data)
	if before < n {
		if i := bytes.IndexByte(r.head.data[before:], delim); i >= 0 {
			return before + i + 1
		}
		before = n
	}
	if i := bytes.IndexByte(r.tail.data[before-n:], delim); i >= 0 {
		return before + i + 1
	}
	return -1
}

// gather makes one slice of the first n bytes that have come in.
func (r *Reader) gather(n int) []byte {
	if len(r.head.data) == 0 {
		return r.tail.data[:n:n]
	}
	if missing := n - len(r.head.data); missing > 0 {
		r.copyHead(missing, n)
	}
	return r.head.data[:n:n]
}

// all is everything that has come in, after a failure.
func (r *Reader) all() []byte {
	n := r.Buffered()
	if n == 0 {
		return nil
	}
	return r.gather(n)
}

// ReadFull fills p. If it fails, n bytes of p are filled and are not read again: after an
// error of the context, go on with the rest of p. If p is large, data is received
// straight into it. No limit applies.
func (r *Reader) ReadFull(ctx context.Context, p []byte) (n int, err error) {
	for n < len(p) {
		k, err := r.read(ctx, p[n:])
		n += k
		if err == io.EOF && n > 0 {
			return n, io.ErrUnexpectedEOF
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// read reads what has come in, or waits for it.
func (r *Reader) read(ctx context.Context, p []byte) (int, error) {
	r.settle()
	for len(p) > 0 && r.Buffered() == 0 {
		if len(p) >= directRead {
			n, err := r.conn.RecvInto(p).Await(ctx)
			if n > 0 || err != nil {
				return n, err
			}
			continue // an empty message
		}
		if err := r.receive(ctx, 0); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.head.data)
	n += copy(p[n:], r.tail.data)
	r.Discard(n)
	return n, nil
}

// Lines ranges over lines without their ends, "\n" or "\r\n". The end of the stream ends
// the range without an error. A line of more than max bytes is an error,
// ErrFrameTooLong; with max 0 the limit is that of the Reader. A last line without an end
// is yielded with io.ErrUnexpectedEOF. Each line is valid until the next iteration.
// After leaving the range any other method may be called.
func (r *Reader) Lines(ctx context.Context, max int) iter.Seq2[[]byte, error] {
	limit := r.limit
	if max > 0 {
		limit = max + len("\r\n")
	}
	return func(yield func([]byte, error) bool) {
		for {
			line, err := r.peekSlice(ctx, '\n', limit)
			if err == io.EOF {
				return
			}
			if err == nil {
				whole := len(line)
				if line = withoutEnd(line); max > 0 && len(line) > max {
					line, err = nil, r.tooLongFor(max)
				} else {
					r.Discard(whole)
				}
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// withoutEnd cuts the end off a line.
func withoutEnd(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// release ends the lease.
func (p *piece) release() {
	p.lease.Release()
	*p = piece{}
}

// settle releases what has been read. It panics if the lease on the rest has ended
// because the task that received it has returned.
func (r *Reader) settle() {
	r.head.settle()
	r.tail.settle()
}

func (p *piece) settle() {
	switch {
	case p.lease.lease == nil:
	case len(p.data) == 0:
		p.release()
	default:
		p.lease.Bytes()
	}
}

// receive waits for more. What has come in is copied to the head, in memory for n bytes:
// while the Reader waits it holds no receive buffer of the loop.
func (r *Reader) receive(ctx context.Context, n int) error {
	if k := len(r.tail.data); k > 0 {
		r.copyHead(k, n)
		r.tail.release()
	}
	b, err := r.conn.Recv().Await(ctx)
	if err == io.EOF && len(r.head.data) > 0 {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if b.Len() == 0 { // an empty message
		b.Release()
		return nil
	}
	r.tail = piece{b, b.Bytes()}
	return nil
}

// copyHead moves n bytes from the tail to the head, in memory for want bytes, or more if
// the size is not known.
func (r *Reader) copyHead(n, want int) {
	if have := len(r.head.data); cap(r.head.data)-have < n {
		want = max(want, have+n)
		if have > 0 {
			want = max(want, 2*have)
		}
		b := r.conn.memory(want)
		grown := append(b.Bytes()[:0], r.head.data...)
		r.head.release()
		r.head = piece{b, grown}
	}
	r.head.data = append(r.head.data, r.tail.data[:n]...)
	r.tail.data = r.tail.data[n:]
}

// memory leases memory that counts for the connection.
func (c *Conn) memory(n int) Buffer { return bufferOf(c.loop.buffers.Memory(n, &c.account)) }

func (r *Reader) tooLong() error { return r.tooLongFor(r.limit) }

func (r *Reader) tooLongFor(limit int) error {
	return r.conn.opError("read", fmt.Errorf("%w (%d bytes)", ErrFrameTooLong, limit))
}
