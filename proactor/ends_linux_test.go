package proactor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

var (
	endSeeds = flag.Int("ends", 60, "how many seeds TestEverythingEnds runs")
	endSeed  = flag.Int("endseed", 1, "the first of them")
)

// TestEverythingEnds: whatever goes on on a connection, in whatever order, ends when the
// connection does, and nothing is left.
func TestEverythingEnds(t *testing.T) {
	for seed := *endSeed; seed < *endSeed+*endSeeds; seed++ {
		dice := rand.New(rand.NewPCG(uint64(seed), 1))
		opts := []proactor.Option{proactor.WithDrainTimeout(50 * time.Millisecond), proactor.WithBuffers(4096, 64)}
		if dice.IntN(2) == 0 {
			opts = append(opts, proactor.WithZeroCopy(1+dice.IntN(20_000)))
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				for range 4 {
					everythingEnds(t, rt, dice)
				}
			}, opts...)
		})
	}
}

// activity is what goes on on a connection of everythingEnds.
type activity struct {
	rt      *proactor.Runtime
	c       *proactor.Conn
	dice    *rand.Rand
	file    *os.File
	mu      sync.Mutex
	goes    map[string]int
	waiting sync.WaitGroup
}

// begin runs fn, which ends when what it does has.
func (a *activity) begin(name string, fn func(ctx context.Context) error) {
	a.mu.Lock()
	a.goes[name]++
	a.mu.Unlock()
	a.waiting.Add(1)
	ended := func() {
		a.mu.Lock()
		if a.goes[name]--; a.goes[name] == 0 {
			delete(a.goes, name)
		}
		a.mu.Unlock()
		a.waiting.Done()
	}
	if a.dice.IntN(2) == 0 {
		go func() {
			defer ended()
			fn(context.Background())
		}()
		return
	}
	a.c.Loop().Go(context.Background(), fn).Then(func(struct{}, error) { ended() })
}

func (a *activity) left() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.goes)
}

// some begins one operation.
func (a *activity) some() {
	c, n := a.c, 1+a.dice.IntN(1<<uint(1+a.dice.IntN(18)))
	p := make([]byte, n)
	soon := time.Duration(a.dice.IntN(3_000)) * time.Microsecond
	again := a.dice.IntN(4)
	operations := []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"SendBytes", func(ctx context.Context) error { _, err := c.SendBytes(p).Await(ctx); return err }},
		{"SendZeroCopy", func(ctx context.Context) error { _, err := c.SendZeroCopy(p).Await(ctx); return err }},
		{"SendVector", func(ctx context.Context) error { _, err := c.SendVector(p[:n/2], p[n/2:]).Await(ctx); return err }},
		{"SendFile", func(ctx context.Context) error { _, err := c.SendFile(a.file, 0, int64(n)).Await(ctx); return err }},
		{"Write", func(ctx context.Context) error { _, err := c.NetConn(ctx).Write(p); return err }},
		{"ReadFrom", func(ctx context.Context) error {
			_, err := io.Copy(c.NetConn(ctx), io.NewSectionReader(a.file, 0, int64(n)))
			return err
		}},
		{"Read", func(ctx context.Context) error { _, err := c.NetConn(ctx).Read(p); return err }},
		{"Recv", func(ctx context.Context) error {
			b, err := c.Recv().Await(ctx)
			b.Release()
			return err
		}},
		{"RecvInto", func(ctx context.Context) error { _, err := c.RecvInto(p).Await(ctx); return err }},
		{"echo", func(ctx context.Context) error {
			b, err := c.Recv().Await(ctx)
			if err == nil {
				_, err = c.Send(b).Await(ctx)
			}
			return err
		}},
		{"Queue", func(ctx context.Context) error {
			b, err := c.Recv().Await(ctx)
			if err == nil {
				_, err = c.Queue(b).Await(ctx)
			}
			return err
		}},
		{"Chain", func(ctx context.Context) error {
			_, err := a.rt.Chain(c.SendStep(p), c.RecvStep(make([]byte, 10))).Await(ctx)
			return err
		}},
		{"CloseWrite", func(ctx context.Context) error { _, err := c.CloseWrite().Await(ctx); return err }},
		{"CloseWrite of a net.Conn", func(ctx context.Context) error { return halfClose(c.NetConn(ctx)) }},
		{"canceled send", func(ctx context.Context) error {
			f := c.SendBytes(p)
			runtime.Gosched()
			f.Cancel()
			_, err := f.Await(ctx)
			return err
		}},
		{"send with a deadline of its own", func(ctx context.Context) error {
			limited, cancel := context.WithTimeout(ctx, soon)
			defer cancel()
			_, err := c.SendZeroCopy(p).Await(limited)
			return err
		}},
		{"receive with a deadline of its own", func(ctx context.Context) error {
			limited, cancel := context.WithTimeout(ctx, soon)
			defer cancel()
			_, err := c.NetConn(limited).Read(p)
			return err
		}},
		{"write deadline", func(context.Context) error { return c.SetWriteDeadline(time.Now().Add(soon)) }},
		{"read deadline", func(context.Context) error { return c.SetReadDeadline(time.Now().Add(soon)) }},
		{"no deadline", func(context.Context) error { return c.SetDeadline(time.Time{}) }},
	}
	op := operations[a.dice.IntN(len(operations))]
	a.begin(op.name, func(ctx context.Context) error {
		var err error
		for i := 0; i <= again && err == nil; i++ {
			err = op.do(ctx)
		}
		return err
	})
}

// peer does something, or nothing, with what it is sent.
func (a *activity) peer(nc net.Conn) {
	p := make([]byte, 1+a.dice.IntN(100_000))
	switch a.dice.IntN(6) {
	case 0: // does not read
	case 1:
		go io.Copy(io.Discard, nc)
	case 2:
		go func() { io.ReadFull(nc, p) }()
	case 3:
		go func() { io.ReadFull(nc, p); nc.Close() }()
	case 4:
		go io.Copy(nc, nc)
	case 5:
		go func() { nc.Write(p); io.ReadFull(nc, p[:len(p)/2]) }()
	}
}

// end is how the connection ends.
func (a *activity) end() {
	n := a.c.NetConn(context.Background())
	ends := []func(){
		func() { n.Close() },
		func() { a.c.Close() },
		func() { a.c.Abort() },
		func() { n.Close(); a.c.Close() },
		func() { a.c.Close(); a.c.Abort() },
		func() { a.begin("CloseWrite", func(context.Context) error { return halfClose(n) }); n.Close() },
		func() { a.c.SetDeadline(time.Now()); a.c.Close() },
	}
	end := ends[a.dice.IntN(len(ends))]
	if a.dice.IntN(2) == 0 {
		end()
		return
	}
	a.c.Loop().Do(end)
}

func everythingEnds(t *testing.T, rt *proactor.Runtime, dice *rand.Rand) {
	c, peer := anyPair(t, rt, dice)
	defer peer.Close()
	a := &activity{rt: rt, c: c, dice: dice, file: fileOf(t, make([]byte, 1<<18)), goes: map[string]int{}}
	a.peer(peer)
	for range 1 + dice.IntN(12) {
		a.some()
		if dice.IntN(3) == 0 {
			time.Sleep(time.Duration(dice.IntN(500)) * time.Microsecond) // how far it gets differs, what must end does not
		}
	}
	time.Sleep(time.Duration(dice.IntN(2_000)) * time.Microsecond)
	a.end()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := c.Closed().Await(ctx)
	require.NoError(t, err, "it does not close: %v", a.left())
	ended := make(chan struct{})
	go func() { a.waiting.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatal("goes on without its connection: ", a.left())
	}
}

// anyPair is a connection and its peer.
func anyPair(t *testing.T, rt *proactor.Runtime, dice *rand.Rand) (*proactor.Conn, net.Conn) {
	if dice.IntN(4) == 0 {
		c, peer := socketPair(t, rt, "unix")
		return c, peer
	}
	c, peer := accepted(t, rt)
	if dice.IntN(2) == 0 {
		require.NoError(t, errors.Join(peer.SetReadBuffer(1<<12), c.SetWriteBuffer(1<<15)))
	}
	return c, peer
}
