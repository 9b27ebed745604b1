package proactortest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// A stream goes on after a partition as if nothing had been.
func TestSimulatedPartition(t *testing.T) {
	eachSeed(t, 30, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		address := simulatedServer(t, rt, echoEverything)
		for i := range 5 {
			at := time.Duration(i)*41*time.Second + 5*time.Millisecond
			s.After(at, func() { s.Partition(clientHost, serverHost) })
			s.After(at+30*time.Second, s.Heal)
		}
		begun := time.Now()
		_, err := rt.Go(context.Background(), echoClient(rt, address, numbered(8_000, 1))).Await(t.Context())
		require.NoError(t, err)
		if len(s.Trace()) > 0 && s.Conditions().Latency > 10*time.Millisecond {
			require.Greater(t, time.Since(begun), 30*time.Second)
		}
	})
}

// A router that has lost its state resets both ends: each learns of it, and what came
// before is right.
func TestSimulatedReset(t *testing.T) {
	eachSeed(t, 20, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		c := s.Conditions()
		c.Latency, c.Bandwidth = time.Millisecond, 10_000
		s.SetConditions(c)
		failed := make(chan error, 1)
		address := simulatedServer(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			err := echoEverything(ctx, c)
			failed <- err
			return err
		})
		s.After(time.Second, func() { s.Reset(clientHost, serverHost) })
		_, err := rt.Go(context.Background(), echoClient(rt, address, numbered(30_000, 1))).Await(t.Context())
		require.NotErrorIs(t, err, errCorrupt)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		err = <-failed
		require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), err)
	})
}

// Who is not reachable is given up at the deadline, to the nanosecond of the loop's timer.
func TestSimulatedUnreachable(t *testing.T) {
	eachSeed(t, 20, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		address := simulatedServer(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			_, err := c.Recv().Await(ctx)
			return err
		})
		_, err := rt.Go(context.Background(), func(ctx context.Context) error {
			c, err := dialSimulated(ctx, rt, address)
			if err != nil {
				return err
			}
			defer c.Close()
			s.Partition(clientHost, serverHost)
			defer s.Heal()
			begun := time.Now()
			c.SetReadDeadline(begun.Add(time.Hour))
			_, err = c.Recv().Await(ctx)
			if d := time.Since(begun); d < time.Hour || d > time.Hour+time.Second {
				t.Errorf("an hour took %v", d)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("want a timeout, got %v", err)
			}
			d := proactor.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: clientHost.AsSlice()}}
			_, err = d.Dial(ctx, rt, "tcp", address).Await(ctx)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("want a timeout, got %v", err)
			}
			d.Timeout = 0
			_, err = d.Dial(ctx, rt, "tcp", address).Await(ctx)
			if !errors.Is(err, syscall.ETIMEDOUT) {
				t.Errorf("want ETIMEDOUT, got %v", err)
			}
			return nil
		}).Await(t.Context())
		require.NoError(t, err)
	})
}

// A peer that reads slowly slows its own connection only, and gets everything.
func TestSimulatedSlowPeer(t *testing.T) {
	eachSeed(t, 20, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		address := simulatedServer(t, rt, echoEverything)
		data := numbered(20_000, 1)
		slow := rt.Go(context.Background(), func(ctx context.Context) error {
			c, err := dialSimulated(ctx, rt, address)
			if err != nil {
				return err
			}
			defer c.Close()
			sent := rt.Go(ctx, func(ctx context.Context) error {
				if _, err := c.SendBytes(data).Await(ctx); err != nil {
					return err
				}
				_, err := c.CloseWrite().Await(ctx)
				return err
			})
			var got []byte
			p := make([]byte, 100)
			for {
				n, err := c.RecvInto(p).Await(ctx)
				got = append(got, p[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					return err
				}
				rt.Sleep(time.Second).Await(ctx)
			}
			if !bytes.Equal(data, got) {
				return errCorrupt
			}
			_, err = sent.Await(ctx)
			return err
		})
		_, err := rt.Go(context.Background(), echoClient(rt, address, numbered(5000, 2))).Await(t.Context())
		require.NoError(t, err)
		_, err = slow.Await(t.Context())
		require.NoError(t, err)
	})
}

// Datagrams that are lost, come twice, or overtake each other do no harm to who asks again.
func TestSimulatedDatagrams(t *testing.T) {
	lost, doubled := 0, 0
	eachSeed(t, 50, func(t *testing.T, s *proactortest.Simulation, rt *proactor.Runtime) {
		c := s.Conditions()
		c.Loss, c.Duplicates = 0.3, 0.3
		s.SetConditions(c)
		address := simulatedPacketServer(t, rt)
		client := startSimulated(t, s)
		begun := time.Now()
		var came map[uint32]int
		_, err := client.Go(context.Background(), func(ctx context.Context) (err error) {
			came, err = ask(ctx, client, address, 10)
			return err
		}).Await(t.Context())
		require.NoError(t, err)
		if time.Since(begun) > 11*time.Second {
			lost++
		}
		for _, n := range came {
			if n > 1 {
				doubled++
			}
		}
	})
	require.NotZero(t, lost)
	require.NotZero(t, doubled)
}

// simulatedPacketServer returns each datagram, until the test ends.
func simulatedPacketServer(t *testing.T, rt *proactor.Runtime) netip.AddrPort {
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	task := rt.Go(context.Background(), func(ctx context.Context) error {
		for m, err := range pc.Messages(ctx) {
			if err != nil {
				return err
			}
			if _, err := pc.SendTo(m.Bytes(), m.From()).Await(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	t.Cleanup(func() {
		pc.Close()
		task.Await(context.Background())
	})
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// ask sends numbered datagrams, each until its answer comes, and counts what came of each.
func ask(ctx context.Context, rt *proactor.Runtime, server netip.AddrPort, questions uint32) (came map[uint32]int, err error) {
	pc, err := rt.ListenPacket("udp4", clientHost.String()+":0")
	if err != nil {
		return nil, err
	}
	defer pc.Close()
	came = map[uint32]int{}
	for i := range questions {
		question := append(binary.BigEndian.AppendUint32(nil, i), numbered(1000, uint64(i))...)
		for came[i] == 0 {
			if _, err := pc.SendTo(question, server).Await(ctx); err != nil {
				return came, err
			}
			if err := answers(ctx, pc, came); err != nil {
				return came, err
			}
		}
	}
	return came, nil
}

// answers takes what comes within a second.
func answers(ctx context.Context, pc *proactor.PacketConn, came map[uint32]int) error {
	pc.SetReadDeadline(time.Now().Add(time.Second))
	for {
		m, err := pc.Recv().Await(ctx)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		i := binary.BigEndian.Uint32(m.Bytes())
		came[i]++
		right := bytes.Equal(m.Bytes()[4:], numbered(1000, uint64(i)))
		m.Release()
		if !right {
			return errCorrupt
		}
	}
}
