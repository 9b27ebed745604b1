package proactor_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// moveStack moves the stack of its goroutine and overwrites where it was: the collection
// makes a stack smaller that is larger than needed, at the next call of a function, and
// deep calls make it larger again.
func moveStack(t *testing.T) {
	var here byte
	at := func() uintptr { return uintptr(unsafe.Pointer(&here)) }
	moved := false
	for range 100 { // a collection does not always find the stack where it may be moved
		before := at()
		runtime.GC()
		deep(0)
		small := at()
		deep(1 << 10)
		if moved = before != small || small != at(); moved {
			break
		}
	}
	require.True(t, moved)
	for range 4 { // who gets the old stack writes on it
		done := make(chan struct{})
		go func() { defer close(done); deep(1 << 8) }()
		<-done
	}
}

//go:noinline
func deep(frames int) byte {
	var p [512]byte
	for i := range p {
		p[i] = 0xdb
	}
	if frames == 0 {
		return p[0]
	}
	return deep(frames-1) + p[frames%len(p)]
}

// TestMovedStacks: the stack of whoever has begun an operation moves while the operation
// is in flight. What the operation uses, or its result, must not have been on it. Each
// function has its memory in local variables.
func TestMovedStacks(t *testing.T) {
	text := []byte("0123456789abcdef")
	for name, show := range map[string]func(t *testing.T, ctx context.Context, rt *proactor.Runtime){
		"receive": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, other := pair(t, rt)
			var p [16]byte
			in := other.RecvInto(p[:])
			moveStack(t)
			_, err := one.SendBytes(text).Await(ctx)
			require.NoError(t, err)
			n, err := in.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, text[:n], p[:n])
		},
		"lease": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, other := pair(t, rt)
			in := other.Recv()
			moveStack(t)
			_, err := one.SendBytes(text).Await(ctx)
			require.NoError(t, err)
			b, err := in.Await(ctx)
			require.NoError(t, err)
			moveStack(t)
			require.Equal(t, text, b.Bytes())
			b.Release()
		},
		"send": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, other := pair(t, rt)
			var p, again [16]byte
			copy(p[:], text)
			sent := one.SendBytes(p[:])
			moveStack(t)
			_, err := sent.Await(ctx)
			require.NoError(t, err)
			_, err = other.RecvInto(again[:]).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p, again)
		},
		"vector": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, other := pair(t, rt)
			var p, again [16]byte
			copy(p[:], text)
			pieces := [2][]byte{p[:5], p[5:]}
			sent := one.SendVector(pieces[:]...)
			moveStack(t)
			_, err := sent.Await(ctx)
			require.NoError(t, err)
			_, err = other.RecvInto(again[:]).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p, again)
		},
		"zero copy": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, other := pair(t, rt)
			var p, again [16]byte
			copy(p[:], text)
			sent := one.SendZeroCopy(p[:])
			moveStack(t)
			_, err := other.RecvInto(again[:]).Await(ctx)
			require.NoError(t, err)
			_, err = sent.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p, again)
		},
		"file": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			f := opened(t, ctx, rt, "")
			var p, again [16]byte
			copy(p[:], text)
			wrote := f.WriteAt(p[:], 0)
			moveStack(t)
			_, err := wrote.Await(ctx)
			require.NoError(t, err)
			pieces := [2][]byte{again[:3], again[3:]}
			read := f.ReadVectorAt(pieces[:], 0)
			moveStack(t)
			_, err = read.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p, again)
		},
		"chain": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			f := opened(t, ctx, rt, "")
			var p, again [16]byte
			copy(p[:], text)
			chain := rt.Chain(f.WriteStep(p[:], 0), f.SyncDataStep(), f.ReadFullStep(again[:], 0))
			moveStack(t)
			_, err := chain.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p, again)
		},
		"names": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			var p [4096]byte
			name := string(append(p[:0], filepath.Join(t.TempDir(), "name")...))
			require.NoError(t, os.WriteFile(name, text, 0o600))
			stat := rt.Stat(name)
			moveStack(t)
			info, err := stat.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, int64(len(text)), info.Size())
			renamed := rt.Rename(name, name+"2")
			moveStack(t)
			_, err = renamed.Await(ctx)
			require.NoError(t, err)
			require.FileExists(t, name+"2")
		},
		"dial": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer ln.Close()
			dial := rt.Dial(ctx, "tcp", ln.Addr().String())
			moveStack(t)
			c, err := dial.Await(ctx)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		},
		"datagram": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			c, err := rt.ListenPacket("udp4", "127.0.0.1:0")
			require.NoError(t, err)
			defer c.Close()
			in := c.Recv()
			moveStack(t)
			var p [16]byte
			copy(p[:], text)
			sent := c.SendTo(p[:], netip.MustParseAddrPort(c.LocalAddr().String()))
			moveStack(t)
			_, err = sent.Await(ctx)
			require.NoError(t, err)
			m, err := in.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, text, m.Bytes())
			require.Equal(t, c.LocalAddr().String(), m.From().String())
			m.Release()
		},
		"descriptors": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, other := pair(t, rt)
			var p, again [16]byte
			copy(p[:], text)
			in := other.RecvFiles(again[:], 1)
			moveStack(t)
			sent := one.SendFiles(p[:], os.Stdin)
			moveStack(t)
			_, err := sent.Await(ctx)
			require.NoError(t, err)
			received, err := in.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p, again)
			require.Len(t, received.Files, 1)
			require.NoError(t, received.Files[0].Close())
		},
		"socket option": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			one, _ := pair(t, rt)
			var value [4]byte
			option := one.SocketOption(unix.SOL_SOCKET, unix.SO_TYPE, value[:])
			moveStack(t)
			_, err := option.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, [4]byte{unix.SOCK_STREAM}, value)
		},
		"timer": func(t *testing.T, ctx context.Context, rt *proactor.Runtime) {
			sleep := rt.Sleep(1)
			moveStack(t)
			_, err := sleep.Await(ctx)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				_, err := rt.Go(t.Context(), func(ctx context.Context) error { // on the coroutine of a task
					show(t, ctx, rt)
					return nil
				}).Await(t.Context())
				require.NoError(t, err)
				show(t, t.Context(), rt) // on a goroutine
			})
		})
	}
}

// TestMovedStackOfALoop moves the stack of the loop itself, in callbacks, while it has
// operations in flight.
func TestMovedStackOfALoop(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		c.OnRecv(func(b proactor.Buffer, err error) {
			if err != nil {
				c.Close()
				return
			}
			moveStack(t)
			c.Queue(b)
			moveStack(t)
		})
		for i := range 20 {
			text := fmt.Sprintf("message %2d", i)
			wrote(t, peer, text)
			require.Equal(t, text, readFull(t, peer, len(text)))
		}
	})
}

// pair is a connection and its other end.
func pair(t *testing.T, rt *proactor.Runtime) (one, other *proactor.Conn) {
	one, other, err := rt.SocketPair("unix")
	require.NoError(t, err)
	t.Cleanup(func() {
		one.Close()
		other.Close()
	})
	return one, other
}
