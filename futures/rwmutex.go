package futures

import "context"

// RWMutex is a Mutex that any number of readers may hold at once, or one writer.
// Everything said of Mutex holds for it. The zero RWMutex is unlocked. It must not
// be copied after first use.
//
// It is fair to both: the lock is given in the order in which it was asked for, and
// readers that are next to each other get it together. A reader that comes while a
// writer waits, waits behind the writer. So whoever holds the lock for reading must
// not RLock it again: a writer in between would wait for the first, and the second
// for the writer.
type RWMutex struct{ units units }

// maxReaders is what a writer takes. A reader takes one.
const maxReaders = 1 << 32

// RLock locks m for reading. It waits and fails as Mutex.Lock does.
func (m *RWMutex) RLock(ctx context.Context) error { return m.units.acquire(ctx, 1, maxReaders) }

// TryRLock locks m for reading if that takes no waiting, and reports whether it
// did.
func (m *RWMutex) TryRLock() bool { return m.units.try(1, maxReaders) }

// RUnlock undoes one RLock. It panics if m is not locked for reading.
func (m *RWMutex) RUnlock() {
	if m.units.taken() == maxReaders || !m.units.release(1, maxReaders) {
		panic("futures: RUnlock of an RWMutex that is not locked for reading")
	}
}

// Lock locks m for writing. It waits and fails as Mutex.Lock does.
func (m *RWMutex) Lock(ctx context.Context) error {
	return m.units.acquire(ctx, maxReaders, maxReaders)
}

// TryLock locks m for writing if that takes no waiting, and reports whether it did.
func (m *RWMutex) TryLock() bool { return m.units.try(maxReaders, maxReaders) }

// Unlock undoes Lock. It panics if m is not locked for writing.
func (m *RWMutex) Unlock() {
	if !m.units.release(maxReaders, maxReaders) {
		panic("futures: Unlock of an RWMutex that is not locked for writing")
	}
}
