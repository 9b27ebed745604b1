package futures

import (
	"context"
	"fmt"
)

// Semaphore has a number of units, which tasks of any loops and ordinary goroutines
// take and give back: connections to a server, for example, or bytes of memory. A
// task that has to wait gives way to its loop. A Semaphore must not be copied after
// first use.
//
// It is fair. Units go to those who ask in the order in which they ask, so a
// request for many waits for no request that came later. Acquire, TryAcquire and
// Release allocate nothing. If nobody waits each of them is one CAS.
//
// The zero Semaphore has no units.
type Semaphore struct {
	size  uint64
	units units
}

// NewSemaphore makes a semaphore of size units, none of them taken. It panics if
// size is negative.
func NewSemaphore(size int64) *Semaphore {
	if size < 0 {
		panic(fmt.Sprintf("futures: NewSemaphore of %d units: want zero or more", size))
	}
	return &Semaphore{size: uint64(size)}
}

// Size returns the number of units, taken or not.
func (s *Semaphore) Size() int64 { return int64(s.size) }

// Acquire takes n units, and waits until there are so many. Units that are free
// are taken even if ctx has ended.
//
// If ctx ends first no unit is taken, and the error is ctx's. It satisfies
// errors.Is for both ctx.Err() and context.Cause(ctx). If the units were handed over
// at the same time Acquire returns nil, and they are taken. A request for more than
// the semaphore has fails at once with ErrTooManyUnits, and one that would have to
// wait in a callback of a loop with ErrNoTask. Acquire panics if n is negative.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	units := s.unsigned("Acquire", n)
	if units > s.size {
		return fmt.Errorf("acquire %d units of a semaphore of %d: %w", n, s.size, ErrTooManyUnits)
	}
	return s.units.acquire(ctx, units, s.size)
}

// TryAcquire takes n units if that takes no waiting, and reports whether it did. It
// panics if n is negative.
func (s *Semaphore) TryAcquire(n int64) bool {
	return s.units.try(s.unsigned("TryAcquire", n), s.size)
}

// Release gives n units back. It does not wait. It panics if n is negative or if
// fewer units are taken.
func (s *Semaphore) Release(n int64) {
	if !s.units.release(s.unsigned("Release", n), s.size) {
		panic(fmt.Sprintf("futures: Release of %d units of a Semaphore of which %d are taken", n, s.units.taken()))
	}
}

func (s *Semaphore) unsigned(method string, n int64) uint64 {
	if n < 0 {
		panic(fmt.Sprintf("futures: %s of %d units: want zero or more", method, n))
	}
	return uint64(n)
}
