package goroutine

import (
	"iter"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:noinline
func waitFor(c chan struct{}) { <-c }

// The holder of a thread is found however deep in coroutines it is, among others
// that are locked to theirs.
func TestHolder(t *testing.T) {
	for depth := range 4 {
		ids, release, done := make(chan int), make(chan struct{}), make(chan struct{})
		for range 2 {
			go func() {
				defer func() { done <- struct{}{} }()
				runtime.LockOSThread()
				id := ID()
				next, stop := iter.Pull(nestedWait(depth, func() { ids <- id; waitFor(release) }))
				defer stop()
				go onThread(func() { waitFor(release) }) // of this goroutine too, on a thread of its own
				next()
			}()
		}
		one, other := <-ids, <-ids
		for _, id := range []int{one, other} {
			var s Stack
			for ok := false; !ok || !s.Runs("goroutine.waitFor"); runtime.Gosched() {
				s, ok = Holder(All(), id)
			}
			require.True(t, s.Locked)
			require.NotEqual(t, id, s.ID)
			require.Equal(t, "goroutine.waitFor", s.Frames[0].Function[len(s.Frames[0].Function)-len("goroutine.waitFor"):])
			require.False(t, s.Frames[0].Standard())
			require.Positive(t, s.Frames[0].Line)
			require.Equal(t, "github.com/goproactor/goproactor/internal/goroutine", s.Frames[0].Package())
		}
		close(release)
		<-done
		<-done
	}
	_, ok := Holder(All(), 1<<30)
	require.False(t, ok)
}

func nestedWait(depth int, wait func()) iter.Seq[int] {
	return func(yield func(int) bool) {
		if depth == 0 {
			wait()
			return
		}
		next, stop := iter.Pull(nestedWait(depth-1, wait))
		defer stop()
		next()
	}
}

func TestParseStack(t *testing.T) {
	s := parse(`goroutine 21 [sync.Mutex.Lock, 2 minutes, locked to thread]:
internal/sync.(*Mutex).Lock(...)
	/go/src/internal/sync/mutex.go:70
example.com/x.y/server.(*Conn[...]).serve(0x0?, {0x1, 0x2})
	/home/x/conn.go:6 +0x2d
...additional frames elided...
created by iter.Pull2[...] in goroutine 20
	/go/src/iter/iter.go:387 +0x90`)
	require.Equal(t, 21, s.ID)
	require.Equal(t, "sync.Mutex.Lock", s.State)
	require.True(t, s.Locked)
	require.Equal(t, "iter.Pull2[...]", s.CreatedBy)
	require.Equal(t, 20, s.Parent)
	require.Equal(t, []Frame{
		{"internal/sync.(*Mutex).Lock", "/go/src/internal/sync/mutex.go", 70},
		{"example.com/x.y/server.(*Conn[...]).serve", "/home/x/conn.go", 6},
	}, s.Frames)
	require.Equal(t, "example.com/x.y/server", s.Frames[1].Package())
	require.False(t, s.Frames[1].Standard())
	require.Equal(t, "internal/sync", s.Frames[0].Package())
	for text, want := range map[string]Stack{"": {}, "goroutine x [": {Text: "goroutine x ["}, "nonsense\n\tat\n": {Text: "nonsense\n\tat\n"}} {
		require.Equal(t, want, parse(text))
	}
}
