package proactor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// heirBackend is the variable that tells TestHeir what it runs on.
const heirBackend = "PROACTOR_TEST_HEIR_BACKEND"

// TestHeir is the new process of TestHotRestart: it serves the listener that it was
// started with until its standard input ends. Run otherwise it has nothing to do.
func TestHeir(t *testing.T) {
	name := os.Getenv(heirBackend)
	if name == "" {
		return
	}
	backend, err := proactor.ParseBackend(name)
	require.NoError(t, err)
	rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(2))
	require.NoError(t, err)
	defer rt.Close()
	activated, err := rt.Activation()
	require.NoError(t, err)
	require.Len(t, activated.Listeners["web"], 1)
	none, err := proactor.ActivationFiles()
	require.NoError(t, err)
	require.Empty(t, none, "the second time")
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- activated.Listeners["web"][0].Serve(ctx, answering("new")) }()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	cancel()
	<-served
}

// answering is a handler that answers one request with a name.
func answering(name string) func(context.Context, *proactor.Conn) error {
	return func(ctx context.Context, c *proactor.Conn) error {
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		b.Release()
		_, err = c.SendBytes([]byte(name)).Await(ctx)
		return err
	}
}

// TestHotRestart has short connections come while a new process takes the listening
// sockets over from this one: none fails, and both processes answer some.
func TestHotRestart(t *testing.T) {
	connections := 20000
	if testing.Short() {
		connections = 2000
	}
	for _, heir := range backends {
		t.Run("to "+heir.String(), func(t *testing.T) {
			requireBackend(t, heir)
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				ln, err := rt.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				served := make(chan error, 1)
				go func() { served <- ln.Serve(context.Background(), answering("old")) }()

				clients := start(ln.Addr(), connections)
				defer clients.enough.Store(true)
				<-clients.half
				stop := inherit(t, ln, heir)
				_, err = ln.Pause().Await(t.Context())
				require.NoError(t, err)
				require.NoError(t, ln.Close())
				require.ErrorIs(t, <-served, net.ErrClosed) // all handlers have returned
				require.NoError(t, rt.Close())

				eventually(t, func() bool { return clients.new.Load() > 0 }, func() string { return "the new process answers nobody" })
				clients.enough.Store(true)
				clients.running.Wait()
				require.Empty(t, clients.failures)
				require.Equal(t, clients.asked.Load(), clients.old.Load()+clients.new.Load())
				require.Positive(t, clients.old.Load())
				stop()
			})
		})
	}
}

// inherit starts the new process, and returns when it serves.
func inherit(t *testing.T, ln *proactor.Listener, backend proactor.Backend) (stop func()) {
	t.Helper()
	files, err := ln.Files()
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHeir$")
	cmd.Env = append(os.Environ(), heirBackend+"="+backend.String(), "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES=web:web")
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for _, f := range files {
		f.Close()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return func() {
		stdin.Close()
		require.NoError(t, cmd.Wait())
	}
}

// clients make short connections: a number of them, and then more until it is enough. How long
// a process takes to start nobody knows.
type clients struct {
	running  sync.WaitGroup
	asked    atomic.Int64
	old, new atomic.Int64
	half     chan struct{} // closed when half of the number are done
	enough   atomic.Bool
	mu       sync.Mutex
	failures []error
}

func start(to net.Addr, connections int) *clients {
	c := &clients{half: make(chan struct{})}
	for range 8 {
		c.running.Go(func() {
			for c.asked.Load() < int64(connections) || !c.enough.Load() {
				if c.asked.Add(1) == int64(connections/2) {
					close(c.half)
				}
				if err := c.ask(to); err != nil {
					c.mu.Lock()
					c.failures = append(c.failures, err)
					c.mu.Unlock()
				}
			}
		})
	}
	return c
}

func (c *clients) ask(to net.Addr) error {
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "who?"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	switch {
	case err != nil:
		return err
	case string(answer) == "old":
		c.old.Add(1)
	case string(answer) == "new":
		c.new.Add(1)
	default:
		return fmt.Errorf("answer %q", answer)
	}
	return nil
}
