//go:build !linux

package ring

import (
	"errors"
	"fmt"
	"runtime"
)

// Ring is the kernel's io_uring as a Queue, on Linux.
type Ring struct{ Queue }

// Open returns errors.ErrUnsupported on this system.
func Open(Options) (*Ring, error) {
	return nil, fmt.Errorf("io_uring on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
