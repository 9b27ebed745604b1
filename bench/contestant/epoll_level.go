package contestant

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Linux 2.6, 2002: the kernel keeps the set, and a wait returns the ready ones
// only. Level-triggered, a descriptor is reported as long as it is ready.
var _ = register(Contestant{
	Name:   "epoll-lt",
	Family: Textbook,
	About:  "epoll, level-triggered, one thread",
	Serve:  serveEpollLevel,
})

func serveEpollLevel(o Options) error {
	r, err := newReactor(o)
	if err != nil {
		return err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	watch := func(op, fd int, events uint32) error {
		return unix.EpollCtl(ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	}
	if err := watch(unix.EPOLL_CTL_ADD, r.listener, unix.EPOLLIN); err != nil {
		return err
	}
	r.opened = func(c *conn) error { return watch(unix.EPOLL_CTL_ADD, c.fd, unix.EPOLLIN) }
	r.stalled = func(c *conn) { watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLOUT) }

	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(ep, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if fd == r.listener {
				if err := r.accept(); err != nil {
					return err
				}
				continue
			}
			c := r.conns[fd]
			switch {
			case c == nil:
			case len(c.owed) == 0:
				r.read(c)
			case r.flush(c):
				watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN)
			}
		}
	}
}
