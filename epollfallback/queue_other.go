//go:build !linux

package epollfallback

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/goproactor/goproactor/ring"
)

// Queue implements ring.Queue. None can be opened on this system.
type Queue struct{ ring.Queue }

// Open fails with errors.ErrUnsupported: there is no epoll on this system.
func Open(Options) (*Queue, error) {
	return nil, fmt.Errorf("epollfallback on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Description tells of one operation what the fallback does for it.
type Description struct {
	Operation string
	Op        ring.Op
	Needs     string
	Emulation string
}

// FirstKernel is empty on this system.
func (d Description) FirstKernel() string { return "" }

// Descriptions is empty on this system.
func Descriptions() []Description { return nil }
