package proactor_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// allocatedBy is how many bytes the process has allocated meanwhile.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestSendFileUsesMemoryAgain: memory for a file's bytes is not made and cleared for each
// call, whether one file is sent at a time or many are.
func TestSendFileUsesMemoryAgain(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector sync.Pool drops what it keeps at random")
	}
	for name, v := range map[string]struct{ conns, size, rounds int }{
		"3 bytes":                     {1, 3, 2000},
		"3 bytes, 64 at a time":       {64, 3, 50},
		"20,000 bytes":                {1, 20_000, 1000},
		"20,000 bytes, 64 at a time":  {64, 20_000, 30},
		"100,000 bytes":               {1, 100_000, 500},
		"100,000 bytes, 64 at a time": {64, 100_000, 20},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				f := fileOf(t, make([]byte, v.size))
				var conns []*proactor.Conn
				for range v.conns {
					c, peer := accepted(t, rt)
					conns = append(conns, c)
					go io.Copy(io.Discard, onlyReader{peer})
				}
				round := func(ctx context.Context) {
					var sent []futures.Future[int64]
					for _, c := range conns {
						sent = append(sent, c.SendFile(f, 0, int64(v.size)))
					}
					_, err := futures.All(sent...).Await(ctx)
					require.NoError(t, err)
				}
				for range 10 {
					round(t.Context())
				}
				allocated := allocatedBy(func() {
					for range v.rounds {
						round(t.Context())
					}
				})
				calls := uint64(v.conns * v.rounds)
				require.Less(t, allocated/calls, uint64(4<<10), "bytes a call")
			}, proactor.WithLoops(1))
		})
	}
}

// TestSendFileToClientsThatDoNotRead: each holds one small piece of its file.
func TestSendFileToClientsThatDoNotRead(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 16 << 20
		f := fileOf(t, make([]byte, size))
		ln := listen(t, rt)
		var conns []*proactor.Conn
		for range 32 {
			deafClient(t, ln.Addr())
			c, err := ln.Accept().Await(t.Context())
			require.NoError(t, err)
			conns = append(conns, c)
		}
		var sent []futures.Future[int64]
		held := allocatedBy(func() {
			for _, c := range conns {
				sent = append(sent, c.SendFile(f, 0, size))
			}
			good, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			defer good.Close()
			c, err := ln.Accept().Await(t.Context())
			require.NoError(t, err)
			var reading sync.WaitGroup
			reading.Go(func() { io.CopyN(io.Discard, onlyReader{good}, size) })
			_, err = c.SendFile(f, 0, size).Await(t.Context())
			require.NoError(t, err)
			reading.Wait()
		})
		require.Less(t, held/uint64(len(conns)), uint64(128<<10), "bytes a client")
		for _, c := range conns {
			c.Abort()
		}
		for _, s := range sent {
			_, err := s.Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
	}, proactor.WithLoops(1))
}
