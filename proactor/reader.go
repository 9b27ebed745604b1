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

// ErrFrameTooLong says that what a Reader is to give in one piece exceeds its limit.
// The bytes stay where they are: Discard or Skip moves past them.
var ErrFrameTooLong = errors.New("proactor: the frame is longer than the Reader's limit: end the connection, or raise WithFrameLimit")

// defaultFrameLimit is how many bytes a Reader gives in one piece if it is not told.
const defaultFrameLimit = 64 << 10

// directRead is from how many bytes on a Reader receives into the caller's memory
// instead of copying there.
const directRead = 16 << 10

// Reader reads the frames of a protocol from a connection: lines, headers, records of
// known length. It gives slices of the buffers that the data came in, and copies only a
// frame that spans two of them. While it waits and nothing of a frame is there, it holds
// no memory; of a frame of which a part is there, it holds that part.
//
// A slice is valid until the next call of a method of the Reader other than Discard and
// Buffered, and until the task that reads returns.
//
// Methods that are given a context wait as Future.Await does: in a handler they give way
// to the loop. When one fails because of its context or of a deadline, nothing is lost:
// the bytes are there for the next call. At the end of the stream the error is io.EOF,
// and io.ErrUnexpectedEOF within a frame.
//
// A Reader is for one goroutine or task at a time. Of a "unixpacket" connection it reads
// one message behind the other as one stream. While a Reader holds data, only the
// Reader receives on its connection; Release ends that.
type Reader struct {
	conn  *Conn
	limit int
	head  piece // begins a frame that spans buffers: a copy
	tail  piece // follows it: a buffer as it was received
}

// piece is what is left to read of a lease.
type piece struct {
	lease Buffer
	data  []byte
}

// ReaderOption changes how Conn.Reader sets a Reader up.
type ReaderOption func(*Reader)

// WithFrameLimit sets how many bytes a Reader gives in one piece at most, its delimiter
// included. The default is 64 KiB. It bounds what a peer that never ends its frame makes
// the Reader hold.
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

// Peek waits until n bytes are there and returns them without moving past them. If the
// stream ends before, it returns those that are there with the error.
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

// Discard moves past n bytes that are there, such as those that Peek returned, which
// stay valid. It panics if there are fewer; Skip waits for what is not there yet.
func (r *Reader) Discard(n int) {
	if n < 0 || n > r.Buffered() {
		panic(fmt.Sprintf("proactor: Reader.Discard of %d bytes, and %d are there: Peek first, or Skip", n, r.Buffered()))
	}
	k := min(n, len(r.head.data))
	r.head.data = r.head.data[k:]
	r.tail.data = r.tail.data[n-k:]
}

// Skip moves past n bytes, for which it waits if need be but which it does not collect:
// no limit applies. It returns how many it has moved past, which are fewer with an
// error.
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

// ReadSlice reads up to the first delim, which is included. When it fails, it moves past
// nothing; at the end of the stream it returns what is there of the frame with the error.
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

// awaitSlice is peekSlice when the slice is not in one buffer that is there.
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

// find is behind which of the bytes that are there the first delim ends, -1 if there is
// none. So many bytes in front have none.
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

// gather makes one slice of the first n bytes that are there.
func (r *Reader) gather(n int) []byte {
	if len(r.head.data) == 0 {
		return r.tail.data[:n:n]
	}
	if missing := n - len(r.head.data); missing > 0 {
		r.copyHead(missing, n)
	}
	return r.head.data[:n:n]
}

// all is everything that is there, after a failure.
func (r *Reader) all() []byte {
	n := r.Buffered()
	if n == 0 {
		return nil
	}
	return r.gather(n)
}

// ReadFull fills p. When it fails, the number says how many bytes of p are filled and
// are not read again: with an error of the context, go on with the rest of p. Data that
// is to come is received straight into p if that is large. No limit applies.
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

// read reads what is there, or what comes next.
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

// Lines reads line after line, without their ends, which are "\n" or "\r\n", until the
// peer is done, which ends the range without an error. A line is longer than max bytes
// with ErrFrameTooLong; with max 0 the limit is the Reader's. A last line without an end
// comes with io.ErrUnexpectedEOF. Each line is valid until the next turn of the range.
// A range that was left may be followed by any other method.
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

// settle gives back what has been read. It panics if the lease on the rest is over,
// with the task that received it.
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

// receive waits for more. What is there becomes the head, in memory for n bytes: while
// the Reader waits it holds no buffer of the loop's.
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

// copyHead moves n bytes from the tail to the head, which is going to have want bytes, or
// more if that is not known.
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

// memory leases memory that the connection is charged for.
func (c *Conn) memory(n int) Buffer { return bufferOf(c.loop.buffers.Memory(n, &c.account)) }

func (r *Reader) tooLong() error { return r.tooLongFor(r.limit) }

func (r *Reader) tooLongFor(limit int) error {
	return r.conn.opError("read", fmt.Errorf("%w (%d bytes)", ErrFrameTooLong, limit))
}
