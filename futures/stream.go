package futures

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/foreach"
)

// Stream is a queue of values between one producer and those who read: what a
// multishot operation brings, for example. Values are read in the order of
// Push, each by one reader. Any goroutine may use it.
type Stream[T any] struct {
	exec    Executor
	mark    int
	drained func()

	mu      sync.Mutex // guards all below; no callback is called with it held
	values  fifo.Queue[T]
	full    bool // the mark was reached and the producer not called since
	over    bool
	err     error
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
// if the stream is closed.
func (s *Stream[T]) Push(v T) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	if len(s.readers) > 0 {
		r := s.nextReader()
		s.mu.Unlock()
		return r.Resolve(v)
	}
	s.values.Push(v)
	if s.mark > 0 && s.values.Len() >= s.mark {
		s.full = true
	}
	s.mu.Unlock()
	return true
}

// Close ends the stream. Readers get what is left, and then err; nil and io.EOF
// are the orderly end. Only the first Close counts.
func (s *Stream[T]) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over, s.err = true, err
	readers := s.readers
	s.readers = nil
	s.mu.Unlock()
	foreach.Do(readers, func(r *reader[T]) { r.Fail(err) })
}

// Len returns the number of unread values.
func (s *Stream[T]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values.Len()
}

// Full reports whether the producer should pause: the stream held as many
// values as its capacity, and OnDrain's function was not called since.
func (s *Stream[T]) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// Next returns a future of the next value. Its error is io.EOF or what Close
// was given. Canceling it, or the end of the context it is awaited with, loses
// no value.
//
// On the executor of a bound stream the future is bound to it too.
func (s *Stream[T]) Next() Future[T] {
	r := &reader[T]{stream: s}
	if s.exec != nil && s.exec.Inside() {
		r.Bind(s.exec, (*readerCanceler[T])(r))
	} else {
		r.canceler = (*readerCanceler[T])(r)
	}
	f := r.Future()
	v, err, ok := s.nextOr(func() { s.await(r) })
	if ok {
		r.Settle(v, err)
	}
	return f
}

// nextOr returns the next value or the end, if either is there. Otherwise it calls
// wait with the mutex held.
func (s *Stream[T]) nextOr(wait func()) (v T, err error, ok bool) {
	s.mu.Lock()
	if s.values.Len() > 0 {
		v = s.values.Take()
		drain := s.full && s.values.Len() <= s.mark/2
		s.full = s.full && !drain
		s.mu.Unlock()
		if drain {
			s.drain()
		}
		return v, nil, true
	}
	defer s.mu.Unlock()
	if s.over {
		return v, s.err, true
	}
	wait()
	return v, nil, false
}

// drain tells the producer that enough has been read.
func (s *Stream[T]) drain() {
	switch {
	case s.drained == nil:
	case s.exec == nil || s.exec.Inside():
		s.drained()
	default:
		s.exec.Post(function(s.drained))
	}
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
		return s.Next().Await(ctx)
	}
	var f Future[T]
	renewed := false
	v, err, ok := s.nextOr(func() {
		if f, renewed = s.own.Renew(); renewed {
			s.await(&s.own)
		}
	})
	switch {
	case ok:
		return v, err
	case !renewed: // it serves another task
		f = s.Next()
	}
	return f.Await(ctx)
}

func (s *Stream[T]) await(r *reader[T]) { s.readers = append(s.readers, r) }

func (s *Stream[T]) nextReader() *reader[T] {
	r := s.readers[0]
	n := copy(s.readers, s.readers[1:])
	s.readers[n] = nil
	s.readers = s.readers[:n]
	return r
}

// reader is one who waits for a value.
type reader[T any] struct {
	Promise[T]
	stream *Stream[T]
}

// readerCanceler is a reader as its own Canceler.
type readerCanceler[T any] reader[T]

func (c *readerCanceler[T]) Cancel() {
	r, s := (*reader[T])(c), c.stream
	s.mu.Lock()
	i := slices.Index(s.readers, r)
	if i >= 0 {
		s.readers = slices.Delete(s.readers, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		r.Fail(ErrCanceled)
	} // else it has a value, or one is on its way
}
