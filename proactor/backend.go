package proactor

import (
	"fmt"

	"github.com/goproactor/goproactor/ring"
)

// Backend names what performs the operations.
type Backend int

const (
	Auto    Backend = iota // the best that this system has
	IOUring                // the kernel's io_uring (Linux 6.1 or later)
	Epoll                  // the user-space queue over epoll
)

var backendNames = map[Backend]string{Auto: "auto", IOUring: "io_uring", Epoll: "epoll"}

func (b Backend) String() string {
	if s, ok := backendNames[b]; ok {
		return s
	}
	return fmt.Sprintf("Backend(%d)", int(b))
}

// ParseBackend reads "auto", "io_uring" or "epoll".
func ParseBackend(s string) (Backend, error) {
	for b, name := range backendNames {
		if s == name {
			return b, nil
		}
	}
	return Auto, fmt.Errorf("backend %q: want auto, io_uring or epoll", s)
}

// BackendInfo describes the backend of a runtime.
type BackendInfo struct {
	Backend  Backend
	Kernel   string   // release, "6.18.1"
	Features []string // set-up flags in use, for io_uring
	Reason   string   // why Auto did not choose io_uring, empty if it did
}

// candidate is a backend to try.
type candidate struct {
	info BackendInfo
	open func(loop int) (ring.Queue, error)

	refused error // why the one before it cannot be used
}
