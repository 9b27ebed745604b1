package contestant

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// The oldest model: blocking calls, and a thread of the operating system for
// each connection. A goroutine that is locked to its thread and blocks in the
// system call is one.
//
// GOMAXPROCS is what Go's scheduler lets run at once. With one, each thread that
// returns from its system call has to be handed the one processor, through the
// scheduler, which the model does not have; with several it finds one free. 64
// needs the least processor time, more gains nothing.
var _ = register(Contestant{
	Name:   "thread",
	Family: Textbook,
	About:  "blocking reads and writes, a thread of the operating system per connection",
	Serve:  serveThreads,
})

// threads is the state that broadcasting needs; an echo needs none.
type threads struct {
	mu   sync.Mutex
	open map[int]bool
}

func serveThreads(o Options) error {
	runtime.GOMAXPROCS(64)
	debug.SetMaxThreads(1 << 16)
	listener, err := listen(o, 0)
	if err != nil {
		return err
	}
	t := &threads{open: make(map[int]bool)}
	for {
		fd, err := accept(listener, 0)
		if err != nil {
			return err
		}
		if o.Broadcast {
			t.mu.Lock()
			t.open[fd] = true
			t.mu.Unlock()
		}
		go t.serve(fd, o.Broadcast)
	}
}

func (t *threads) serve(fd int, broadcast bool) {
	runtime.LockOSThread() // never unlocked: the thread ends with the connection
	defer unix.Close(fd)
	if broadcast {
		defer func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			delete(t.open, fd)
		}()
	}
	// The buffer begins at a page and grows for those who fill it, as in net.
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 {
			return
		}
		if broadcast {
			t.writeAll(buf[:n])
		} else if writeBlocking(fd, buf[:n]) != nil {
			return
		}
		if n == len(buf) && n < readSize {
			buf = make([]byte, 2*n)
		}
	}
}

func (t *threads) writeAll(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for fd := range t.open {
		writeBlocking(fd, p)
	}
}

func writeBlocking(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}
