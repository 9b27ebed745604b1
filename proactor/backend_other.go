//go:build !linux

package proactor

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/goproactor/goproactor/ring"
)

func chooseBackend(*options) (func() (ring.Queue, error), BackendInfo, error) {
	return nil, BackendInfo{}, fmt.Errorf("proactor: neither io_uring nor epoll on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
