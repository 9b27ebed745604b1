package proactortest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// More seeds than in every run of the tests: -simulation=10 is ten times as many, and
// -simulation.seed=1000 begins with that one.
var (
	simulationFactor = flag.Uint64("simulation", 1, "run `N` times as many seeds of each simulation")
	simulationSeed   = flag.Uint64("simulation.seed", 0, "begin with that `seed`")
)

// simulatedSeeds are n seeds, or as many as the flags say; with the race detector, which
// makes each take several times as long, a fifth.
func simulatedSeeds(n uint64) iter.Seq[uint64] {
	if raceEnabled {
		n = (n + 4) / 5
	}
	return func(yield func(uint64) bool) {
		for i := range n * *simulationFactor {
			if !yield(*simulationSeed + i) {
				return
			}
		}
	}
}

// simulated runs fn in a bubble, with a network of its own and a runtime on it. Nothing may
// be left at its end: no descriptor, lease, connection, task or timer, and no goroutine,
// for which the bubble would wait.
func simulated(t *testing.T, seed uint64, fn func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime)) {
	proactortest.CheckProcess(t)
	t.Cleanup(func() {
		if t.Failed() && (*simulationFactor > 1 || *simulationSeed > 0) {
			t.Logf("and, to have that seed: -simulation.seed=%d", seed)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := proactortest.Simulate(t, seed)
		fn(t, s, startSimulated(t, s))
	})
}

func startSimulated(t testing.TB, s *proactortest.Simulation) *proactor.Runtime {
	return proactortest.Start(t, s.Option(), proactor.WithBuffers(4096, 16), proactor.WithLogger(nil))
}

// eachSeed runs fn for a number of seeds.
func eachSeed(t *testing.T, n uint64, fn func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime)) {
	for seed := range simulatedSeeds(n) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulated(t, seed, fn) })
	}
}

var (
	serverHost = netip.MustParseAddr("127.0.0.1")
	clientHost = netip.MustParseAddr("127.0.0.2")
)

// simulatedServer serves with a handler until the test ends.
func simulatedServer(t testing.TB, rt *proactor.Runtime, handler proactortest.Handler) string {
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- ln.Serve(context.Background(), handler) }()
	t.Cleanup(func() {
		ln.Close()
		<-served
	})
	return ln.Addr().String()
}

// dialSimulated dials from clientHost.
func dialSimulated(ctx context.Context, rt *proactor.Runtime, address string) (*proactor.Conn, error) {
	d := proactor.Dialer{LocalAddr: &net.TCPAddr{IP: clientHost.AsSlice()}}
	return d.Dial(ctx, rt, "tcp", address).Await(ctx)
}

// echoEverything returns what comes, piece by piece.
func echoEverything(ctx context.Context, c *proactor.Conn) error {
	for {
		b, err := c.Recv().Await(ctx)
		if err == io.EOF {
			_, err = c.CloseWrite().Await(ctx)
			return err
		}
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
}

// numbered is a stream in which every byte is known.
func numbered(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// exchange sends all of data and receives what comes back until the end.
func exchange(ctx context.Context, c *proactor.Conn, data []byte) ([]byte, error) {
	sent := c.Loop().Go(ctx, func(ctx context.Context) error {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 300)
			if _, err := c.SendBytes(rest[:n]).Await(ctx); err != nil {
				return err
			}
			rest = rest[n:]
		}
		_, err := c.CloseWrite().Await(ctx)
		return err
	})
	got, err := receiveAll(ctx, c)
	_, sendErr := sent.Await(ctx)
	return got, errors.Join(err, sendErr)
}

func receiveAll(ctx context.Context, c *proactor.Conn) (got []byte, err error) {
	for {
		b, err := c.Recv().Await(ctx)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, b.Bytes()...)
		b.Release()
	}
}

// echoClient sends a stream and expects it back.
func echoClient(rt *proactor.Runtime, address string, data []byte) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := dialSimulated(ctx, rt, address)
		if err != nil {
			return err
		}
		defer c.Close()
		got, err := exchange(ctx, c, data)
		switch {
		case !bytes.HasPrefix(data, got):
			return fmt.Errorf("%w: of %d bytes %d came back", errCorrupt, len(data), len(got))
		case err == nil && len(got) < len(data):
			return fmt.Errorf("%d bytes of %d: %w", len(got), len(data), io.ErrUnexpectedEOF)
		}
		return err
	}
}

var errCorrupt = errors.New("a stream is not what was sent")

// Nothing on a stream is lost, duplicated or reordered.
func TestSimulatedEcho(t *testing.T) {
	eachSeed(t, 200, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		address := simulatedServer(t, rt, echoEverything)
		var clients []futures.Future[struct{}]
		for i := range uint64(2) {
			clients = append(clients, rt.Go(context.Background(), echoClient(rt, address, numbered(2_000, i))))
		}
		for _, c := range clients {
			_, err := c.Await(t.Context())
			require.NoError(t, err)
		}
	})
}

// answerRequests answers each request, a length and as many bytes, with its bytes reversed.
func answerRequests(ctx context.Context, c *proactor.Conn) error {
	r := c.Reader()
	for {
		head, err := r.Peek(ctx, 2)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(head))
		frame, err := r.Peek(ctx, 2+n)
		if err != nil {
			return err
		}
		if _, err := c.SendBytes(answer(frame)).Await(ctx); err != nil {
			return err
		}
		r.Discard(2 + n)
	}
}

func answer(request []byte) []byte {
	p := bytes.Clone(request[:2])
	for i := len(request) - 1; i >= 2; i-- {
		p = append(p, request[i])
	}
	return p
}

func request(n int, seed uint64) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(n)), numbered(n, seed)...)
}

// A client of another runtime sends requests without waiting for answers.
func TestSimulatedPipelining(t *testing.T) {
	eachSeed(t, 200, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		address := simulatedServer(t, rt, answerRequests)
		_, err := pipelined(startSimulated(t, s), address).Await(t.Context())
		require.NoError(t, err)
	})
}

// pipelined is a client that sends all requests before it looks for the first answer.
func pipelined(rt *proactor.Runtime, address string) futures.Future[struct{}] {
	const requests = 12
	size := func(i int) int { return i * 37 % 500 }
	return rt.Go(context.Background(), func(ctx context.Context) error {
		c, err := dialSimulated(ctx, rt, address)
		if err != nil {
			return err
		}
		defer c.Close()
		sent := rt.Go(ctx, func(ctx context.Context) error {
			for i := range requests {
				if _, err := c.SendBytes(request(size(i), uint64(i))).Await(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		r := c.Reader()
		for i := range requests {
			want := answer(request(size(i), uint64(i)))
			got := make([]byte, len(want))
			if _, err := r.ReadFull(ctx, got); err != nil {
				return err
			}
			if !bytes.Equal(want, got) {
				return fmt.Errorf("%w: answer %d", errCorrupt, i)
			}
		}
		_, err = sent.Await(ctx)
		return err
	})
}

// A seed makes the same trace each time, on any number of processors.
func TestSimulatedTrace(t *testing.T) {
	trace := func(t *testing.T, seed uint64, processors int) (trace string) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		simulated(t, seed, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
			address := simulatedServer(t, rt, answerRequests)
			_, err := pipelined(startSimulated(t, s), address).Await(t.Context())
			require.NoError(t, err)
			trace = s.Trace()
		})
		return trace
	}
	for seed := range simulatedSeeds(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			first := trace(t, seed, 1)
			require.Equal(t, first, trace(t, seed, 2))
			require.Equal(t, first, trace(t, seed, 4))
			require.NotEqual(t, first, trace(t, seed+1, 2))
		})
	}
}
