package proactor

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pollerDescriptors is how many the network poller of the Go runtime opens: an epoll
	// descriptor and an eventfd.
	pollerDescriptors = 2
	// firstDescriptors is how many a runtime needs to serve one connection: a
	// listener, both ends of the connection if they are in one process, and the
	// eventfd of the workers on epoll.
	firstDescriptors = 4
)

// openPoller has the Go runtime open its network poller, if there are descriptors for
// it. The runtime opens it at the first timer of the process, and ends the process if it
// cannot.
func openPoller() error {
	if err := spare(pollerDescriptors); err != nil {
		return fmt.Errorf("descriptors for the poller of the Go runtime: %w", err)
	}
	time.AfterFunc(time.Hour, func() {}).Stop() // a timer with a channel is armed only when it is received from
	return nil
}

// leavesRoom returns nil if descriptors for a first connection are left.
func leavesRoom() error {
	if err := spare(firstDescriptors); err != nil {
		return fmt.Errorf("descriptors for a listener and a first connection: %w", err)
	}
	return nil
}

// spare returns nil if n descriptors are free.
func spare(n int) error {
	for range n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return fmt.Errorf("want %d: %w", n, err)
		}
		defer unix.Close(fd)
	}
	return nil
}

// explain adds the limit to an EMFILE.
func explain(err error) error {
	var limit unix.Rlimit
	if !errors.Is(err, syscall.EMFILE) || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return err
	}
	return fmt.Errorf("%w (RLIMIT_NOFILE is %d: raise it)", err, limit.Cur)
}
