//go:build !linux

package proactor

import (
	"errors"
	"fmt"
	"runtime"
)

func chooseBackend(*options) ([]candidate, error) {
	return nil, fmt.Errorf("proactor: neither io_uring nor epoll on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
