package proactor_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// One buffer goes to many connections of both loops. Some of them do not read: those
// are dropped, and the memory comes back once all others have it.
func TestBroadcast(t *testing.T) {
	const (
		readers   = 450
		sleepers  = 50
		messages  = 20
		messageOf = 60 << 10
	)
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithSpread(proactor.SpreadRoundRobin))
		require.NoError(t, err)
		defer ln.Close()
		var conns []*proactor.Conn
		var reading sync.WaitGroup
		for i := range readers + sleepers {
			f := ln.Accept()
			peer, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			defer peer.Close()
			c, err := f.Await(t.Context())
			require.NoError(t, err)
			c.SetQueueLimit(messageOf*messages, proactor.QueueRefuse)
			if i < sleepers {
				require.NoError(t, peer.(*net.TCPConn).SetReadBuffer(4<<10))
				require.NoError(t, c.SetWriteBuffer(4<<10))
				c.SetQueueLimit(2*messageOf, proactor.QueueDrop)
			} else {
				reading.Go(func() {
					want := bytes.Repeat([]byte{1}, messageOf)
					for n := range messages {
						got := make([]byte, messageOf)
						_, err := io.ReadFull(peer, got)
						if err != nil || !bytes.Equal(got[1:], want[1:]) || int(got[0]) != n {
							t.Errorf("message %d: %d, %v", n, got[0], err)
							return
						}
					}
				})
			}
			conns = append(conns, c)
		}
		for n := range messages {
			b := rt.Loops()[n%2].Buffer(messageOf)
			copy(b.Bytes(), bytes.Repeat([]byte{1}, messageOf))
			b.Bytes()[0] = byte(n)
			if n%3 == 0 { // from a loop
				_, err := rt.Loops()[1].Go(t.Context(), func(context.Context) error {
					proactor.Broadcast(b, conns...)
					return nil
				}).Await(t.Context())
				require.NoError(t, err)
			} else {
				proactor.Broadcast(b, conns...)
			}
			require.Panics(t, b.Release)
			require.LessOrEqual(t, rt.Stats().Total().Held, int64((n+1)*messageOf*2), "one for all")
		}
		reading.Wait()
		for i, c := range conns {
			if i < sleepers { // dropped, and told so
				_, err := c.Closed().Await(t.Context())
				require.NoError(t, err)
				_, err = c.SendBytes([]byte("x")).Await(t.Context())
				require.ErrorIs(t, err, proactor.ErrSlowConsumer)
				require.ErrorIs(t, err, proactor.ErrClosed)
				require.ErrorIs(t, errorOf(c.Recv().Await(t.Context())), proactor.ErrSlowConsumer)
			}
			require.Zero(t, c.Queued())
		}
		eventually(t, func() bool { return rt.Stats().Total().Held == 0 }, rt.Describe)
		for _, c := range conns {
			c.Abort()
		}
		proactor.Broadcast(rt.Loops()[0].Buffer(10), conns...)
		proactor.Broadcast(rt.Loops()[0].Buffer(10))
		proactor.Broadcast(proactor.Buffer{}, conns...)
		eventually(t, func() bool { return rt.Stats().Total().Held == 0 }, rt.Describe)
	})
}

// Received data is sent on to others, and the same connection twice.
func TestBroadcastOfReceived(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, peerA := acceptedOn(t, rt, 0)
		b, peerB := acceptedOn(t, rt, 1)
		wrote(t, peerA, "hello")
		in, err := a.Recv().Await(t.Context())
		require.NoError(t, err)
		proactor.Broadcast(in, a, b, b)
		require.Equal(t, "hello", readFull(t, peerA, 5))
		require.Equal(t, "hellohello", readFull(t, peerB, 10))
		eventually(t, func() bool { return rt.Stats().Total().Held == 0 }, rt.Describe)
		closedDown(t, a)
		closedDown(t, b)
	})
}

// The runtime closes while broadcasts are on their way.
func TestBroadcastWhileClosing(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		var conns []*proactor.Conn
		for i := range 10 {
			c, _ := acceptedOn(t, rt, i%2)
			conns = append(conns, c)
		}
		var sending sync.WaitGroup
		sending.Go(func() {
			for range 200 {
				b := rt.Loops()[0].Buffer(1000)
				proactor.Broadcast(b.Retain(), conns...)
				proactor.Broadcast(b, conns...)
			}
		})
		require.NoError(t, rt.Close())
		sending.Wait()
	})
}

// Many goroutines and both loops retain, send and release the same bytes. Each memory
// comes back once: twice, and two of the Buffers made later would share it.
func TestRetainedByMany(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 1000
		sink, peer := acceptedOn(t, rt, 1)
		var reading sync.WaitGroup
		reading.Go(func() { io.Copy(io.Discard, peer) })
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range 50 {
					b := rt.Loops()[n%2].Buffer(size)
					fill := byte(i*50 + n)
					copy(b.Bytes(), bytes.Repeat([]byte{fill}, size))
					var done sync.WaitGroup
					for holder := range 6 {
						mine := b.Retain()
						use := func() {
							if got := mine.Bytes(); got[0] != fill || got[size-1] != fill {
								t.Errorf("%d is %d", fill, got[0])
							}
							switch holder % 3 {
							case 0:
								mine.Release()
							case 1:
								proactor.Broadcast(mine.Retain(), sink, sink)
								mine.Release()
							case 2:
								sink.Queue(mine)
							}
						}
						if done.Add(1); holder%2 == 0 {
							go func() { defer done.Done(); use() }()
						} else if !rt.Loops()[holder/2%2].Do(func() { defer done.Done(); use() }) {
							t.Error("the loop has ended")
						}
					}
					b.Release()
					done.Wait()
				}
			})
		}
		all.Wait()
		eventually(t, func() bool { return rt.Stats().Total().Held == 0 }, rt.Describe)
		for i, l := range rt.Loops() {
			c, other := acceptedOn(t, rt, i)
			inTask(t, rt, c, func(context.Context) {
				distinct := map[*byte]bool{}
				for range 1000 {
					distinct[&l.Buffer(size).Bytes()[0]] = true
				}
				require.Len(t, distinct, 1000)
			})
			closedDown(t, c)
			other.Close()
		}
		closedDown(t, sink)
		reading.Wait()
	})
}
