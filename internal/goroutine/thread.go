package goroutine

import (
	"iter"
	"runtime"
	"sync/atomic"
)

// Thread is the thread of a loop. The zero Thread is nobody's.
//
// Enter and Leave belong to the loop's goroutine. Any goroutine may call Here.
type Thread struct {
	descriptor atomic.Uintptr // 0: not known, or not reliable
	kernel     atomic.Uintptr // its number, used instead of the descriptor; 0: not used
}

// Enter makes the calling thread the one that Here knows. The caller must be
// locked to it (runtime.LockOSThread) and stay so until Leave.
func (t *Thread) Enter() {
	t.Leave()
	if sound(descriptor) {
		t.descriptor.Store(descriptor())
	} else {
		t.kernel.Store(kernelThread())
	}
}

// Leave must be called before the thread ends or is unlocked: the identity of a
// thread that has ended may be given to another one.
func (t *Thread) Leave() {
	t.descriptor.Store(0)
	t.kernel.Store(0)
}

// Here reports whether the caller runs on the thread: as the goroutine that
// called Enter, or as a coroutine (iter.Pull) that it entered.
func (t *Thread) Here() bool { return here(t) }

// hereByKernel is Here where descriptors are of no use.
//
//lint:ignore U1000 assembly calls it
func hereByKernel(t *Thread) bool {
	number := t.kernel.Load()
	return number != 0 && number == kernelThread()
}

// sound reports whether identify tells the calling thread, to which the caller
// is locked, from others. The place of the descriptor in the runtime's memory is
// not documented: a version of Go that moves it is found out here.
func sound(identify func() uintptr) bool {
	here := identify()
	next, stop := iter.Pull(func(yield func(uintptr) bool) {
		yield(identify())
	})
	inCoroutine, _ := next()
	stop()
	others := make(chan uintptr)
	go func() { others <- identify() }()
	elsewhere := <-others
	runtime.Gosched()
	return inCoroutine == here && elsewhere != here && here != 0 && identify() == here
}
