package soak

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// Place is what a runtime runs on.
type Place struct {
	Backend proactor.Backend
	Loops   int
}

func (p Place) String() string { return fmt.Sprintf("%v, %d loops", p.Backend, p.Loops) }

// world is one place, with one runtime after another. The addresses stay.
type world struct {
	soak      *soak
	place     Place
	dir       string
	addresses map[string]string // of the services

	begun, ended atomic.Int64 // replacements of the runtime
	mu           sync.RWMutex
	life         *life
}

// life is one runtime of a world.
type life struct {
	world      *world
	rt         *proactor.Runtime
	listeners  map[string]*proactor.Listener
	packets    *proactor.PacketConn
	rooms      rooms
	serving    sync.WaitGroup
	goroutines sync.WaitGroup // of detached connections
}

// drainTimeout is for how long closed connections go on sending.
const drainTimeout = 500 * time.Millisecond

func (s *soak) newWorld(at Place) (*world, error) {
	w := &world{soak: s, place: at, addresses: make(map[string]string)}
	var err error
	if w.dir, err = os.MkdirTemp(s.dir, "world"); err != nil {
		return nil, err
	}
	for _, v := range services {
		w.addresses[v.name] = "127.0.0.1:0"
		if v.network == "unix" {
			w.addresses[v.name] = filepath.Join(w.dir, "socket")
		}
	}
	if w.life, err = w.start(nil); err != nil {
		return nil, fmt.Errorf("%v: %w", at, err)
	}
	return w, nil
}

// start begins a life, on the sockets of the one before if there is one.
func (w *world) start(before *life) (*life, error) {
	rt, err := proactor.New(proactor.WithBackend(w.place.Backend), proactor.WithLoops(w.place.Loops),
		proactor.WithDrainTimeout(drainTimeout), proactor.WithLogger(slog.New(panics{w.soak})))
	if err != nil {
		return nil, err
	}
	l := &life{world: w, rt: rt, listeners: make(map[string]*proactor.Listener), rooms: rooms{members: make(map[uint64][]*proactor.Conn)}}
	for _, v := range services {
		ln, err := l.listen(v, before)
		if err != nil {
			rt.Close()
			return nil, fmt.Errorf("listener %q: %w", v.name, err)
		}
		l.listeners[v.name] = ln
		if before == nil { // nobody is served yet
			w.addresses[v.name] = ln.Addr().String()
		}
	}
	if l.packets, err = rt.ListenPacket("udp4", "127.0.0.1:0", proactor.WithSocketBuffers(1<<20, 1<<20)); err != nil {
		rt.Close()
		return nil, err
	}
	echoMessages(l.packets)
	for _, v := range services {
		l.serve(v)
	}
	return l, nil
}

func (l *life) listen(v service, before *life) (*proactor.Listener, error) {
	if before == nil {
		return l.rt.Listen(v.network, l.world.addresses[v.name])
	}
	files, err := before.listeners[v.name].Files()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	all, err := l.rt.FileListeners(files)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%d files became %d listeners, expected 1", len(files), len(all))
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (l *life) serve(v service) {
	ln := l.listeners[v.name]
	l.serving.Go(func() {
		var err error
		if v.onConn != nil {
			err = ln.OnConn(func(c *proactor.Conn) { v.onConn(l, c) })
		} else {
			err = ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error { return v.handle(l, ctx, c) })
		}
		if err != nil && !errors.Is(err, proactor.ErrClosed) {
			l.world.failf("service %q ended: %v, expected proactor.ErrClosed", v.name, err)
		}
	})
}

// now is the life of the moment, and which replacement of it would be the next.
func (w *world) now() (*life, int64) {
	next := w.ended.Load()
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.life, next
}

// replace starts a runtime that takes the listeners over, and ends the one before, with
// Shutdown or at once.
func (w *world) replace(gently bool) error {
	before, _ := w.now()
	next, err := w.start(before)
	if err != nil {
		return err
	}
	w.begun.Add(1)
	w.mu.Lock()
	w.life = next
	w.mu.Unlock()
	w.end(before, gently)
	w.ended.Add(1)
	return nil
}

// end ends a life, and fails for what is left of it.
func (w *world) end(l *life, gently bool) {
	for _, ln := range l.listeners {
		ln.SetUnlinkOnClose(false)
		ln.Close()
	}
	l.packets.Close()
	if gently {
		ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
		if err := l.rt.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			w.failf("Shutdown: %v, expected nil or context.DeadlineExceeded", err)
		}
		cancel()
	}
	if err := l.rt.Close(); err != nil {
		w.failf("Close: %v, expected nil", err)
	}
	l.serving.Wait()
	l.goroutines.Wait()
	for _, left := range open(l.rt.Stats().Total()) {
		if left.count != 0 {
			w.failf("after Close there are %d %s, expected 0", left.count, left.what)
		}
	}
}

// close ends the world.
func (w *world) close() {
	l, _ := w.now()
	w.end(l, true)
	os.Remove(w.addresses["unix"])
}

func (w *world) failf(format string, args ...any) {
	w.soak.fail(fmt.Sprintf("%v: ", w.place) + fmt.Sprintf(format, args...))
}

// packetAddress is where datagrams are answered.
func (l *life) packetAddress() *net.UDPAddr { return l.packets.LocalAddr().(*net.UDPAddr) }

// keepReplacing replaces the runtime again and again until ctx ends.
func (w *world) keepReplacing(ctx context.Context, every time.Duration, random *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every/2 + time.Duration(random.Int64N(int64(every)))):
		}
		w.soak.gate.RLock()
		err := w.replace(random.IntN(2) == 0)
		w.soak.gate.RUnlock()
		if err != nil {
			w.failf("a new runtime does not start: %v, expected one with the listeners of the one before", err)
			return
		}
	}
}

// panics is a log of which only panics count.
type panics struct{ soak *soak }

func (panics) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (p panics) WithAttrs([]slog.Attr) slog.Handler             { return p }
func (p panics) WithGroup(string) slog.Handler                  { return p }

func (p panics) Handle(_ context.Context, r slog.Record) error {
	text, isPanic := r.Message, false
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		isPanic = isPanic || a.Key == "panic"
		return true
	})
	if isPanic {
		p.soak.fail("logged: " + text + ", expected no panic")
	}
	return nil
}
