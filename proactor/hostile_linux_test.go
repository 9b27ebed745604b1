package proactor_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestHostileClients has clients that do what no program should. Others are served
// meanwhile, what the attackers make the server hold stays within bounds, and when they
// are gone nothing is left of them.
func TestHostileClients(t *testing.T) {
	if address := os.Getenv(stoppedClient); address != "" {
		exchangeWith(t, address)
		return
	}
	if name := os.Getenv(stoppedServer); name != "" {
		serveUntilEOF(t, name)
		return
	}
	conform(t, hostile)
}

// The bounds that a server is given under attack.
const (
	hostileBudget  = 32 << 20 // bytes held by all connections (WithMemoryBudget)
	hostileBuffers = 64       // receive buffers of a loop
)

// defended are the options of a server that is attacked.
var defended = []proactor.Option{
	proactor.WithMemoryBudget(hostileBudget), proactor.WithBuffers(32<<10, hostileBuffers),
}

// withinBounds checks what the server holds. A loop sees that it exceeds its part of the
// budget when it has received one more buffer.
func withinBounds(t *testing.T, rt *proactor.Runtime) {
	t.Helper()
	const large = 8 * 32 << 10 // the largest receive buffer
	s := rt.Stats().Total()
	loops := len(rt.Loops())
	require.LessOrEqual(t, s.Held, int64(hostileBudget+loops*large), rt.Describe())
	require.LessOrEqual(t, s.Buffers, loops*(hostileBuffers+hostileBuffers/8), rt.Describe())
	require.LessOrEqual(t, s.BuffersOut, s.Buffers)
}

// recovered waits until nothing is left of the attackers: only so many connections, and
// no received data.
func recovered(t *testing.T, rt *proactor.Runtime, conns int) {
	t.Helper()
	eventually(t, func() bool {
		s := rt.Stats().Total()
		return s.Conns == conns && s.Held == 0 && s.BuffersOut == 0
	}, rt.Describe)
}

// narrow is a client whose socket holds little that it has not read.
func narrow(t *testing.T, addr net.Addr) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
		})
	}}
	c, err := d.Dial("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// flood writes until nothing has been taken for a while, or for a second. These times
// make the attack stronger or weaker, and nothing else.
func flood(c *net.TCPConn, p []byte) {
	for begun := time.Now(); time.Since(begun) < time.Second; {
		c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := c.Write(p); err != nil && n == 0 {
			return
		}
	}
}

// eachStyle shows something of echo servers in each style, one after the other, each
// attacked at addr while a client of its own is served.
func eachStyle(t *testing.T, rt *proactor.Runtime, attack func(t *testing.T, addr net.Addr, other net.Conn)) {
	t.Helper()
	for _, style := range styles {
		addr := serveEcho(t, rt, style)
		other := dial(t, addr)
		require.NoError(t, hello(other), style)
		attack(t, addr, other)
		recovered(t, rt, 1)
		require.NoError(t, hello(other), style)
		late := dial(t, addr)
		require.NoError(t, hello(late), style)
		late.Close()
		other.Close()
		recovered(t, rt, 0)
	}
}

// readsLines answers each line with its length, if it comes within the patience.
func readsLines(patience time.Duration, timedOut *atomic.Int32) func(ctx context.Context, c *proactor.Conn) error {
	return func(ctx context.Context, c *proactor.Conn) error {
		r := c.Reader()
		for {
			c.SetReadDeadline(time.Now().Add(patience))
			line, err := r.ReadSlice(ctx, '\n')
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					timedOut.Add(1)
				}
				return err
			}
			if _, err := c.SendBytes(fmt.Appendln(nil, len(line))).Await(ctx); err != nil {
				return err
			}
		}
	}
}

// tinyWrites is how many messages of a byte make the attack.
func tinyWrites() int {
	if raceEnabled || testing.Short() {
		return 50_000
	}
	return 1_000_000
}

// urgent sends a byte out of band (tcp(7)).
func urgent(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, raw.Write(func(fd uintptr) bool {
		_, failed = unix.SendmsgN(int(fd), []byte{'!'}, nil, nil, unix.MSG_OOB)
		return !errors.Is(failed, unix.EAGAIN)
	}))
	require.NoError(t, failed)
}

// vanish ends a connection without a word to the peer, as a machine does whose power
// fails (tcp(7), TCP_REPAIR).
func vanish(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	}))
	if errors.Is(failed, unix.EPERM) || errors.Is(failed, unix.ENOPROTOOPT) {
		t.Skipf("a connection vanishes for users with CAP_NET_ADMIN only: %v", failed)
	}
	require.NoError(t, failed)
	require.NoError(t, c.Close())
}

var hostile = []behaviour{
	{name: "slow loris", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		const attackers = 50
		var late atomic.Int32
		addr := serve(t, rt, readsLines(500*time.Millisecond, &late))
		var attack sync.WaitGroup
		for range attackers {
			c := dial(t, addr)
			attack.Go(func() { // until it is ended
				drip := time.NewTicker(10 * time.Millisecond)
				defer drip.Stop()
				for _, err := c.Write([]byte("x")); err == nil; _, err = c.Write([]byte("x")) {
					<-drip.C
				}
			})
		}
		ask := func() bool { // on a slow machine it may itself be too late
			c := dial(t, addr)
			defer c.Close()
			io.WriteString(c, "hello\n")
			answer, _ := bufio.NewReader(c).ReadString('\n')
			return answer == "6\n"
		}
		eventually(t, ask, rt.Describe)
		withinBounds(t, rt)
		attack.Wait()
		require.GreaterOrEqual(t, late.Load(), int32(attackers))
		recovered(t, rt, 0)
		eventually(t, ask, rt.Describe)
	}},
	{name: "clients that never read", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		eachStyle(t, rt, func(t *testing.T, addr net.Addr, other net.Conn) {
			var attackers []net.Conn
			var attack sync.WaitGroup
			for i := range 12 {
				c := narrow(t, addr)
				attackers = append(attackers, c)
				size := []int{1, 100, 64 << 10}[i%3]
				attack.Go(func() {
					flood(c, make([]byte, 64<<10)) // the way back is full
					flood(c, make([]byte, size))
				})
			}
			for range 50 {
				require.NoError(t, hello(other))
				withinBounds(t, rt)
			}
			attack.Wait()
			for range 50 {
				require.NoError(t, hello(other))
			}
			withinBounds(t, rt)
			for _, c := range attackers {
				c.Close()
			}
		})
	}},
	{name: "a client that reads byte by byte", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		const size = 8 << 20
		pattern := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(pattern)
		eachStyle(t, rt, func(t *testing.T, addr net.Addr, other net.Conn) {
			c := narrow(t, addr)
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(pattern)
				sent <- errors.Join(err, c.CloseWrite())
			}()
			p := make([]byte, size)
			const slow = 200
			for i := range slow { // a byte each time that another client was served
				_, err := io.ReadFull(c, p[i:i+1])
				require.NoError(t, err)
				require.NoError(t, hello(other))
				withinBounds(t, rt)
			}
			_, err := io.ReadFull(c, p[slow:])
			require.NoError(t, err)
			require.NoError(t, <-sent)
			require.True(t, bytes.Equal(pattern, p))
			_, err = c.Read(p)
			require.Equal(t, io.EOF, err)
			c.Close()
		})
	}},
	{name: "resets in the middle", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		eachStyle(t, rt, func(t *testing.T, addr net.Addr, other net.Conn) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 200 {
				c := narrow(t, addr)
				require.NoError(t, c.SetLinger(0))
				switch i % 4 {
				case 0: // before a byte
				case 1: // in a message
					c.Write(make([]byte, 1+random.IntN(100)))
				case 2: // while it is answered
					c.SetWriteDeadline(time.Now().Add(time.Millisecond))
					c.Write(make([]byte, 1<<20))
				case 3: // after the end of what it sends
					c.Write(make([]byte, 1000))
					c.CloseWrite()
					io.ReadFull(c, make([]byte, 1+random.IntN(1000)))
				}
				require.NoError(t, c.Close())
				if i%20 == 0 {
					require.NoError(t, hello(other))
					withinBounds(t, rt)
				}
			}
		})
	}},
	{name: "half-open for ever", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		// Without a limit they cost a connection each and nothing else; with one they end.
		var begun, ended atomic.Int32
		var timeout atomic.Int64
		const each = 50
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			defer ended.Add(1)
			c.SetIdleTimeout(time.Duration(timeout.Load()))
			begun.Add(1)
			if err := echo(ctx, c); err != nil {
				return err
			}
			_, err := c.Closed().Await(ctx) // the peer waits for an answer that takes for ever
			return err
		})
		attack := func() (all []*net.TCPConn) {
			for range each {
				silent, half := dial(t, addr), dial(t, addr)
				half.Write([]byte("hello"))
				half.CloseWrite()
				all = append(all, silent, half)
			}
			return all
		}
		for _, c := range attack() {
			defer c.Close()
		}
		other := dial(t, addr)
		require.NoError(t, hello(other))
		recovered(t, rt, 2*each+1)                                                  // that they hold nothing
		eventually(t, func() bool { return begun.Load() == 2*each+1 }, rt.Describe) // without a limit
		require.Zero(t, ended.Load())
		timeout.Store(int64(briefly))
		for _, c := range attack() {
			io.Copy(io.Discard, c) // until it is ended
		}
		eventually(t, func() bool { return ended.Load() == 2*each }, rt.Describe)
		require.NoError(t, hello(other))
		recovered(t, rt, 2*each+1)
	}},
	{name: "peers that have vanished", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			c.SetIdleTimeout(time.Second)
			return echo(ctx, c)
		})
		for range 20 {
			c := dial(t, addr)
			for hello(c) != nil { // the machine was busy for a second
				c = dial(t, addr)
			}
			vanish(t, c)
		}
		other := dial(t, addr)
		eventually(t, func() bool {
			other.SetDeadline(time.Now().Add(10 * time.Second))
			if hello(other) != nil { // the machine was busy for a second
				other = dial(t, addr)
			}
			return rt.Stats().Total().Conns <= 1
		}, rt.Describe)
		other.Close()
		recovered(t, rt, 0)
	}},
	{name: "a million tiny writes", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		const writers = 4
		each := tinyWrites() / writers
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			for n := 0; n < each; {
				b, err := c.Recv().Await(ctx)
				if err != nil {
					return err
				}
				for _, v := range b.Bytes() {
					if v != byte(n) {
						return fmt.Errorf("byte %d is %d", n, v)
					}
					n++
				}
				b.Release()
			}
			_, err := c.SendBytes([]byte("all")).Await(ctx)
			return err
		})
		other := dial(t, serveEcho(t, rt, "await"))
		var all sync.WaitGroup
		for range writers {
			c := dial(t, addr) // TCP_NODELAY, as package net sets it
			all.Go(func() {
				for i := range each {
					if _, err := c.Write([]byte{byte(i)}); err != nil {
						t.Error(err)
						return
					}
				}
				answer, err := io.ReadAll(c)
				if err != nil || string(answer) != "all" {
					t.Errorf("%q, %v", answer, err)
				}
			})
		}
		for range 100 {
			require.NoError(t, hello(other))
			withinBounds(t, rt)
		}
		all.Wait()
		recovered(t, rt, 1)
	}},
	{name: "a client that is stopped", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		eachStyle(t, rt, func(t *testing.T, addr net.Addr, other net.Conn) {
			before := rt.Stats().Total().Accepted
			client := again(t, stoppedClient+"="+addr.String())
			require.NoError(t, client.Start())
			t.Cleanup(func() { client.Process.Kill() })
			// Accepted, since they may be over by the time that we look.
			eventually(t, func() bool { return rt.Stats().Total().Accepted > before }, rt.Describe)
			for range 5 {
				require.NoError(t, client.Process.Signal(unix.SIGSTOP))
				for range 20 {
					require.NoError(t, hello(other))
					withinBounds(t, rt)
				}
				require.NoError(t, client.Process.Signal(unix.SIGCONT))
				require.NoError(t, hello(other))
			}
			require.NoError(t, client.Wait(), "%s", client.Stdout)
		})
	}},
	{name: "a server that is stopped", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		server := again(t, stoppedServer+"="+rt.Backend().Backend.String())
		server.Stdout = nil
		stdin, err := server.StdinPipe()
		require.NoError(t, err)
		stdout, err := server.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, server.Start())
		t.Cleanup(func() { server.Process.Kill() })
		addr := announced(t, stdout)
		dialed := func() *proactor.Conn {
			c, err := rt.Dial(t.Context(), "tcp", addr).Await(t.Context())
			require.NoError(t, err)
			return c
		}
		ask := func(c *proactor.Conn) {
			_, err := c.SendBytes([]byte("hello")).Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, "hello", receivedAll(t, t.Context(), c, 5))
		}
		c, stuck := dialed(), dialed()
		ask(c)
		require.NoError(t, server.Process.Signal(unix.SIGSTOP))
		late := dialed() // its kernel takes the connection
		for _, c := range []*proactor.Conn{c, late} {
			require.NoError(t, c.SetReadDeadline(soon()))
			_, err := c.Recv().Await(t.Context())
			timedOut(t, err)
			require.NoError(t, c.SetReadDeadline(never))
		}
		require.NoError(t, stuck.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		n, err := stuck.SendBytes(make([]byte, stuffed)).Await(t.Context())
		timedOut(t, err)
		require.Less(t, n, stuffed)
		withinBounds(t, rt)
		stuck.Abort()
		_, err = stuck.Closed().Await(t.Context())
		require.NoError(t, err)

		require.NoError(t, server.Process.Signal(unix.SIGCONT))
		for _, c := range []*proactor.Conn{c, late, dialed()} {
			ask(c)
			closedDown(t, c)
		}
		require.NoError(t, stdin.Close())
		_, err = io.Copy(io.Discard, stdout)
		require.NoError(t, err)
		require.NoError(t, server.Wait())
		recovered(t, rt, 0)
	}},
	{name: "urgent data", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		const rounds = 2000
		var want []byte
		for i := range rounds {
			want = fmt.Appendf(want, "%d,", i)
		}
		eachStyle(t, rt, func(t *testing.T, addr net.Addr, other net.Conn) {
			c := dial(t, addr)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range rounds {
					fmt.Fprintf(c, "%d,", i)
					urgent(t, c)
				}
				c.CloseWrite()
			}()
			// It is out of band: no part of the stream. But of two the first comes into the
			// stream when the second overtakes it unread (tcp(7)).
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			<-sent
			require.Equal(t, string(want), strings.ReplaceAll(string(got), "!", ""))
			require.NoError(t, hello(other))
			withinBounds(t, rt)
			c.Close()
		})
	}},
	{name: "urgent data, and nothing else", opts: defended, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		other := dial(t, serveEcho(t, rt, "await"))
		f := c.Recv()
		for range 3 {
			urgent(t, peer)
			require.NoError(t, hello(other))
		}
		// A loop that wakes up again and again for what it does not take would never sleep.
		eventually(t, func() bool { return proactor.Asleep(c.Loop()) }, rt.Describe)
		wrote(t, peer, "data")
		b, err := f.Await(t.Context())
		for got := ""; ; b, err = c.Recv().Await(t.Context()) {
			require.NoError(t, err)
			got += string(b.Bytes())
			b.Release()
			if strings.ReplaceAll(got, "!", "") == "data" {
				break
			}
		}
		urgent(t, peer)
		require.NoError(t, peer.Close())
		for err == nil { // urgent data that nobody has taken is not the end of the stream
			if b, err = c.Recv().Await(t.Context()); err == nil {
				require.Equal(t, "!", string(b.Bytes()))
				b.Release()
			}
		}
		require.Equal(t, io.EOF, err)
		closedDown(t, c)
	}},
	{name: "datagrams of nothing, and of too much", show: func(t *testing.T, rt *proactor.Runtime) {
		name := abstractName("hostile-" + rt.Backend().Backend.String())
		c := packetConn(t, rt, "unixgram", name)
		const senders, each = 4, 60
		sizes := []int{0, 1, 70_000, 0, 100_000, 500}
		ended := make(chan error, 8)
		counts := map[int]int{}
		onLoop(t, c.Loop(), func(ctx context.Context) {
			for range senders {
				go func() {
					s, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
					for i := 0; i < each && err == nil; i++ {
						_, err = s.Write(make([]byte, sizes[i%len(sizes)]))
						for errors.Is(err, unix.EAGAIN) { // package net waits for room for a byte at least
							runtime.Gosched()
							_, err = s.Write(nil)
						}
					}
					ended <- errors.Join(err, s.Close())
				}()
			}
			for range senders * each {
				m, err := c.Recv().Await(ctx)
				require.NoError(t, err)
				counts[m.Size()]++
				require.LessOrEqual(t, m.Len(), m.Size())
				require.Equal(t, m.Len() < m.Size(), m.Truncated(), "%d of %d bytes", m.Len(), m.Size())
				m.Release()
			}
		})
		for range senders {
			require.NoError(t, <-ended)
		}
		require.Equal(t, map[int]int{0: 80, 1: 40, 70_000: 40, 100_000: 40, 500: 40}, counts)
		packetClosed(t, c)
	}},
	{name: "a flood of empty datagrams", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		var empty atomic.Int64
		c.OnMessage(func(m proactor.Message, err error) {
			switch {
			case err != nil:
			case m.Len() == 0:
				empty.Add(1)
				m.Release()
			default:
				c.Reply(m)
			}
		})
		// The socket is never empty and never full, however slow the loop is: what the kernel
		// drops says nothing about the loop.
		const outstanding = 64 // of the 270 or so that the socket keeps
		attacker := udpPeer(t, "127.0.0.1:0")
		var attack sync.WaitGroup
		over := make(chan struct{})
		stop := sync.OnceFunc(func() { close(over); attack.Wait() })
		defer stop()
		attack.Go(func() {
			for sent := int64(0); ; {
				select {
				case <-over:
					return
				default:
				}
				if sent-empty.Load() >= outstanding {
					runtime.Gosched() // with one processor the loop runs now
				} else if _, err := attacker.WriteTo(nil, c.LocalAddr()); err == nil {
					sent++
				}
			}
		})
		other := udpPeer(t, "127.0.0.1:0")
		for range 20 {
			before := empty.Load()
			eventually(t, func() bool { return empty.Load() > before }, rt.Describe) // the attack is under way
			writeTo(t, other, "hello", c.LocalAddr())
			answer, _ := readFrom(t, other)
			require.Equal(t, "hello", answer)
		}
		stop()
		packetClosed(t, c)
	}},
}

const (
	stoppedClient = "GOPROACTOR_STOPPED_CLIENT" // the address of the server to talk to
	stoppedServer = "GOPROACTOR_STOPPED_SERVER" // the backend of the server to be
)

// again is this test in a process of its own.
func again(t *testing.T, env string) *exec.Cmd {
	t.Helper()
	top, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(os.Args[0], "-test.run=^"+top+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), env, "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), os.Stderr
	return cmd
}

// announced is the address that a process says.
func announced(t *testing.T, stdout io.Reader) string {
	t.Helper()
	for in := bufio.NewReader(stdout); ; {
		line, err := in.ReadString('\n')
		require.NoError(t, err, "no address came")
		if address, ok := strings.CutPrefix(line, "address "); ok {
			return strings.TrimSpace(address)
		}
	}
}

// exchangeWith is the process of a client that is stopped now and then.
func exchangeWith(t *testing.T, address string) {
	var all sync.WaitGroup
	for i := range 10 {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		all.Go(func() {
			defer c.Close()
			if err := roundTrip(c, 2<<20, byte(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// serveUntilEOF is the process of a server, which ends with its input.
func serveUntilEOF(t *testing.T, name string) {
	b, err := proactor.ParseBackend(name)
	require.NoError(t, err)
	rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
	require.NoError(t, err)
	defer rt.Close()
	fmt.Println("address", serveEcho(t, rt, "queue"))
	io.Copy(io.Discard, os.Stdin)
}

// With -hostile=10s TestHostileLatency measures for that long. It is no test of every
// run, since it asserts a time.
var hostileFor = flag.Duration("hostile", 0, "measure for this long how others are served while clients attack")

// TestHostileLatency measures how long others wait for an answer while 300 clients never
// read, and have filled every buffer on their way, and 3,000 are idle.
func TestHostileLatency(t *testing.T) {
	if *hostileFor == 0 {
		t.Skip("it asserts a time: run it alone, with -hostile=10s")
	}
	const deaf, idle, others, limit = 300, 3000, 20, 50 * time.Millisecond
	if need := uint64(2*(deaf+idle+others) + 300); descriptorLimit(t) < need {
		t.Skipf("needs %d descriptors: raise the limit with ulimit -n", need)
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serveEcho(t, rt, "await")
		var attackers []*net.TCPConn
		for range idle {
			attackers = append(attackers, dial(t, addr))
		}
		var attack, full sync.WaitGroup
		for range deaf {
			c := narrow(t, addr)
			attackers = append(attackers, c)
			full.Add(1)
			attack.Go(func() {
				flood(c, make([]byte, 64<<10))
				full.Done()
				c.SetWriteDeadline(never)
				for err := error(nil); err == nil; { // what the server takes in the meantime
					_, err = c.Write(make([]byte, 4096))
				}
			})
		}
		full.Wait()
		var mu sync.Mutex
		var waited []time.Duration
		var served sync.WaitGroup
		begun := time.Now()
		for range others {
			c := dial(t, addr)
			attackers = append(attackers, c)
			served.Go(func() {
				for time.Since(begun) < *hostileFor {
					asked := time.Now()
					if err := hello(c); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					waited = append(waited, time.Since(asked))
					mu.Unlock()
					time.Sleep(time.Millisecond) // the pace of the measurement
				}
			})
		}
		var held int64
		for time.Since(begun) < *hostileFor {
			withinBounds(t, rt)
			held = max(held, rt.Stats().Total().Held)
			time.Sleep(50 * time.Millisecond) // the pace of the look at the bounds
		}
		served.Wait()
		descriptors, s := openDescriptors(t), rt.Stats().Total()
		require.LessOrEqual(t, descriptors, 2*(deaf+idle+others)+100)
		slices.Sort(waited)
		at := func(percent int) time.Duration { return waited[len(waited)*percent/100].Round(10 * time.Microsecond) }
		t.Logf("%d answers: 50%% within %v, 90%% within %v, 99%% within %v; at most %d KiB held, %d descriptors, %d buffers, %d connections ended over budget",
			len(waited), at(50), at(90), at(99), held>>10, descriptors, s.Buffers, s.OverBudget)
		require.Less(t, at(90), limit)
		for _, c := range attackers {
			c.Close()
		}
		attack.Wait()
		recovered(t, rt, 0)
		late := dial(t, addr)
		require.NoError(t, hello(late))
	}, defended...)
}
