package engine

import (
	"context"
	"io/fs"
	"net"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/stretchr/testify/require"
)

// kindOfClosed is an error that says why something is closed.
type kindOfClosed struct{}

func (kindOfClosed) Error() string        { return "closed for a reason" }
func (kindOfClosed) Is(target error) bool { return target == net.ErrClosed }

func TestFailureErrorMatches(t *testing.T) {
	err := &failureError{1, syscall.EBADF}
	for _, target := range []error{err, syscall.EBADF, net.ErrClosed, futures.ErrClosed, fs.ErrClosed} {
		require.ErrorIs(t, err, target)
	}
	for _, target := range []error{kindOfClosed{}, context.Canceled, syscall.EIO, &failureError{1, syscall.EBADF}} {
		require.NotErrorIs(t, err, target)
	}
}
