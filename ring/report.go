package ring

import (
	"errors"
	"fmt"
)

// Support says whether the kernel offers something, and why not if not.
type Support struct {
	Name     string // "IORING_OP_RECV", "multishot receive"
	Since    string // first kernel that has it, "5.6"
	OK       bool
	Reason   string // empty if OK
	Required bool   // io_uring is no backend without it
}

// Report is what Probe found out.
type Report struct {
	Kernel   string    // release of the running kernel
	Setup    error     // why no ring can be opened, or its features be tried; nil if they can
	Ops      []Support // every operation known, in the order of their codes
	Flags    []Support // set-up flags
	Features []Support // what is neither: what the kernel reports (IORING_FEAT_*), and the features below
}

// Features that a probe finds out about by trying them.
const (
	FeatureBufferRing            = "provided buffer ring"
	FeatureIncrementalBufferRing = "incrementally consumed buffer ring"
	FeatureMultishotAccept       = "multishot accept"
	FeatureMultishotReceive      = "multishot receive"
	FeatureMultishotMessages     = "multishot receive of messages"
	FeatureBundle                = "receive and send bundles"
	FeatureCancelByDescriptor    = "cancel by descriptor"
	FeatureSyncCancel            = "synchronous cancel"
	FeatureRegisteredBuffers     = "sparse table of registered buffers"
	FeatureDirectDescriptors     = "sparse table of direct descriptors"
	FeatureSocketOptions         = "socket options"
	FeatureNAPI                  = "NAPI busy polling"
	FeatureResize                = "ring resize"
	FeatureRegisteredWait        = "registered wait"
	FeatureZeroCopyReceive       = "zero-copy receive" // of the kernel, for a process that may; whether of a device, RegisterReceiveArea tells
	FeatureSubmissionThread      = "submission thread"
)

// Require returns nil if Open works here and everything that package proactor
// needs is there, else an error that says what is missing first, with the
// kernel that has it.
func (r Report) Require() error {
	if r.Setup != nil {
		return r.Setup
	}
	for _, list := range [][]Support{r.Ops, r.Features} {
		for _, s := range list {
			if s.Required && !s.OK {
				return r.lacks(s)
			}
		}
	}
	return nil
}

// RequireFeature is Require, and an error as well if the feature of that name is missing.
func (r Report) RequireFeature(name string) error {
	if err := r.Require(); err != nil {
		return err
	}
	for _, s := range r.Features {
		if s.Name == name && !s.OK {
			return r.lacks(s)
		}
	}
	return nil
}

func (r Report) lacks(s Support) error {
	return fmt.Errorf("io_uring lacks %s (Linux %s, this is %s): %s: %w", s.Name, s.Since, r.Kernel, s.Reason, errors.ErrUnsupported)
}

// Supports says whether the operation, set-up flag or feature of that name is
// there.
func (r Report) Supports(name string) bool {
	for _, list := range [][]Support{r.Ops, r.Flags, r.Features} {
		for _, s := range list {
			if s.Name == name {
				return s.OK
			}
		}
	}
	return false
}

// SetupFlagsOf names the set-up flags that a queue of these options has.
func (r Report) SetupFlagsOf(o Options) (names []string) {
	for _, name := range r.SetupFlags() {
		if o.SubmissionThread == nil || !excludedByThread(name) {
			names = append(names, name)
		}
	}
	if o.ZeroCopyReceive {
		names = append(names, "IORING_SETUP_CQE32")
	}
	if s := o.SubmissionThread; s != nil {
		names = append(names, "IORING_SETUP_SQPOLL")
		if s.Bound {
			names = append(names, "IORING_SETUP_SQ_AFF")
		}
	}
	return names
}

// excludedByThread reports whether a set-up flag is about entering, which a queue with a
// SubmissionThread has no use for.
func excludedByThread(name string) bool {
	return name == "IORING_SETUP_DEFER_TASKRUN" || name == "IORING_SETUP_TASKRUN_FLAG"
}

// SetupFlags names the set-up flags that are there.
func (r Report) SetupFlags() (names []string) {
	for _, f := range r.Flags {
		if f.OK {
			names = append(names, f.Name)
		}
	}
	return names
}
