package proactor_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSubmissionThread shows some of the promises where a thread of the kernel submits. It
// sleeps after a millisecond, so that it is met awake and asleep. All of them, and the rest
// of the package's tests, are for the flag -submissionthread.
func TestSubmissionThread(t *testing.T) {
	requireBackend(t, proactor.IOUring)
	for name, list := range map[string][]behaviour{"Recv": receiving, "Send": sending, "Close": closing, "Dial": dialing, "File": filing, "Chain": chainFileBehaviors} {
		t.Run(name, func(t *testing.T) {
			for _, b := range list {
				t.Run(b.name, func(t *testing.T) {
					onBackend(t, proactor.IOUring, b.show, append([]proactor.Option{proactor.WithSubmissionThread(time.Millisecond)}, b.opts...)...)
				})
			}
		})
	}
}

// The option has no effect on epoll, and is in force on io_uring.
func TestSubmissionThreadInForce(t *testing.T) {
	var allowed unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &allowed))
	processor := 0
	for !allowed.IsSet(processor) {
		processor++
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		for range 50 { // some of them while it sleeps
			exchange(t, rt, c, peer)
			_, err := rt.Sleep(2 * time.Millisecond).Await(t.Context())
			require.NoError(t, err)
		}
		closedDown(t, c)
		require.Equal(t, rt.Backend().Backend == proactor.IOUring, slices.Contains(rt.Backend().Features, "IORING_SETUP_SQPOLL"))
	}, proactor.WithSubmissionThread(time.Millisecond, processor))
}

// A kernel that refuses such threads, or the processor, is no backend for who wants them.
func TestSubmissionThreadRefused(t *testing.T) {
	requireBackend(t, proactor.IOUring)
	with, on := proactor.WithSubmissionThread(time.Millisecond), proactor.WithBackend
	without := onKernelWithout(ring.FeatureSubmissionThread)
	_, err := proactor.New(on(proactor.IOUring), with, without)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "lacks submission thread (Linux 5.11, this is "+ring.KernelRelease()+")")
	_, err = proactor.New(on(proactor.IOUring), proactor.WithSubmissionThread(time.Millisecond, 60_000))
	require.ErrorContains(t, err, "submission thread on processor 60000")
	for want, opts := range map[string][]proactor.Option{
		"lacks submission thread":              {with, without},
		"submission thread on processor 60000": {proactor.WithSubmissionThread(time.Millisecond, 60_000)},
	} {
		rt, err := proactor.New(append(opts, proactor.WithLoops(1))...)
		require.NoError(t, err)
		require.Equal(t, proactor.Epoll, rt.Backend().Backend)
		require.Contains(t, rt.Backend().Reason, want)
		require.NoError(t, rt.Close())
	}
}
