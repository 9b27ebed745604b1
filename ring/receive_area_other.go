//go:build !linux

package ring

import (
	"errors"
	"fmt"
	"runtime"
)

// NewReceiveArea returns errors.ErrUnsupported on this system.
func NewReceiveArea(chunks int) (*ReceiveArea, error) {
	if chunks < 1 || chunks > MaxReceiveChunks {
		return nil, receiveChunksError(chunks)
	}
	return nil, fmt.Errorf("receive area on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Close does nothing on this system.
func (a *ReceiveArea) Close() error { return nil }
