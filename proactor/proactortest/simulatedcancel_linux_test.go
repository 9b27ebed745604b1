package proactortest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// With a cancel, a reset, or the end of the runtime at every point where something completes, a
// program ends, what it has got until then is right, and nothing is left. Point 0 is none.
func TestSimulatedCancels(t *testing.T) {
	for name, program := range cancelPrograms {
		for how, act := range interferences {
			for seed := range simulatedSeeds(1) {
				t.Run(fmt.Sprintf("%s/%s/seed=%d", name, how, seed), func(t *testing.T) {
					everyPoint(t, seed, program, act)
				})
			}
		}
	}
}

// everyPoint runs a program to count its completions, and then with an interference at each.
func everyPoint(t *testing.T, seed uint64, program cancelProgram, act interference) {
	points := 1
	for point := 0; point < points; point++ {
		t.Run(fmt.Sprintf("point=%d", point), func(t *testing.T) {
			simulated(t, seed, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				s.AtCompletion(point, func() { act(s, rt, cancel) })
				err := program(ctx, t, rt)
				require.NotErrorIs(t, err, errCorrupt)
				if point == 0 {
					require.NoError(t, err)
					points = s.Completions() + 1
				}
			})
		})
	}
	require.Greater(t, points, 5)
}

// interference is what happens at a point. It must not wait.
type interference func(s *proactortest.Simulation, rt *proactor.Runtime, cancel func())

var interferences = map[string]interference{
	"cancel": func(_ *proactortest.Simulation, _ *proactor.Runtime, cancel func()) { cancel() },
	"reset": func(s *proactortest.Simulation, _ *proactor.Runtime, _ func()) {
		s.Reset(clientHost, serverHost)
	},
	"close": func(_ *proactortest.Simulation, rt *proactor.Runtime, _ func()) { go rt.Close() },
	"shutdown": func(_ *proactortest.Simulation, rt *proactor.Runtime, _ func()) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			rt.Shutdown(ctx)
		}()
	},
}

// cancelProgram is a small program, which ends with ctx.
type cancelProgram func(ctx context.Context, t *testing.T, rt *proactor.Runtime) error

var cancelPrograms = map[string]cancelProgram{
	"client":    canceledClient,
	"server":    canceledServer,
	"datagrams": canceledDatagrams,
	"chain":     onConn(exchangeInChain),
	"deadline":  onConn(exchangeAfterTimeout),
	"into":      onConn(receiveInto),
	"zerocopy":  onConn(sendWithoutCopy),
	"writer":    onConn(writeBuffered),
	"vector":    onConn(sendInPieces),
	"netconn":   onConn(useNetConn),
	"abort":     onConn(abortInTheMiddle),
	"proxy":     canceledProxy,
}

// canceledClient: the client of an echo server is canceled.
func canceledClient(ctx context.Context, t *testing.T, rt *proactor.Runtime) error {
	address := simulatedServer(t, rt, echoEverything)
	_, err := rt.Go(ctx, echoClient(rt, address, numbered(600, 1))).Await(context.Background())
	return err
}

// canceledServer: its server is.
func canceledServer(ctx context.Context, t *testing.T, rt *proactor.Runtime) error {
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- ln.Serve(ctx, echoEverything) }()
	_, err = rt.Go(context.Background(), echoClient(rt, ln.Addr().String(), numbered(600, 1))).Await(context.Background())
	ln.Close()
	<-served
	return err
}

// canceledDatagrams: who asks by datagrams is.
func canceledDatagrams(ctx context.Context, t *testing.T, rt *proactor.Runtime) error {
	address := simulatedPacketServer(t, rt)
	_, err := rt.Go(ctx, func(ctx context.Context) error {
		_, err := ask(ctx, rt, address, 3)
		return err
	}).Await(context.Background())
	return err
}

// onConn is a program with a connection to an echo server.
func onConn(use func(ctx context.Context, c *proactor.Conn) error) cancelProgram {
	return func(ctx context.Context, t *testing.T, rt *proactor.Runtime) error {
		address := simulatedServer(t, rt, echoEverything)
		_, err := rt.Go(ctx, func(ctx context.Context) error {
			c, err := dialSimulated(ctx, rt, address)
			if err != nil {
				return err
			}
			defer c.Close()
			return use(ctx, c)
		}).Await(context.Background())
		return err
	}
}

// expectBytes receives as many bytes as data has, and compares them.
func expectBytes(ctx context.Context, c *proactor.Conn, data []byte) error {
	got := make([]byte, len(data))
	n, err := c.Reader().ReadFull(ctx, got)
	if !bytes.Equal(got[:n], data[:n]) {
		return errCorrupt
	}
	return err
}

// exchangeInChain links a send and a receive.
func exchangeInChain(ctx context.Context, c *proactor.Conn) error {
	for i := range uint64(2) {
		data := numbered(200, i)
		got := make([]byte, len(data))
		_, err := c.Loop().Runtime().Chain(c.SendStep(data), c.RecvFullStep(got)).Await(ctx)
		if err != nil {
			return err
		}
		if !bytes.Equal(data, got) {
			return errCorrupt
		}
	}
	return nil
}

// exchangeAfterTimeout has a receive time out before.
func exchangeAfterTimeout(ctx context.Context, c *proactor.Conn) error {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if b, err := c.Recv().Await(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
		b.Release()
		return err
	}
	c.SetReadDeadline(time.Time{})
	data := numbered(300, 2)
	got, err := exchange(ctx, c, data)
	switch {
	case !bytes.HasPrefix(data, got):
		return errCorrupt
	case err == nil && len(got) < len(data):
		return io.ErrUnexpectedEOF
	}
	return err
}

// receiveInto receives into memory of its own. What a receive has not filled is as it was.
func receiveInto(ctx context.Context, c *proactor.Conn) error {
	data := numbered(400, 3)
	if _, err := c.SendBytes(data).Await(ctx); err != nil {
		return err
	}
	for rest := data; len(rest) > 0; {
		p := bytes.Repeat([]byte{7}, len(data))
		n, err := c.RecvInto(p).Await(ctx)
		if !bytes.Equal(p[:n], rest[:n]) || len(bytes.Trim(p[n:], "\a")) > 0 {
			return errCorrupt
		}
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func sendWithoutCopy(ctx context.Context, c *proactor.Conn) error {
	data := numbered(400, 4)
	sent := c.SendZeroCopy(data)
	if err := expectBytes(ctx, c, data); err != nil {
		sent.Await(context.Background()) // data is the queue's until then
		return err
	}
	_, err := sent.Await(ctx)
	return err
}

func writeBuffered(ctx context.Context, c *proactor.Conn) error {
	data := numbered(400, 5)
	w := c.Writer()
	defer w.Release()
	for _, p := range [][]byte{data[:10], data[10:250], data[250:]} {
		if _, err := w.Write(p); err != nil {
			return err
		}
		if _, err := w.Queue().Await(ctx); err != nil {
			return err
		}
	}
	return expectBytes(ctx, c, data)
}

func sendInPieces(ctx context.Context, c *proactor.Conn) error {
	data := numbered(400, 6)
	if _, err := c.SendVector(data[:100], data[100:110], data[110:]).Await(ctx); err != nil {
		return err
	}
	return expectBytes(ctx, c, data)
}

func useNetConn(ctx context.Context, c *proactor.Conn) error {
	n := c.NetConn(ctx)
	data := numbered(400, 7)
	if _, err := n.Write(data); err != nil {
		return err
	}
	got := make([]byte, len(data))
	k, err := io.ReadFull(n, got)
	if !bytes.Equal(got[:k], data[:k]) {
		return errCorrupt
	}
	return err
}

// abortInTheMiddle resets the connection while a send and a receive wait.
func abortInTheMiddle(ctx context.Context, c *proactor.Conn) error {
	sent := c.SendBytes(numbered(400, 8))
	received := c.Recv()
	c.Abort()
	sent.Await(context.Background())
	if b, err := received.Await(context.Background()); err == nil {
		b.Release()
	}
	_, err := c.Closed().Await(ctx)
	return err
}

// canceledProxy: a proxy between the client and the echo server is canceled.
func canceledProxy(ctx context.Context, t *testing.T, rt *proactor.Runtime) error {
	server := simulatedServer(t, rt, echoEverything)
	address := simulatedServer(t, rt, func(inner context.Context, client *proactor.Conn) error {
		inner, stop := context.WithCancel(inner)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		c, err := rt.Dial(inner, "tcp", server).Await(inner)
		if err != nil {
			return err
		}
		defer c.Close()
		up, down := client.Forward(c), c.Forward(client)
		_, err = up.Await(inner)
		_, downErr := down.Await(inner)
		return errors.Join(err, downErr)
	})
	_, err := rt.Go(context.Background(), echoClient(rt, address, numbered(400, 1))).Await(context.Background())
	return err
}
