package proactortest

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/goproactor/goproactor/proactor"
)

// all is every backend there is.
var all = [...]proactor.Backend{proactor.IOUring, proactor.Epoll}

// Each runs test on every backend, as a subtest that has the backend's name. One that
// this machine does not have is skipped, and the skip says why: the kernel is too old, or
// something forbids it. Any other reason fails the test. Give the backend to what starts
// a runtime, by proactor.WithBackend.
//
// A test that passes on a machine with io_uring alone says little about the container
// that the program runs in, which seldom has it.
func Each(t *testing.T, test func(t *testing.T, b proactor.Backend)) {
	t.Helper()
	for _, b := range all {
		t.Run(b.String(), func(t *testing.T) {
			if err := missing(t, b); err != nil {
				t.Skip(err)
			}
			test(t, b)
		})
	}
}

// Backends returns the backends that this machine has, for a table of tests or a
// benchmark. It logs why another is not among them.
func Backends(t testing.TB) (here []proactor.Backend) {
	t.Helper()
	for _, b := range all {
		if err := missing(t, b); err != nil {
			t.Log(err)
			continue
		}
		here = append(here, b)
	}
	return here
}

// missing is why this machine does not have a backend, nil if it has it.
func missing(t testing.TB, b proactor.Backend) error {
	t.Helper()
	rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
	switch {
	case err == nil:
		rt.Close()
	case errors.Is(err, syscall.ENOMEM) && b == proactor.IOUring && lockedmemory.Short() != nil:
		return lockedmemory.Short() // which says what to raise
	case !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission):
		t.Fatalf("%v does not start, and not because this machine has none: %v", b, err)
	}
	return err
}
