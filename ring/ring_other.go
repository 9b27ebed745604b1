//go:build !linux

package ring

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/goproactor/goproactor/internal/kernelmask"
)

// Ring is the kernel's io_uring as a Queue, on Linux.
type Ring struct{ Queue }

// SetupFlags names the set-up flags in force.
func (r *Ring) SetupFlags() []string { return nil }

var errNoRing = fmt.Errorf("io_uring on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Open returns errors.ErrUnsupported on this system.
func Open(Options) (*Ring, error) { return nil, errNoRing }

// Probe reports that this system has no io_uring.
func Probe() Report { return Report{Kernel: KernelRelease(), Setup: errNoRing} }

// OpenMasked is Open.
func OpenMasked(Options, kernelmask.Mask) (*Ring, error) { return nil, errNoRing }

// ProbeMasked is Probe.
func ProbeMasked(kernelmask.Mask) Report { return Probe() }

// ProbeFor is Probe.
func ProbeFor(Options, kernelmask.Mask) Report { return Probe() }

// KernelRelease names the system; its release is of no interest here.
func KernelRelease() string { return runtime.GOOS }

// There is nothing to date on this system but operations.
func firstKernel(string) string { return "" }
