package library

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// machine runs programs on one backend of the library, one after the other.
type machine struct {
	rt       *proactor.Runtime
	backend  proactor.Backend
	listener *proactor.Listener
	idle     proactor.LoopStats // with nothing open but the listener
}

func start(t testing.TB, b proactor.Backend) *machine {
	t.Helper()
	rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(2))
	require.NoError(t, err)
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &machine{rt: rt, backend: b, listener: ln}
	// The first accept arms the listener, for the whole run.
	accept := ln.Accept()
	c, err := rt.Dial(t.Context(), "tcp", ln.Addr().String()).Await(t.Context())
	require.NoError(t, err)
	other, err := accept.Await(t.Context())
	require.NoError(t, err)
	for _, c := range []*proactor.Conn{c, other} {
		c.Abort()
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return rt.Stats().Total().Conns == 0 }, patience, time.Millisecond)
	m.idle = rt.Stats().Total()
	return m
}

func (m *machine) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, m.listener.Close())
	require.NoError(t, m.rt.Close())
}

// run runs a program, and looks at what it leaves behind.
func (m *machine) run(t testing.TB, p *Program, plan []planned) *Trace {
	t.Helper()
	dir, remove := directory(t)
	defer remove()
	descriptors := countDescriptors(p.Medium == Pipe)
	var trace *Trace
	body := func(ctx context.Context) error {
		player, err := m.player(ctx, p, dir)
		if err != nil {
			trace = &Trace{Broken: "it does not begin: " + err.Error()}
			return nil
		}
		trace = play(p, plan, player)
		return nil
	}
	if p.Task {
		// The task bounds each of its waits.
		if _, err := m.rt.Go(t.Context(), body).Await(t.Context()); err != nil {
			trace = &Trace{Broken: "its task: " + err.Error()}
		}
	} else {
		body(t.Context())
	}
	if left := m.leftovers(p, descriptors); left != "" && trace.Broken == "" {
		trace.Broken = "left over: " + left
	}
	return trace
}

func (m *machine) player(ctx context.Context, p *Program, dir string) (player, error) {
	switch {
	case p.Medium == Files:
		return newLibraryFiles(ctx, m.rt, dir), nil
	case p.Medium.messages():
		return m.sockets(ctx, p, dir)
	case p.Medium == Listeners:
		return m.listeners(ctx, p, dir)
	}
	return m.connect(ctx, p)
}

// directory makes a directory for one run: those of T last as long as the test.
func directory(t testing.TB) (dir string, remove func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "library")
	require.NoError(t, err)
	return dir, func() { os.RemoveAll(dir) }
}

// countDescriptors counts sockets, files and, if a program has them, pipes. The loops keep
// what else they have made: a pipe to splice through, an eventfd.
func countDescriptors(pipes bool) (n int) {
	list, _ := os.ReadDir("/proc/self/fd")
	for _, d := range list {
		name, err := os.Readlink("/proc/self/fd/" + d.Name())
		if err == nil && !strings.HasPrefix(name, "anon_inode:") && (pipes || !strings.HasPrefix(name, "pipe:")) {
			n++
		}
	}
	return n
}

// leftovers says what is left of a program. What is on its way out is waited for.
func (m *machine) leftovers(p *Program, descriptors int) (left string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		if left = m.look(p, descriptors); left == "" || time.Now().After(deadline) {
			return left
		}
	}
}

func (m *machine) look(p *Program, descriptors int) string {
	s := m.rt.Stats().Total()
	var left []string
	for _, c := range []struct {
		what      string
		now, idle int64
	}{
		{"operations", int64(s.InFlight), int64(m.idle.InFlight)},
		{"connections", int64(s.Conns), 0},
		{"files", int64(s.Files), 0},
		{"others", int64(s.Others), int64(m.idle.Others)},
		{"tasks", int64(s.Tasks), 0},
		{"timers", int64(s.Timers), int64(m.idle.Timers)},
		{"leases", int64(s.BuffersOut), 0},
		{"bytes held", s.Held, 0},
		{"bytes of aligned memory", int64(s.AlignedBytes), 0},
	} {
		if c.now != c.idle {
			left = append(left, fmt.Sprintf("%d %s (%d when idle)", c.now, c.what, c.idle))
		}
	}
	if n := countDescriptors(p.Medium == Pipe); n > descriptors {
		left = append(left, fmt.Sprintf("%d descriptors", n-descriptors))
	}
	return strings.Join(left, ", ")
}

// standard runs a program with packages net and os.
func standard(t testing.TB, p *Program, plan []planned) *Trace {
	t.Helper()
	dir, remove := directory(t)
	defer remove()
	player, err := standardPlayer(p, dir)
	require.NoError(t, err)
	return play(p, plan, player)
}

func standardPlayer(p *Program, dir string) (player, error) {
	switch {
	case p.Medium == Files:
		return newStandardFiles(dir), nil
	case p.Medium.messages():
		return standardSockets(p, dir)
	case p.Medium == Listeners:
		return standardListeners(dir)
	}
	return standardStreams(p)
}
