package futures

import "context"

// Locker is a lock that is waited for with a context: a Mutex or an RWMutex.
type Locker interface {
	Lock(ctx context.Context) error
	Unlock()
}

// Mutex is a mutual exclusion lock that may be held while its holder awaits
// something. Tasks of any loops and ordinary goroutines may share it: a task that
// has to wait gives way to its loop, a goroutine waits. The zero Mutex is unlocked.
// It must not be copied after first use.
//
// Use sync.Mutex where the section is short and awaits nothing: it costs less, and
// holds up a loop for no longer than the section takes. A task that awaits with a
// sync.Mutex locked may stop its loop for ever: another task of the loop that locks
// it blocks the thread which the first needs to go on. What only the tasks and
// callbacks of one loop use needs no lock, as long as nothing is awaited in
// between. See also proactor's Loop.Do and Loop.Inside.
//
// The Mutex is fair. Unlock hands it to the one who has waited longest, and nobody
// who comes later can take it before. With many takers on several threads each
// hand-over is therefore a wake-up, where sync.Mutex lets one thread go on.
//
// Lock and Unlock allocate nothing. If nobody waits each of them is one CAS.
type Mutex struct{ units units }

// Lock locks m, and waits until that is possible. A Mutex that is free is locked
// even if ctx has ended.
//
// If ctx ends first m is not locked, and the error is ctx's. It satisfies errors.Is
// for both ctx.Err() and context.Cause(ctx). If m was handed over at the same time
// Lock returns nil, and m is locked. In a callback of a loop, which cannot wait,
// the error is ErrNoTask if m is locked.
func (m *Mutex) Lock(ctx context.Context) error {
	if m.units.word.CompareAndSwap(0, 1) {
		return nil
	}
	return m.units.acquire(ctx, 1, 1)
}

// TryLock locks m if it is free, and reports whether it did. Any goroutine and any
// callback of a loop may call it.
func (m *Mutex) TryLock() bool { return m.units.word.CompareAndSwap(0, 1) }

// Unlock unlocks m, or hands it to whoever has waited longest. It does not wait.
// Whoever has the Mutex may let another task or goroutine unlock it. Unlock of a
// Mutex that is not locked panics.
func (m *Mutex) Unlock() {
	if !m.units.word.CompareAndSwap(1, 0) && !m.units.release(1, 1) {
		panic("futures: Unlock of a Mutex that is not locked")
	}
}

// Do runs f with m locked, and returns its error or that of Lock. m is unlocked
// when f returns, panics or exits.
func (m *Mutex) Do(ctx context.Context, f func() error) error {
	if err := m.Lock(ctx); err != nil {
		return err
	}
	defer m.Unlock()
	return f()
}
