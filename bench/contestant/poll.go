package contestant

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// System V, 1986: a list instead of a bit set, so no limit on the descriptor
// numbers, but the whole list goes into the kernel and comes back each time.
var _ = register(Contestant{
	Name:   "poll",
	Family: Textbook,
	About:  "poll(2), one thread",
	Serve:  servePoll,
})

func servePoll(o Options) error {
	r, err := newReactor(o)
	if err != nil {
		return err
	}
	fds := []unix.PollFd{{Fd: int32(r.listener), Events: unix.POLLIN}}
	r.opened = func(c *conn) error {
		fds = append(fds, unix.PollFd{Fd: int32(c.fd)})
		return nil
	}
	for {
		kept := fds[:1]
		for _, p := range fds[1:] {
			c := r.conns[p.Fd]
			if c == nil {
				continue
			}
			p.Events, p.Revents = unix.POLLIN, 0
			if len(c.owed) > 0 {
				p.Events = unix.POLLOUT
			}
			kept = append(kept, p)
		}
		fds = kept

		n, err := unix.Poll(fds, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if n <= 0 {
			continue
		}
		polled := fds // accept appends to fds
		for _, p := range polled[1:] {
			if p.Revents == 0 {
				continue
			}
			c := r.conns[p.Fd]
			switch {
			case c == nil:
			case len(c.owed) == 0:
				r.read(c)
			default:
				r.flush(c)
			}
		}
		// Last, so that a descriptor closed above and taken again by a new
		// connection is not mistaken for the old one.
		if polled[0].Revents != 0 {
			if err := r.accept(); err != nil {
				return err
			}
		}
	}
}
