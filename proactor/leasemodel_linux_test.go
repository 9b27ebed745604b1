package proactor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// leaseServer does something at random with each message that it receives. The
// first byte of what it sends back is the message's own: the peer checks the rest.
type leaseServer struct {
	t      *testing.T
	rt     *proactor.Runtime
	mu     sync.Mutex
	random *rand.Rand
	kept   []proactor.Buffer // by anybody, to be released by anybody
	others sync.WaitGroup

	handlers sync.WaitGroup
}

func (s *leaseServer) dice(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

func (s *leaseServer) keep(b proactor.Buffer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, b)
}

// releaseOne releases what somebody has kept.
func (s *leaseServer) releaseOne() bool {
	s.mu.Lock()
	last := len(s.kept) - 1
	if last < 0 {
		s.mu.Unlock()
		return false
	}
	b := s.kept[last]
	s.kept = s.kept[:last]
	s.mu.Unlock()
	checkMessage(s.t, b.Bytes())
	b.Release()
	return true
}

// message is one that tells what must be in it.
func message(number uint32, size int) []byte {
	p := make([]byte, 8+size)
	binary.LittleEndian.PutUint32(p, number)
	binary.LittleEndian.PutUint32(p[4:], uint32(size))
	for i := range size {
		p[8+i] = byte(int(number) + i)
	}
	return p
}

func checkMessage(t *testing.T, p []byte) {
	if len(p) < 8 || !bytes.Equal(p, message(binary.LittleEndian.Uint32(p), len(p)-8)) {
		t.Errorf("a message of %d bytes is not what was sent", len(p))
	}
}

// elsewhere runs fn on a goroutine of its own, or on another loop.
func (s *leaseServer) elsewhere(fn func()) {
	s.others.Add(1)
	run := func() { defer s.others.Done(); fn() }
	if s.dice(2) == 0 {
		go run()
		return
	}
	if !s.rt.Loops()[s.dice(2)].Do(run) {
		run()
	}
}

var errLeaseServerDone = errors.New("done")

// begin serves c in a task of its loop, and then closes it.
func (s *leaseServer) begin(c *proactor.Conn) {
	s.handlers.Add(1)
	c.Loop().Go(context.Background(), func(ctx context.Context) error { return s.serve(ctx, c) }).
		Then(func(struct{}, error) {
			c.Close() // which does nothing to one that was moved
			s.handlers.Done()
		})
}

// serve handles messages until it moves the connection, or ends.
func (s *leaseServer) serve(ctx context.Context, c *proactor.Conn) error {
	var mine []proactor.Buffer
	for {
		b, taken, err := receiveAtRandom(ctx, s, c.Recv())
		if err != nil {
			return err
		}
		if !taken {
			continue
		}
		checkMessage(s.t, b.Bytes())
		switch s.dice(16) {
		case 0:
			b.Release()
		case 1:
			b.Keep()
			s.elsewhere(func() { checkMessage(s.t, b.Bytes()); b.Release() })
			s.waitElsewhere(ctx)
		case 2:
			s.keep(b.Keep())
		case 3:
			mine = append(mine, b) // and forgotten
		case 4:
			if len(mine) > 0 {
				mine[len(mine)-1].Release()
				mine = mine[:len(mine)-1]
			}
			b.Release()
		case 5:
			s.releaseOne()
			c.Send(b) // nobody asks
		case 6:
			if _, err := c.Send(b).Await(ctx); err != nil {
				return err
			}
		case 7:
			b.Keep()
			s.elsewhere(func() { c.Queue(b) })
		case 8, 9:
			moved, err := c.Move(s.rt.Loops()[s.dice(2)]).Await(ctx)
			b.Release()
			if err != nil {
				return err
			}
			s.begin(moved)
			return nil
		case 10:
			if s.dice(8) == 0 {
				switch s.dice(3) {
				case 0:
					panic(errLeaseServerDone)
				case 1:
					runtime.Goexit()
				}
				return errLeaseServerDone
			}
			b.Release()
		case 11:
			if s.dice(8) == 0 {
				c.Abort()
			}
			b.Release()
		default:
			if _, err := c.Queue(b).Await(ctx); err != nil {
				return err
			}
		}
	}
}

// receiveAtRandom does something at random with a receive, and returns what it has brought
// unless that is dropped or taken elsewhere.
func receiveAtRandom[T interface {
	Bytes() []byte
	Release()
}](ctx context.Context, s *leaseServer, f futures.Future[T]) (v T, taken bool, err error) {
	switch s.dice(20) {
	case 0: // the task ends, or a later receive takes what comes
		if s.dice(2) == 0 {
			f.Cancel()
		}
		return v, false, nil
	case 1:
		f.Done()
	case 2:
		seen := futures.NewPromise[error]() // the lease is this task's, whoever takes it
		s.elsewhere(func() {
			v, err := f.Await(context.Background())
			if err == nil {
				checkMessage(s.t, v.Bytes())
				v.Release()
			}
			seen.Resolve(err)
		})
		err, _ = seen.Future().Await(ctx)
		return v, false, err
	}
	v, err = f.Await(ctx)
	return v, err == nil, err
}

// waitElsewhere gives others a chance to run.
func (s *leaseServer) waitElsewhere(ctx context.Context) {
	for range s.dice(4) {
		futures.Yield(ctx)
	}
}

// Whatever programs do with leases, at the end none is out, and no byte was wrong.
func TestLeasesAtRandom(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				s := &leaseServer{t: t, rt: rt, random: rand.New(rand.NewPCG(seed, 1))}
				var clients sync.WaitGroup
				for k := range 12 {
					random := rand.New(rand.NewPCG(seed, uint64(100+k)))
					c, peer := pairOn(t, rt.Loops()[k%2], rt, "unixpacket")
					s.begin(c)
					peer.OnRecv(func(b proactor.Buffer, err error) {
						if err == nil {
							checkMessage(t, b.Bytes())
							b.Release()
						}
					})
					clients.Go(func() {
						for i := range 150 {
							size := random.IntN(3000)
							if random.IntN(4) == 0 {
								size = random.IntN(8)
							}
							if _, err := peer.SendBytes(message(uint32(k<<16+i), size)).Await(context.Background()); err != nil {
								break
							}
							if i%16 == 0 {
								s.releaseOne()
							}
						}
						peer.CloseWrite()
					})
				}
				bounded(t, "the clients", clients.Wait)
				bounded(t, "the handlers", s.handlers.Wait)
				bounded(t, "those elsewhere", s.others.Wait)
				for s.releaseOne() {
				}
				require.Zero(t, rt.Stats().Total().OverBudget)
				nothingHeld(t, rt)
			}, proactor.WithBuffers(4096, 64))
		})
	}
}

// beginPackets serves c in tasks, one after the other, until it is closed.
func (s *leaseServer) beginPackets(c *proactor.PacketConn) {
	s.handlers.Add(1)
	c.Loop().Go(context.Background(), func(ctx context.Context) error { return s.servePackets(ctx, c) }).
		Then(func(_ struct{}, err error) {
			defer s.handlers.Done()
			if !errors.Is(err, net.ErrClosed) {
				s.beginPackets(c)
			}
		})
}

// servePackets does something at random with each message, until it fails or c is
// closed.
func (s *leaseServer) servePackets(ctx context.Context, c *proactor.PacketConn) error {
	var mine []proactor.Message
	for {
		m, taken, err := receiveAtRandom(ctx, s, c.Recv())
		if err != nil {
			return err
		}
		if !taken {
			continue
		}
		checkMessage(s.t, m.Bytes())
		switch s.dice(12) {
		case 0:
			m.Keep()
			s.elsewhere(func() { checkMessage(s.t, m.Bytes()); m.Release() })
			s.waitElsewhere(ctx)
		case 1:
			s.keep(m.Keep())
		case 2:
			mine = append(mine, m) // and forgotten
		case 3:
			for _, m := range mine {
				checkMessage(s.t, m.Bytes())
				m.Release()
			}
			mine = nil
			m.Release()
		case 4:
			s.releaseOne()
			c.Reply(m) // nobody asks
		case 5:
			if _, err := c.Reply(m).Await(ctx); err != nil {
				return err
			}
		case 6:
			if _, err := c.Queue(m.Buffer, m.From()).Await(ctx); err != nil {
				return err
			}
		case 7:
			m.Keep()
			s.elsewhere(func() { c.Queue(m.Buffer, m.From()) })
		case 8:
			if s.dice(8) == 0 {
				switch s.dice(3) {
				case 0:
					panic(errLeaseServerDone)
				case 1:
					runtime.Goexit()
				}
				return errLeaseServerDone
			}
			m.Release()
		default:
			m.Release()
		}
	}
}

// The same of messages, of which the kernel may drop some.
func TestLeasesOfMessagesAtRandom(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				s := &leaseServer{t: t, rt: rt, random: rand.New(rand.NewPCG(seed, 2))}
				var clients sync.WaitGroup
				var servers []*proactor.PacketConn
				for k := range 8 {
					random := rand.New(rand.NewPCG(seed, uint64(200+k)))
					peer, c, to := packetPairOn(t, rt.Loops()[k%2], rt)
					s.beginPackets(c)
					servers = append(servers, c)
					peer.OnMessage(func(m proactor.Message, err error) {
						if err == nil {
							checkMessage(t, m.Bytes())
							m.Release()
						}
					})
					clients.Go(func() {
						for i := range 200 {
							size := random.IntN(3000)
							if random.IntN(4) == 0 {
								size = random.IntN(8)
							}
							if _, err := peer.SendTo(message(uint32(k<<16+i), size), to).Await(context.Background()); err != nil {
								t.Error(err)
							}
							if i%16 == 0 {
								s.releaseOne()
							}
						}
					})
				}
				bounded(t, "the clients", clients.Wait)
				for _, c := range servers {
					c.Close()
				}
				bounded(t, "the handlers", s.handlers.Wait)
				bounded(t, "those elsewhere", s.others.Wait)
				for s.releaseOne() {
				}
				require.Zero(t, rt.Stats().Total().OverBudget)
				nothingHeld(t, rt)
			}, proactor.WithBuffers(4096, 64))
		})
	}
}
