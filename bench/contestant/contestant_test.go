package contestant_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/process"
	"github.com/stretchr/testify/require"
)

// TestMain is also the servers' process: TEST server NAME [-broadcast | -messages].
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "server" {
		os.Exit(m.Run())
	}
	c, err := contestant.Find(os.Args[2])
	if err == nil {
		serve, how := c.Serve, ""
		if len(os.Args) > 3 {
			how = os.Args[3]
		}
		if how == "-messages" {
			serve = c.ServeMessages
		}
		err = serve(contestant.Options{
			Addr:      "127.0.0.1:0",
			Broadcast: how == "-broadcast",
			Listening: func(addr string) { fmt.Fprintln(os.Stderr, "listening on tcp", addr) },
		})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// start starts a contestant's server and returns its address.
func start(t *testing.T, c contestant.Contestant, args ...string) string {
	argv := []string{os.Args[0], "server", c.Name}
	if c.Build != nil && (c.Serve == nil && c.ServeMessages == nil || len(args) == 0) {
		if _, err := exec.LookPath("cc"); err != nil && c.Family == contestant.Ceiling {
			t.Skip("no C compiler")
		}
		var err error
		argv, err = c.Build(t.Context(), t.TempDir())
		require.NoError(t, err)
		args = append([]string{"-addr", "127.0.0.1:0"}, args...)
	}
	p, err := process.Start(process.Spec{Argv: append(argv, args...)})
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	line, err := p.FirstLine(ctx)
	require.NoError(t, err)
	rest, ok := strings.CutPrefix(line, "listening on tcp ")
	require.True(t, ok, line)
	addr, _, _ := strings.Cut(rest, " ")
	return addr
}

func dial(t *testing.T, addr string) *net.TCPConn {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c.(*net.TCPConn)
}

func random(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func TestContestants(t *testing.T) {
	for _, c := range contestant.All() {
		t.Run(c.Name, func(t *testing.T) {
			t.Run("echo", func(t *testing.T) { testEcho(t, c) })
			if c.NoBroadcast == "" {
				t.Run("broadcast", func(t *testing.T) { testBroadcast(t, c) })
			}
			if c.ServeMessages != nil {
				t.Run("messages", func(t *testing.T) { testMessages(t, c) })
			}
		})
	}
}

// testEcho sends 1 MiB of random bytes over each of several connections in
// pieces of all sizes. The client reads late and through a small window, so
// that the server cannot send all it has at once.
func testEcho(t *testing.T, c contestant.Contestant) {
	addr := start(t, c)
	const conns, size = 5, 1 << 20
	results := make(chan error, conns)
	for i := range conns {
		conn := dial(t, addr)
		require.NoError(t, conn.SetReadBuffer(128<<10))
		go func() { results <- echo(conn, byte(i), size, c.DropsOnEOF) }()
	}
	for range conns {
		require.NoError(t, <-results)
	}
	// And the server goes on.
	require.NoError(t, echo(dial(t, addr), 0, 1, c.DropsOnEOF))
}

// echo sends, reads it back, and ends: with a half-close while most of it is
// still on the way, or after all has come back if the server drops on EOF.
func echo(conn *net.TCPConn, seed byte, size int, dropsOnEOF bool) error {
	sent := random(seed, size)
	behind := make(chan struct{}) // closed when reading may begin
	begin := sync.OnceFunc(func() { close(behind) })
	done := make(chan error, 1)
	go func() {
		pieces := rand.New(rand.NewPCG(uint64(seed), 0))
		for left := sent; len(left) > 0; {
			if len(sent)-len(left) >= 256<<10 {
				begin()
			}
			n := min(1+pieces.IntN(100<<10), len(left))
			if _, err := conn.Write(left[:n]); err != nil {
				begin()
				done <- err
				return
			}
			left = left[n:]
		}
		begin()
		if !dropsOnEOF {
			done <- conn.CloseWrite()
			return
		}
		done <- nil
	}()
	<-behind
	got := make([]byte, size)
	if n, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, size, err)
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("what came back differs from what was sent")
	}
	if err := <-done; err != nil {
		return err
	}
	if dropsOnEOF {
		if err := conn.CloseWrite(); err != nil {
			return err
		}
	}
	if n, err := conn.Read(got); err != io.EOF {
		return fmt.Errorf("at the end: %d bytes, %w; want EOF", n, err)
	}
	return nil
}

// testMessages sends messages from several sockets, of which each gets its own
// back.
func testMessages(t *testing.T, c contestant.Contestant) {
	addr := start(t, c, "-messages")
	for i := range 5 {
		conn, err := net.Dial("udp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		for _, size := range []int{1, 64, 1400, 8000} {
			sent, got := random(byte(i), size), make([]byte, 64<<10)
			_, err := conn.Write(sent)
			require.NoError(t, err)
			n, err := conn.Read(got)
			require.NoError(t, err)
			require.Equal(t, sent, got[:n])
		}
	}
}

// testBroadcast: each connection in turn says its number, which it and all
// before it get to hear; then the first one says more.
func testBroadcast(t *testing.T, c contestant.Contestant) {
	addr := start(t, c, "-broadcast")
	const conns = 5
	message := random(1, 64<<10)
	var room []*net.TCPConn
	for i := range conns {
		room = append(room, dial(t, addr))
		_, err := room[i].Write([]byte{byte(i)})
		require.NoError(t, err)
		for _, conn := range room {
			heard := make([]byte, 1)
			_, err := io.ReadFull(conn, heard)
			require.NoError(t, err)
			require.Equal(t, byte(i), heard[0])
		}
	}
	go room[0].Write(message)
	for _, conn := range room {
		heard := make([]byte, len(message))
		_, err := io.ReadFull(conn, heard)
		require.NoError(t, err)
		require.True(t, bytes.Equal(message, heard))
	}
}

// TestSelectRefuses: a descriptor that does not fit the bit set is refused, and
// those that do go on being served.
func TestSelectRefuses(t *testing.T) {
	c, err := contestant.Find("select")
	require.NoError(t, err)
	addr := start(t, c)
	first := dial(t, addr)
	refused := false
	for range 1024 {
		conn := dial(t, addr)
		conn.Write([]byte{1})
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			refused = true
			break
		}
	}
	require.True(t, refused)
	require.NoError(t, echo(first, 0, 1000, false))
}

func TestSelection(t *testing.T) {
	names := func(patterns ...string) []string {
		chosen, err := contestant.Select(contestant.All(), patterns)
		require.NoError(t, err)
		var names []string
		for _, c := range chosen {
			names = append(names, c.Name)
		}
		return names
	}
	require.Equal(t, []string{"net", "c-epoll", "c-io_uring"}, names("ceiling", "net"))
	require.Equal(t, []string{"gnet-et", "gnet-lt"}, names("gnet*"))
	require.NotContains(t, names(), "goproactor-io_uring-await-submissionthread", "only on request")
	require.NotContains(t, names("ours", "goproactor-io_uring*"), "goproactor-io_uring-await-submissionthread")
	require.Equal(t, []string{"goproactor-io_uring-await-submissionthread"}, names("goproactor-io_uring-await-submissionthread"))
	require.Len(t, names(), len(contestant.All())-2)
	_, err := contestant.Select(contestant.All(), []string{"nobody"})
	require.ErrorContains(t, err, `"nobody"`)
}
