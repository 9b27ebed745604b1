package futures

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
)

// Stream is a queue of values between one producer and those who read: what a
// multishot operation brings, for example. Values are read in the order of
// Push, each by one reader.
//
// A stream on an executor is touched there alone, without locks; calls from
// elsewhere are posted there. A stream without one is guarded by a mutex. Any
// goroutine may use either.
type Stream[T any] struct {
	exec    Executor
	mark    int
	drained func()

	mu     sync.Mutex // guards all below, if there is no executor
	values ring[T]
	full   bool // the mark was reached and the producer not called since
	over   bool
	err    error

	readers []*reader[T] // waiting, first come first; only while there are no values
	own     reader[T]    // of All, on the executor
}

// NewStream makes a stream on exec, which may be nil. capacity is the
// high-water mark, see Full; zero or less means none.
func NewStream[T any](exec Executor, capacity int) *Stream[T] {
	s := &Stream[T]{exec: exec, mark: capacity}
	if exec != nil {
		s.own.stream = s
		s.own.Bind(exec, (*readerCanceler[T])(&s.own))
	}
	return s
}

// OnDrain sets what tells the producer to go on: once the stream has been
// full, fn is called when only half of its capacity is left unread. On a bound
// stream it runs on the executor, else on the reader's goroutine; it must not
// block. OnDrain must be called before the stream is used.
func (s *Stream[T]) OnDrain(fn func()) { s.drained = fn }

// Push adds a value, even to a full stream: what a kernel delivers after it
// was told to pause is not lost. It returns false, and v stays the caller's,
// if the stream is closed. From outside of the executor of a bound stream it
// returns true for a value that is on its way.
func (s *Stream[T]) Push(v T) bool {
	if s.exec != nil && !s.exec.Inside() {
		return s.pushElsewhere(v)
	}
	s.lock()
	if s.over {
		s.unlock()
		return false
	}
	if len(s.readers) > 0 {
		r := s.nextReader()
		s.unlock()
		r.Resolve(v)
		return true
	}
	s.values.push(v)
	if s.mark > 0 && s.values.len() >= s.mark {
		s.full = true
	}
	s.unlock()
	return true
}

//go:noinline
func (s *Stream[T]) pushElsewhere(v T) bool {
	return s.exec.Post(function(func() { s.Push(v) }))
}

// Close ends the stream. Readers get what is left, and then err; nil and io.EOF
// are the orderly end. Only the first Close counts.
func (s *Stream[T]) Close(err error) {
	if s.exec != nil && !s.exec.Inside() {
		s.exec.Post(function(func() { s.Close(err) }))
		return
	}
	if err == nil {
		err = io.EOF
	}
	s.lock()
	if s.over {
		s.unlock()
		return
	}
	s.over, s.err = true, err
	readers := s.readers
	s.readers = nil
	for _, r := range readers {
		r.waiting = false
	}
	s.unlock()
	for _, r := range readers {
		r.Fail(err)
	}
}

// Len returns the number of unread values. From outside of the executor of a
// bound stream it asks the executor and waits for the answer.
func (s *Stream[T]) Len() int {
	n := 0
	s.read(func() { n = s.values.len() })
	return n
}

// Full reports whether the producer should pause: the stream held as many
// values as its capacity, and OnDrain's function was not called since. From
// outside of the executor of a bound stream it asks the executor and waits.
func (s *Stream[T]) Full() bool {
	full := false
	s.read(func() { full = s.full })
	return full
}

// Next returns a future of the next value. Its error is io.EOF or what Close
// was given. Canceling it, or the end of the context it is awaited with, loses
// no value.
func (s *Stream[T]) Next() Future[T] {
	r := &reader[T]{stream: s}
	if s.exec == nil {
		r.started = true
		r.canceler = (*readerCanceler[T])(r)
		s.attach(r)
		return r.Future()
	}
	r.Bind(s.exec, (*readerCanceler[T])(r))
	r.started = true
	if s.exec.Inside() {
		s.attach(r)
	} else if !s.exec.Post(function(func() { s.attach(r) })) {
		return Failed[T](ErrClosed)
	}
	return Future[T]{promise: &r.Promise}
}

// All ranges over the values until the stream ends. An orderly end ends the
// range; any other error, ctx's too, is yielded once, with the zero value.
// Leaving the range leaves what is unread in the stream.
func (s *Stream[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := s.next(ctx)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(v, err)
				}
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// next is Next and Await without allocating, where that is possible.
func (s *Stream[T]) next(ctx context.Context) (v T, err error) {
	if ctx.Err() != nil {
		return v, contextError(ctx)
	}
	if s.exec == nil || !s.exec.Inside() {
		return awaitNext(ctx, s.Next())
	}
	if s.values.len() > 0 {
		v := s.values.pop()
		s.eased()
		return v, nil
	}
	if s.over {
		return v, s.err
	}
	if s.own.waiting {
		return awaitNext(ctx, s.Next())
	}
	f := s.own.Renew()
	s.await(&s.own)
	return awaitNext(ctx, f)
}

// awaitNext leaves no reader behind to swallow a value.
func awaitNext[T any](ctx context.Context, f Future[T]) (T, error) {
	v, err := f.Await(ctx)
	if err == ErrNoTask {
		f.Cancel()
	}
	return v, err
}

// attach gives r its value, or makes it wait for it.
func (s *Stream[T]) attach(r *reader[T]) {
	s.lock()
	switch {
	case !r.Pending(): // canceled on its way here
		s.unlock()
	case s.values.len() > 0:
		v := s.values.pop()
		s.unlock()
		r.Resolve(v)
		s.eased()
	case s.over:
		s.unlock()
		r.Fail(s.err)
	default:
		s.await(r)
		s.unlock()
	}
}

func (s *Stream[T]) await(r *reader[T]) {
	r.waiting = true
	s.readers = append(s.readers, r)
}

func (s *Stream[T]) nextReader() *reader[T] {
	r := s.readers[0]
	r.waiting = false
	n := copy(s.readers, s.readers[1:])
	s.readers[n] = nil
	s.readers = s.readers[:n]
	return r
}

// eased tells the producer when enough has been read.
func (s *Stream[T]) eased() {
	s.lock()
	call := s.full && s.values.len() <= s.mark/2
	if call {
		s.full = false
	}
	s.unlock()
	if call && s.drained != nil {
		s.drained()
	}
}

func (s *Stream[T]) lock() {
	if s.exec == nil {
		s.mu.Lock()
	}
}

func (s *Stream[T]) unlock() {
	if s.exec == nil {
		s.mu.Unlock()
	}
}

func (s *Stream[T]) read(fn func()) {
	if s.exec != nil {
		ask(s.exec, fn)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// reader is one who waits for a value.
type reader[T any] struct {
	Promise[T]
	stream  *Stream[T]
	waiting bool // in the stream's list
}

// readerCanceler is a reader as its own Canceler.
type readerCanceler[T any] reader[T]

func (c *readerCanceler[T]) Cancel() {
	r, s := (*reader[T])(c), c.stream
	s.lock()
	if r.waiting {
		r.waiting = false
		for i, other := range s.readers {
			if other == r {
				s.readers = append(s.readers[:i], s.readers[i+1:]...)
				break
			}
		}
		s.unlock()
		r.Fail(ErrCanceled)
		return
	}
	s.unlock() // it has its value, or nothing yet to wait with
	if s.exec != nil {
		r.Fail(ErrCanceled)
	}
}

// ring is a first-in first-out queue that grows.
type ring[T any] struct {
	items      []T // a power of two
	head, tail uint
}

func (q *ring[T]) len() int { return int(q.tail - q.head) }

func (q *ring[T]) push(v T) {
	if q.len() == len(q.items) {
		items := make([]T, max(4, 2*len(q.items)))
		n := copy(items, q.items[q.index(q.head):])
		copy(items[n:], q.items[:q.index(q.head)])
		q.head, q.tail = 0, uint(len(q.items))
		q.items = items
	}
	q.items[q.index(q.tail)] = v
	q.tail++
}

func (q *ring[T]) pop() T {
	slot := &q.items[q.index(q.head)]
	v := *slot
	*slot = *new(T)
	q.head++
	return v
}

func (q *ring[T]) index(i uint) int { return int(i & uint(len(q.items)-1)) }
