package proactor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// TestDescriptorShortage runs a server in a process of its own, with few
// descriptors.
func TestDescriptorShortage(t *testing.T) {
	if name := os.Getenv("GOPROACTOR_SHORT_OF_DESCRIPTORS"); name != "" {
		serveShortOfDescriptors(t, name)
		return
	}
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			server := exec.Command(os.Args[0], "-test.run=^TestDescriptorShortage$", "-test.v")
			server.Env = append(os.Environ(), "GOPROACTOR_SHORT_OF_DESCRIPTORS="+b.String())
			stdin, err := server.StdinPipe()
			require.NoError(t, err)
			stdout, err := server.StdoutPipe()
			require.NoError(t, err)
			server.Stderr = os.Stderr
			require.NoError(t, server.Start())
			t.Cleanup(func() { server.Process.Kill() })
			lines := bufio.NewScanner(stdout)
			ask := func(request, answer string) (fields []string) {
				if request != "" {
					_, err := io.WriteString(stdin, request+"\n")
					require.NoError(t, err)
				}
				for lines.Scan() {
					if rest, ok := strings.CutPrefix(lines.Text(), answer+" "); ok {
						return strings.Fields(rest)
					}
				}
				t.Fatalf("the server never said %q", answer)
				return nil
			}
			address, err := net.ResolveTCPAddr("tcp", ask("", "address")[0])
			require.NoError(t, err)

			first := dial(t, address)
			require.NoError(t, hello(first))
			var peers []*net.TCPConn
			for range 100 { // more than the server can have open
				peers = append(peers, dial(t, address))
			}
			var last []string
			eventually(t, func() bool { last = ask("stats", "shortages"); return last[0] != "0" },
				func() string { return "accepting never failed: " + strings.Join(last, " ") })
			require.NoError(t, hello(first), "the others go on")
			var all sync.WaitGroup
			for _, c := range peers { // each one that leaves makes room for another
				all.Go(func() {
					if err := hello(c); err != nil {
						t.Error(err)
					}
					c.Close()
				})
			}
			all.Wait()
			require.NoError(t, hello(first))
			for range 3 { // and those that come later find it recovered
				late := dial(t, address)
				require.NoError(t, hello(late))
				require.NoError(t, late.Close())
			}
			require.NoError(t, first.Close())
			require.NoError(t, stdin.Close())
			for lines.Scan() {
			}
			require.NoError(t, server.Wait())
		})
	}
}

// serveShortOfDescriptors is the process of TestDescriptorShortage.
func serveShortOfDescriptors(t *testing.T, name string) {
	b, err := proactor.ParseBackend(name)
	require.NoError(t, err)
	log, begun := &logged{}, time.Now()
	rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(2), proactor.WithLogger(slog.New(log)))
	require.NoError(t, err)
	defer rt.Close()
	ln := listen(t, rt)
	// Before the accept: the kernel's ring reads the limit when it is submitted.
	limit := uint64(openDescriptors(t)) + 30
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}))
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- ln.Serve(ctx, echo) }()
	fmt.Println("address", ln.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		s := rt.Stats().Total()
		fmt.Println("shortages", s.AcceptShortages, "accepted", s.Accepted, "open", s.Conns, "descriptors", openDescriptors(t), "of", limit)
	}
	cancel()
	require.ErrorIs(t, <-served, context.Canceled)
	lines := log.about("accepting connections pauses", "listener")
	require.Contains(t, lines, ln.Addr().String())
	require.LessOrEqual(t, len(lines), len(rt.Loops())*(1+int(time.Since(begun)/time.Second)))
}

// TestRefusedAccept: a policy that refuses accept4(2) would have a loop try again and
// again.
func TestRefusedAccept(t *testing.T) {
	const refusals = 3
	plan := func(int) faultqueue.Plan {
		return func(o faultqueue.Operation) (f faultqueue.Fault) {
			if o.Kind == ring.OpAccept && o.Nth < refusals {
				f.Errno = syscall.EPERM
			}
			return f
		}
	}
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1), queuehook.Option(proactor.Option(nil), faultqueue.Hook(plan)))
			require.NoError(t, err)
			defer rt.Close()
			require.NoError(t, hello(dial(t, serveEcho(t, rt, "await"))))
			require.EqualValues(t, refusals, rt.Stats().Total().AcceptShortages, "each pauses accepting")
		})
	}
}
