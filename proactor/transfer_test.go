package proactor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestRandomBytesEchoed sends 64 × 16 MiB of random bytes in random chunks,
// half-closes, and wants every byte back (a sixteenth of it under the race
// detector, which looks at each byte).
func TestRandomBytesEchoed(t *testing.T) {
	const conns = 64
	size := 16 << 20
	if raceEnabled {
		size /= 16
	}
	for _, style := range styles {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr := serveEcho(t, rt, style)
				var all sync.WaitGroup
				for i := range conns {
					c := dial(t, addr)
					all.Go(func() { checkEcho(t, c, uint64(i), size) })
				}
				all.Wait()
			})
		})
	}
}

// checkEcho sends size random bytes in random chunks and compares what comes
// back. Errors are reported, not fatal: it runs on a goroutine of its own.
func checkEcho(t *testing.T, c *net.TCPConn, seed uint64, size int) {
	sent, received := sha256.New(), sha256.New()
	sender := make(chan error, 1)
	go func() { sender <- sendRandom(c, seed, size, sent) }()
	n, err := io.Copy(received, c)
	if sendErr := <-sender; sendErr != nil || err != nil {
		t.Errorf("connection %d: send: %v, receive: %v", seed, sendErr, err)
		return
	}
	if n != int64(size) || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		t.Errorf("connection %d: %d of %d bytes came back, equal=%v", seed, n, size, bytes.Equal(sent.Sum(nil), received.Sum(nil)))
	}
	c.Close()
}

func sendRandom(c *net.TCPConn, seed uint64, size int, sum hash.Hash) error {
	var key [32]byte
	key[0] = byte(seed)
	bytesOf := rand.NewChaCha8(key)
	chunks := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 128<<10)
	for size > 0 {
		n := min(1+chunks.IntN(len(buf)>>chunks.IntN(17)), size)
		bytesOf.Read(buf[:n])
		sum.Write(buf[:n])
		if _, err := c.Write(buf[:n]); err != nil {
			return err
		}
		size -= n
	}
	return c.CloseWrite()
}

// TestSlowReadersDoNotHoldUpOthers leaves data unread on 5,000 connections
// while 50 others must be served.
func TestSlowReadersDoNotHoldUpOthers(t *testing.T) {
	idle, active, rounds := 5000, 50, 100
	if need := 2*(idle+active) + 200; descriptorLimit(t) < uint64(need) {
		t.Skipf("needs %d descriptors, the limit is %d: raise it with ulimit -n", need, descriptorLimit(t))
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		served := make(chan struct{}, idle)
		var left sync.WaitGroup
		lazy := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			left.Add(1)
			defer left.Done()
			b, err := c.Recv().Await(ctx) // the first piece, and no more
			if err != nil {
				return err
			}
			b.Release()
			served <- struct{}{}
			_, err = rt.Sleep(time.Hour).Await(ctx)
			return err
		})
		piece := bytes.Repeat([]byte("unread"), 500)
		for range idle {
			c := dial(t, lazy)
			for range 3 {
				_, err := c.Write(piece)
				require.NoError(t, err)
			}
		}
		for range idle {
			<-served
		}
		addr := serveEcho(t, rt, "await")
		var all sync.WaitGroup
		for i := range active {
			c := dial(t, addr)
			all.Go(func() {
				for range rounds {
					if err := roundTrip(c, 16<<10, byte(i)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

func roundTrip(c net.Conn, size int, fill byte) error {
	out, in := bytes.Repeat([]byte{fill}, size), make([]byte, size)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(out)
		failed <- err
	}()
	_, err := io.ReadFull(c, in)
	if err = errors.Join(err, <-failed); err != nil {
		return err
	}
	if !bytes.Equal(in, out) {
		return errors.New("other bytes came back")
	}
	return nil
}

// descriptorLimit is RLIMIT_NOFILE.
func descriptorLimit(t *testing.T) (soft uint64) {
	t.Helper()
	limits, err := os.ReadFile("/proc/self/limits")
	require.NoError(t, err)
	_, line, _ := strings.Cut(string(limits), "Max open files")
	_, err = fmt.Sscan(line, &soft)
	require.NoError(t, err)
	return soft
}

// TestClientThatNeverReads must not make the server hold more than the
// high-water mark and a little, nor keep the handler for ever.
func TestClientThatNeverReads(t *testing.T) {
	for _, style := range styles {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr := serveEcho(t, rt, style)
				c := dial(t, addr)
				require.NoError(t, c.SetReadBuffer(64<<10)) // the defaults may be many megabytes
				require.NoError(t, c.SetWriteBuffer(64<<10))
				// The writer stalls once every buffer between here and there is
				// full; a deadline ends it. Each write has its own: one that takes
				// in without end is found out on a slow machine, too.
				var written int
				chunk := make([]byte, 64<<10)
				for {
					require.NoError(t, c.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
					n, err := c.Write(chunk)
					written += n
					if err != nil {
						require.ErrorContains(t, err, "timeout")
						break
					}
					require.Less(t, written, 64<<20, "the server takes in without end")
				}
				require.NoError(t, roundTripOther(t, addr), "others are served meanwhile")
				c.SetLinger(0)
				c.Close() // a reset: the handler must end
				eventually(t, func() bool { s := rt.Stats().Total(); return s.Conns == 0 && s.Tasks == 0 && s.BuffersOut == 0 },
					func() string {
						return fmt.Sprintf("the connection is still there: %+v\n%s", rt.Stats().Total(), rt.Describe())
					})
			})
		})
	}
}

func roundTripOther(t *testing.T, addr net.Addr) error {
	c := dial(t, addr)
	defer c.Close()
	return roundTrip(c, 1000, 'x')
}

func TestClientResets(t *testing.T) {
	for _, style := range styles {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr := serveEcho(t, rt, style)
				accepted := func() uint64 { return rt.Stats().Total().Accepted }
				for i := range 100 {
					before := accepted()
					c := dial(t, addr)
					if i%2 == 0 {
						_, err := c.Write(make([]byte, 100<<10))
						require.NoError(t, err)
					}
					if i%4 != 0 {
						eventually(t, func() bool { return accepted() > before }, rt.Describe)
					}
					require.NoError(t, c.SetLinger(0))
					require.NoError(t, c.Close())
				}
				// Not all 100: a reset at once may overtake the end of the handshake, on a busy
				// machine, and then nobody accepts anything.
				eventually(t, func() bool {
					s := rt.Stats().Total()
					return s.Accepted >= 75 && s.Conns == 0 && s.Tasks == 0 && s.BuffersOut == 0
				},
					func() string { return "connections left" })
			})
		})
	}
}

// TestResetBehindData resets connections right behind their data, on a server
// that sends nothing and so learns of it only by receiving.
func TestResetBehindData(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			for {
				b, err := c.Recv().Await(ctx)
				if err != nil {
					return err
				}
				b.Release()
			}
		})
		const n = 50
		for i := range n {
			c := dial(t, addr)
			_, err := c.Write(make([]byte, 100))
			require.NoError(t, err)
			eventually(t, func() bool { return rt.Stats().Total().Accepted > uint64(i) }, rt.Describe)
			rt.Stats() // every loop has turned: the receive is armed
			// While the loops are held, data and reset come in together.
			release := holdLoops(rt)
			_, err = c.Write(make([]byte, 100))
			require.NoError(t, err)
			require.NoError(t, c.SetLinger(0))
			require.NoError(t, c.Close())
			release()
		}
		eventually(t, func() bool { s := rt.Stats().Total(); return s.Accepted >= n && s.Conns == 0 },
			func() string { return rt.Describe() })
	})
}

// holdLoops keeps every loop from turning until release is called.
func holdLoops(rt *proactor.Runtime) (release func()) {
	var held sync.WaitGroup
	gate := make(chan struct{})
	for _, l := range rt.Loops() {
		held.Add(1)
		l.Do(func() { held.Done(); <-gate })
	}
	held.Wait()
	return func() { close(gate) }
}
