package futures

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canceler fails its promise with an error once it is asked to end.
type canceler struct {
	promise *Promise[int]
	err     error
}

func (c canceler) Cancel() { c.promise.Settle(3, c.err) }

// TestDeadlineIsNoCancel has operations say in various ways that they were
// canceled, because a deadline passed.
func TestDeadlineIsNoCancel(t *testing.T) {
	why := map[string]func(Future[int]) (int, error){
		"context deadline exceeded": func(f Future[int]) (int, error) {
			ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
			defer cancel()
			return f.Await(ctx)
		},
		"futures: no result within 1ns": func(f Future[int]) (int, error) {
			return WithTimeout(f, 1).Await(t.Context())
		},
	}
	for _, c := range []struct {
		err  error
		text string // with the reason for %v
	}{
		{ErrCanceled, "%v"},
		{context.Canceled, "%v"},
		{&fs.PathError{Op: "open", Path: "x", Err: ErrCanceled}, "open x: %v"},
		{&os.LinkError{Op: "rename", Old: "x", New: "y", Err: ErrCanceled}, "rename x y: %v"},
		{os.NewSyscallError("poll", ErrCanceled), "poll: %v"},
		{&net.OpError{Op: "read", Net: "tcp", Err: ErrCanceled}, "read tcp: %v"},
		{fmt.Errorf("step 2: %w", ErrCanceled), "%v: step 2: futures: operation canceled"},
	} {
		for reason, wait := range why {
			p := NewPromise[int]()
			p.SetCanceler(canceler{p, c.err})
			n, err := wait(p.Future())
			require.Equal(t, 3, n)
			require.EqualError(t, err, fmt.Sprintf(c.text, reason))
			require.NotErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, ErrCanceled)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout())
		}
	}

	// What it met with besides is there.
	p := NewPromise[int]()
	p.SetCanceler(canceler{p, fmt.Errorf("%w, and %w", ErrCanceled, syscall.EIO)})
	_, err := why["context deadline exceeded"](p.Future())
	require.ErrorIs(t, err, syscall.EIO)
	var errno syscall.Errno
	require.ErrorAs(t, err, &errno)

	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, syscall.EPERM)
	defer cancel()
	_, err = NewPromise[int]().Future().Await(ctx)
	require.ErrorIs(t, err, syscall.EPERM)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
}
