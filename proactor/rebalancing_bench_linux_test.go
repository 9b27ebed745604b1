package proactor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// BenchmarkSkew has eight connections on one of two loops echo 256 KiB at a time, beside 200
// that echo 64 bytes each 20 ms. A round is a second. It reports what the eight carry and
// the 99th percentile of the others' round trips.
func BenchmarkSkew(b *testing.B) {
	for _, name := range []string{"one loop", "two loops, spread", "two loops, skewed", "two loops, rebalancing"} {
		for _, backend := range backends {
			b.Run(fmt.Sprintf("%s/%v", name, backend), func(b *testing.B) { skewed(b, name, backend) })
		}
	}
}

func skewed(b *testing.B, name string, backend proactor.Backend) {
	opts := []proactor.Option{proactor.WithBackend(backend), proactor.WithLoops(2)}
	if name == "one loop" {
		opts[1] = proactor.WithLoops(1)
	}
	if name == "two loops, rebalancing" {
		opts = append(opts, proactor.WithRebalancing())
	}
	rt, err := proactor.New(opts...)
	require.NoError(b, err)
	defer rt.Close()
	ln, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithMovableHandlers(), proactor.WithSpread(proactor.SpreadRoundRobin))
	require.NoError(b, err)
	defer ln.Close()
	go ln.Serve(context.Background(), queueBack)

	const heavy, light = 8, 200
	skew := name == "two loops, skewed" || name == "two loops, rebalancing"
	var bytes atomic.Int64
	var stop, measuring atomic.Bool
	var clients sync.WaitGroup
	for range heavy {
		c := benchDial(b, ln.Addr())
		if skew {
			defer benchDial(b, ln.Addr()).Close() // takes the turn of the other loop
		}
		clients.Go(func() {
			defer c.Close()
			p := make([]byte, 256<<10)
			go func() {
				for !stop.Load() {
					if _, err := c.Write(p); err != nil {
						return
					}
				}
				c.(*net.TCPConn).CloseWrite()
			}()
			q := make([]byte, 256<<10)
			for {
				n, err := c.Read(q)
				bytes.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
	}
	var mu sync.Mutex
	var trips []time.Duration
	for range light {
		c := benchDial(b, ln.Addr())
		clients.Go(func() {
			defer c.Close()
			p := make([]byte, 64)
			for !stop.Load() {
				begin := time.Now()
				c.Write(p)
				if _, err := io.ReadFull(c, p); err != nil {
					return
				}
				took := time.Since(begin)
				if measuring.Load() {
					mu.Lock()
					trips = append(trips, took)
					mu.Unlock()
				}
				time.Sleep(20*time.Millisecond - min(took, 20*time.Millisecond))
			}
		})
	}
	time.Sleep(time.Second) // rebalancing needs some intervals
	measuring.Store(true)
	b.ResetTimer()
	before, begin := bytes.Load(), time.Now()
	for range b.N {
		time.Sleep(time.Second)
	}
	carried, took := bytes.Load()-before, time.Since(begin)
	b.StopTimer()
	stop.Store(true)
	clients.Wait()
	slices.Sort(trips)
	b.ReportMetric(float64(carried)/took.Seconds()/1e6, "MB/s")
	b.ReportMetric(float64(trips[len(trips)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(rt.Stats().Total().Rebalanced), "moves")
}

func benchDial(b *testing.B, addr net.Addr) net.Conn {
	c, err := net.Dial("tcp", addr.String())
	require.NoError(b, err)
	return c
}
