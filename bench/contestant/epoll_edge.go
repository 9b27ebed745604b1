package contestant

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Edge-triggered, epoll reports a change once: the descriptor is registered
// once for its life, and the server reads and writes until EAGAIN.
var _ = register(Contestant{
	Name:   "epoll-et",
	Family: Textbook,
	About:  "epoll, edge-triggered, one thread",
	Serve:  serveEpollEdge,
})

func serveEpollEdge(o Options) error {
	r, err := newReactor(o)
	if err != nil {
		return err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	watch := func(fd int, events uint32) error {
		return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(fd)})
	}
	if err := watch(r.listener, unix.EPOLLIN); err != nil {
		return err
	}
	r.opened = func(c *conn) error { return watch(c.fd, unix.EPOLLIN|unix.EPOLLOUT) }

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
			// The edge of what came while bytes were owed is gone: once they
			// are sent, read whatever the event says.
			c := r.conns[fd]
			if c == nil || len(c.owed) > 0 && !r.flush(c) {
				continue
			}
			for r.read(c) {
			}
		}
	}
}
