package contestant

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// 4.2BSD, 1983: three bit sets go into the kernel and come back, and every
// descriptor is looked at on both sides. A descriptor of 1024 or more has no
// bit in the set.
var _ = register(Contestant{
	Name:     "select",
	Family:   Textbook,
	About:    "select(2), one thread",
	Serve:    serveSelect,
	MaxConns: unix.FD_SETSIZE - 16, // 16 for what the process has open besides
	Limit:    "select takes no descriptor of 1024 (FD_SETSIZE) or more",
})

func serveSelect(o Options) error {
	r, err := newReactor(o)
	if err != nil {
		return err
	}
	r.opened = func(c *conn) error {
		if c.fd >= unix.FD_SETSIZE {
			fmt.Fprintf(os.Stderr, "select: connection refused: descriptor %d does not fit an fd_set (FD_SETSIZE is %d)\n", c.fd, unix.FD_SETSIZE)
			r.close(c)
		}
		return nil
	}
	for {
		var readable, writable unix.FdSet
		readable.Set(r.listener)
		highest := r.listener
		for fd, c := range r.conns {
			switch {
			case c == nil:
				continue
			case len(c.owed) == 0:
				readable.Set(fd)
			default:
				writable.Set(fd)
			}
			highest = max(highest, fd)
		}

		n, err := unix.Select(highest+1, &readable, &writable, nil, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("select: %w", err)
		}
		if n <= 0 {
			continue
		}
		for fd, c := range r.conns {
			switch {
			case c == nil:
			case readable.IsSet(fd):
				r.read(c)
			case writable.IsSet(fd):
				r.flush(c)
			}
		}
		if readable.IsSet(r.listener) {
			if err := r.accept(); err != nil {
				return err
			}
		}
	}
}
