package goroutine

import (
	"iter"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// onThread runs fn on a goroutine that is locked to its thread.
func onThread(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		fn()
	}()
	<-done
}

// ways are how threads are told apart, the one that is not used here included.
func ways(t *testing.T, test func(t *testing.T, enter func(*Thread))) {
	t.Run("descriptor", func(t *testing.T) { test(t, (*Thread).Enter) })
	t.Run("kernel", func(t *testing.T) {
		if kernelThread() == 0 {
			t.Skip("no gettid here")
		}
		test(t, func(thread *Thread) {
			thread.kernel.Store(kernelThread())
		})
	})
}

func TestDescriptorIsSound(t *testing.T) {
	if descriptor() == 1 {
		t.Skip("the kernel's number is used on this processor")
	}
	onThread(func() { require.True(t, sound(descriptor), "this version of Go keeps a thread's descriptor elsewhere") })
}

func TestUnsoundIdentities(t *testing.T) {
	for name, identify := range map[string]func() uintptr{
		"none":           func() uintptr { return 0 },
		"goroutine":      Current,
		"the same":       func() uintptr { return 1 },
		"another always": another(),
	} {
		t.Run(name, func(t *testing.T) {
			onThread(func() { require.False(t, sound(identify)) })
		})
	}
}

// another is an identity that nobody has twice.
func another() func() uintptr {
	var (
		mu sync.Mutex
		id uintptr
	)
	return func() uintptr {
		mu.Lock()
		defer mu.Unlock()
		id++
		return id
	}
}

func TestHere(t *testing.T) {
	ways(t, func(t *testing.T, enter func(*Thread)) {
		var thread Thread
		require.False(t, thread.Here(), "nobody's")
		onThread(func() {
			enter(&thread)
			require.True(t, thread.Here())
			grow(200)
			require.True(t, thread.Here(), "with a stack that has moved")
			for range 100 {
				runtime.Gosched()
				require.True(t, thread.Here(), "after a reschedule")
			}
			elsewhere := make(chan bool)
			go func() { elsewhere <- thread.Here() }()
			require.False(t, <-elsewhere)
			require.True(t, thread.Here(), "after a wait")
			onThread(func() { require.False(t, thread.Here()) })
			thread.Leave()
			require.False(t, thread.Here())
			enter(&thread)
		})
		onThread(func() {
			thread.Leave()
			require.False(t, thread.Here())
		})
	})
}

//go:noinline
func grow(n int) int {
	var pad [1024]byte
	if n == 0 {
		return int(pad[0])
	}
	return grow(n-1) + int(pad[n%len(pad)])
}

func TestHereInCoroutines(t *testing.T) {
	ways(t, func(t *testing.T, enter func(*Thread)) {
		onThread(func() {
			var thread Thread
			enter(&thread)
			for depth := range 4 {
				next, stop := iter.Pull(nested(&thread, depth))
				for range 3 {
					here, ok := next()
					require.True(t, ok)
					require.True(t, here)
					require.True(t, thread.Here())
					runtime.Gosched()
				}
				stop()
				require.True(t, thread.Here())
			}
			thread.Leave()
		})
	})
}

// nested asks in a coroutine, in a coroutine, and so on.
func nested(thread *Thread, depth int) iter.Seq[bool] {
	return func(yield func(bool) bool) {
		if depth == 0 {
			for yield(thread.Here()) {
				runtime.Gosched()
			}
			return
		}
		next, stop := iter.Pull(nested(thread, depth-1))
		defer stop()
		for {
			here, _ := next()
			if !yield(here && thread.Here()) {
				return
			}
		}
	}
}

// Two threads with coroutines each, at the same time.
func TestThreadsApart(t *testing.T) {
	var threads [2]Thread
	var entered, done sync.WaitGroup
	entered.Add(len(threads))
	for i := range threads {
		done.Go(func() {
			runtime.LockOSThread()
			threads[i].Enter()
			entered.Done()
			entered.Wait()
			next, stop := iter.Pull(func(yield func(bool) bool) {
				for yield(threads[i].Here() && !threads[1-i].Here()) {
				}
			})
			defer stop()
			for range 1000 {
				right, _ := next()
				if !right || !threads[i].Here() || threads[1-i].Here() {
					t.Error("taken for the other thread")
					return
				}
			}
		})
	}
	done.Wait()
}

func BenchmarkHere(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var thread Thread
	thread.Enter()
	defer thread.Leave()
	for b.Loop() {
		if !thread.Here() {
			b.Fatal("not here")
		}
	}
}

func BenchmarkNotHere(b *testing.B) {
	var thread Thread
	onThread(thread.Enter)
	for b.Loop() {
		if thread.Here() {
			b.Fatal("here")
		}
	}
}

func BenchmarkEnter(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var thread Thread
	for b.Loop() {
		thread.Enter()
	}
	thread.Leave()
}
