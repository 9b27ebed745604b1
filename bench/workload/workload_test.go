package workload_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

// serve runs handle for each connection and returns the address.
func serve(t *testing.T, handle func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	return l.Addr().String()
}

func echo(c net.Conn) { io.Copy(c, c) }

// drive does a job against this process, in which a request is answered. That takes longer
// on a machine that does something else.
func drive(t *testing.T, addr string, job load.Job) (result load.Result, err error) {
	job.Addr, job.PID = addr, os.Getpid()
	job.Warmup = 10 * time.Millisecond
	for job.Duration = 50 * time.Millisecond; ; job.Duration *= 4 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			result, err = workload.Drive(job)
		}()
		<-done
		none := err != nil && strings.Contains(err.Error(), "no request was answered")
		// None from its beginning, or the kernel has not yet counted the processor's time.
		few := err == nil && result.PerConn == 0 && (result.Requests == 0 || result.CPU == 0 || result.Latency.P50 == 0)
		if !none && !few || job.Duration > 10*time.Second {
			return result, err
		}
	}
}

func TestEcho(t *testing.T) {
	addr := serve(t, echo)
	for name, job := range map[string]load.Job{
		"one":       {Size: 64, Conns: 1, Window: 1},
		"deep":      {Size: 100, Conns: 8, Window: 16},
		"large":     {Size: 256 << 10, Conns: 4, Window: 2},
		"spinning":  {Size: 64, Conns: 2, Window: 1, Spin: true},
		"idlers":    {Size: 64, Conns: 4, Window: 1, Idle: 10},
		"at a rate": {Size: 64, Conns: 4, Window: 1, Rate: 2000},
	} {
		t.Run(name, func(t *testing.T) {
			job.Workload, job.Check = "echo", true
			r, err := drive(t, addr, job)
			require.NoError(t, err)
			require.Positive(t, r.Requests)
			require.Positive(t, r.CPU)
			require.Positive(t, r.Latency.P50)
			require.LessOrEqual(t, r.Latency.P50, r.Latency.P999)
		})
	}
}

func TestEchoFallsBehind(t *testing.T) {
	_, err := drive(t, serve(t, echo), load.Job{Workload: "echo", Size: 16 << 10, Conns: 1, Window: 1, Rate: 1e6})
	require.ErrorContains(t, err, "fell behind")
}

// TestEchoDisqualifies: servers that do not send back what they got.
func TestEchoDisqualifies(t *testing.T) {
	for name, c := range map[string]struct {
		handle func(net.Conn)
		want   string
	}{
		"changes a byte": {func(c net.Conn) {
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				buf[n-1] ^= 1
				c.Write(buf[:n])
			}
		}, "differs"},
		"says too much": {func(c net.Conn) {
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				c.Write(append(buf[:n:n], buf[:n]...))
			}
		}, "received back"},
		"hangs up": {func(c net.Conn) { c.Read(make([]byte, 1)) }, "connection"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := drive(t, serve(t, c.handle), load.Job{Workload: "echo", Size: 64, Conns: 2, Window: 1, Check: true})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestChurn(t *testing.T) {
	r, err := drive(t, serve(t, echo), load.Job{Workload: "churn", Size: 64, Conns: 4})
	require.NoError(t, err)
	require.Positive(t, r.Requests)
}

func TestUDP(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	t.Cleanup(func() { c.Close(); serving.Wait() })
	lie := make(chan bool, 1)
	serving.Go(func() {
		buf := make([]byte, 4096)
		for i := 0; ; i++ {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if len(lie) > 0 {
				buf[n-1]++
			}
			if i != 10 { // one is lost
				c.WriteTo(buf[:n], from)
			}
		}
	})
	job := load.Job{Workload: "udp", Size: 64, Conns: 4, Window: 2, Check: true}
	r, err := drive(t, c.LocalAddr().String(), job)
	require.NoError(t, err)
	require.Positive(t, r.Requests)
	lie <- true
	_, err = drive(t, c.LocalAddr().String(), job)
	require.ErrorContains(t, err, "differs")
}

func TestBroadcast(t *testing.T) {
	var mu sync.Mutex
	room := make(map[net.Conn]bool)
	addr := serve(t, func(c net.Conn) {
		mu.Lock()
		room[c] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			delete(room, c)
		}()
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			for len(room) < 5 { // here connections are accepted in any order
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
			}
			for other := range room {
				other.Write(buf[:n])
			}
			mu.Unlock()
		}
	})
	r, err := drive(t, addr, load.Job{Workload: "broadcast", Size: 64, Conns: 5})
	require.NoError(t, err)
	require.Positive(t, r.Requests)
}

func TestMemory(t *testing.T) {
	r, err := drive(t, serve(t, echo), load.Job{Workload: "memory", Size: 64, Conns: 150})
	require.NoError(t, err)
	require.Positive(t, r.PerConn)
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	for _, w := range workload.All() {
		_, err := drive(t, l.Addr().String(), load.Job{Workload: w.Name, Size: 64, Conns: 1, Window: 1})
		require.ErrorContains(t, err, "refused", w.Name)
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "echo 16 KiB × 64, 16 deep, 100 idle",
		workload.Cell{Workload: "echo", Size: 16 << 10, Conns: 64, Window: 16, Idle: 100}.ID())
	seen := make(map[string]bool)
	for _, w := range workload.All() {
		for _, c := range w.Cells {
			require.False(t, seen[c.ID()], c.ID())
			seen[c.ID()] = true
			require.Equal(t, w.Name, c.Workload)
			require.LessOrEqual(t, c.Size*c.Conns*c.Window, 256<<20)
		}
	}
	_, err := workload.Find("nothing")
	require.ErrorContains(t, err, `"nothing"`)
}
