package ring

import (
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestPerformKeepsMemory: what the entry points to stays until its completion has come. The
// kernel must not read or write what is somebody else's by then.
func TestPerformKeepsMemory(t *testing.T) {
	r := open(t, Options{Entries: 8})
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(fd)
	p := make([]byte, 4<<10) // more than a tiny object, which shares its memory with others
	var there weak.Pointer[byte]
	c, err := r.perform(func(e *SQE) {
		e.PrepRead(fd, p)
		e.SetUserData(trialData)
		there = weak.Make(&p[0])
		runtime.GC()
		require.NotNil(t, there.Value(), "the memory is gone before the kernel uses it")
	})
	require.NoError(t, err)
	require.EqualValues(t, 8, c.Result())
}

// TestAmidCollections has memory collected all the time while the kernel uses it. What goes
// wrong then shows best with GODEBUG=efence=1: what was freed cannot be read or written.
func TestAmidCollections(t *testing.T) {
	r := open(t, Options{Entries: 8})
	ends := make([]int, 2)
	require.NoError(t, unix.Pipe2(ends, unix.O_CLOEXEC))
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	var tried []trial
	for _, v := range trials {
		if v.needed || v.name == FeatureSocketOptions && v.try(r) == nil { // the kernel may be older
			tried = append(tried, v)
		}
	}
	done := make(chan struct{})
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				runtime.GC()
			}
		}
	})
	defer collecting.Wait()
	defer close(done)
	for range 50 {
		for _, v := range tried {
			require.NoError(t, v.try(r), v.name)
		}
		require.NoError(t, r.RegisterFiles(4))
		n, err := r.UpdateFiles(0, []int32{int32(ends[0]), int32(ends[1]), EmptySlot})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		r.emptyFiles()
		require.NoError(t, r.UnregisterFiles())
		require.NoError(t, r.RegisterBuffers(1))
		require.NoError(t, r.UpdateBuffer(0, make([]byte, 64)))
		require.NoError(t, r.UnregisterBuffers())
		r.workersReady = false
		r.ensureWorkers()
		require.True(t, r.workersReady)
	}
}
