package proactor

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pollerDescriptors is what the network poller of the Go runtime takes: an epoll
	// descriptor and an eventfd.
	pollerDescriptors = 2
	// firstDescriptors is what a runtime takes that serves one connection: a
	// listener, both ends of the connection if they are in one process, and the
	// eventfd of the workers on epoll.
	firstDescriptors = 4
)

// openPoller has the Go runtime open its network poller. It does so at the first
// timer of the process, and ends the process if it cannot. An error says that it
// could not, before it tries.
func openPoller() error {
	if err := spare(pollerDescriptors); err != nil {
		return fmt.Errorf("descriptors for the poller of the Go runtime: %w", err)
	}
	time.AfterFunc(time.Hour, func() {}).Stop() // unlike one with a channel, it is a timer at once
	return nil
}

// leavesRoom reports whether the runtime can begin with something.
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

// explain adds the limit to an error for want of descriptors.
func explain(err error) error {
	var limit unix.Rlimit
	if !errors.Is(err, syscall.EMFILE) || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return err
	}
	return fmt.Errorf("%w (RLIMIT_NOFILE is %d: raise it)", err, limit.Cur)
}
