package ring_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/kernelmask"
	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// openMasked is a queue of a kernel without what is masked.
func openMasked(m kernelmask.Mask, o ring.Options) func() (ring.Queue, error) {
	o.Entries = 64
	return func() (ring.Queue, error) { return ring.OpenMasked(o, m) }
}

// offered is what the kernel has of all that a probe looks at, but for operations that no
// queue performs.
func offered(t *testing.T) (list []ring.Support) {
	ring.RequireKernel(t)
	report := ring.Probe()
	require.NoError(t, report.Setup)
	for op, s := range report.Ops {
		if s.OK && !ring.IsForeign(ring.Op(op)) {
			list = append(list, s)
		}
	}
	for _, s := range slices.Concat(report.Flags, report.Features) {
		if s.OK {
			list = append(list, s)
		}
	}
	return list
}

// TestMaskedFeatures: on a kernel that lacks one thing and has all others, either the
// probe says that io_uring is no backend, and names it, or the contract holds without.
func TestMaskedFeatures(t *testing.T) {
	for _, s := range offered(t) {
		t.Run(s.Name, func(t *testing.T) {
			m := kernelmask.Of(s.Name)
			report := ring.ProbeMasked(m)
			require.False(t, report.Supports(s.Name), "the mask hides it")
			err := report.Require()
			if s.Required {
				require.ErrorIs(t, err, errors.ErrUnsupported)
				require.ErrorContains(t, err, "lacks "+s.Name+" (Linux "+s.Since+", this is "+report.Kernel+")")
				return
			}
			require.NoError(t, err)
			queuetest.RunAbout(t, s.Name, report, openMasked(m, ring.Options{ZeroCopyReceive: true}))
		})
	}
}

// TestMaskedTogether runs the whole contract on a kernel that has what is required, and
// nothing else.
func TestMaskedTogether(t *testing.T) {
	var optional []string
	for _, s := range offered(t) {
		if !s.Required {
			optional = append(optional, s.Name)
		}
	}
	m := kernelmask.Of(optional...)
	report := ring.ProbeMasked(m)
	require.NoError(t, report.Require())
	queuetest.RunOn(t, report, openMasked(m, ring.Options{}))
}

// A kernel that refuses a set-up flag says EINVAL, and not of which: Open finds it.
func TestOpenNamesTheFlag(t *testing.T) {
	ring.RequireKernel(t)
	_, err := ring.OpenMasked(ring.Options{}, kernelmask.Of("IORING_SETUP_SUBMIT_ALL", "IORING_SETUP_DEFER_TASKRUN"))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "lacks IORING_SETUP_SUBMIT_ALL (Linux 5.18, this is "+ring.KernelRelease()+")")
}

func TestMaskOfNothingKnown(t *testing.T) {
	require.PanicsWithValue(t, `ring: mask of "warp drive": no operation, set-up flag or feature is called that`, func() {
		ring.ProbeMasked(kernelmask.Of("warp drive"))
	})
}

// A thread that submits is asked for by name, and never left out in silence.
func TestOpenNamesTheSubmissionThread(t *testing.T) {
	ring.RequireKernel(t)
	m := kernelmask.Of(ring.FeatureSubmissionThread)
	_, err := ring.OpenMasked(ring.Options{SubmissionThread: new(ring.SubmissionThread)}, m)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "lacks IORING_SETUP_SQPOLL (Linux 5.11, this is "+ring.KernelRelease()+")")
	report := ring.ProbeMasked(m)
	require.NoError(t, report.Require())
	require.ErrorContains(t, report.RequireFeature(ring.FeatureSubmissionThread), "lacks submission thread (Linux 5.11, this is "+ring.KernelRelease()+")")
	require.NoError(t, ring.Probe().RequireFeature(ring.FeatureSubmissionThread))
}
