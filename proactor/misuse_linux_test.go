package proactor_test

import (
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceMisuse(t *testing.T) { conform(t, misuse) }

// huge is a buffer longer than the 32 bits that an entry has for a length. Its
// pages are there when they are touched only.
func huge(t *testing.T) []byte {
	const n = 1 << (strconv.IntSize / 2)
	if strconv.IntSize < 64 || raceEnabled {
		t.Skip("needs an address space of 64 bits, and no race detector to note each byte of it")
	}
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Munmap(p) })
	return p
}

var misuse = []behaviour{
	{name: "a huge send goes out piece by piece", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		c, peer := accepted(t, rt)
		f := c.SendBytes(p)
		_, err := io.CopyN(io.Discard, peer, 1<<20)
		require.NoError(t, err)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		n, err := f.Await(t.Context())
		gone(t, err)
		require.GreaterOrEqual(t, n, 1<<20)
		closedDown(t, c)
	}},
	{name: "a huge RecvInto takes what is there", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		c, peer := accepted(t, rt)
		wrote(t, peer, "little")
		n, err := c.RecvInto(p).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "little", string(p[:n]))
		closedDown(t, c)
	}},
	{name: "a huge message is refused", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		one, _, err := rt.SocketPair("unixpacket")
		require.NoError(t, err)
		_, err = one.SendBytes(p).Await(t.Context())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		_, err = rt.Chain(one.SendStep(p)).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
	}},
	{name: "of many who release a lease at once, one succeeds", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		for range 200 {
			wrote(t, peer, "x")
			b, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			var released, panicked atomic.Int32
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					defer func() {
						if recover() != nil {
							panicked.Add(1)
						}
					}()
					b.Release()
					released.Add(1)
				})
			}
			all.Wait()
			require.EqualValues(t, 1, released.Load())
			require.EqualValues(t, 3, panicked.Load())
		}
	}},
}
