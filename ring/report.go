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
	FeatureNAPI                  = "NAPI busy polling"
	FeatureResize                = "ring resize"
	FeatureRegisteredWait        = "registered wait"
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
			if required[s.Name] && !s.OK {
				return fmt.Errorf("io_uring lacks %s (Linux %s, this is %s): %s: %w", s.Name, s.Since, r.Kernel, s.Reason, errors.ErrUnsupported)
			}
		}
	}
	return nil
}

// required are the operations and features without which io_uring is no
// backend. All are in Linux 6.1; Open itself checks the set-up flags and what
// the kernel reports.
var required = map[string]bool{
	"IORING_OP_ACCEPT":        true,
	"IORING_OP_ASYNC_CANCEL":  true,
	"IORING_OP_CLOSE":         true,
	"IORING_OP_CONNECT":       true,
	"IORING_OP_LINK_TIMEOUT":  true,
	"IORING_OP_POLL_ADD":      true,
	"IORING_OP_READ":          true,
	"IORING_OP_RECV":          true,
	"IORING_OP_RECVMSG":       true,
	"IORING_OP_SEND":          true,
	"IORING_OP_SENDMSG":       true,
	"IORING_OP_SEND_ZC":       true,
	"IORING_OP_SHUTDOWN":      true,
	"IORING_OP_TIMEOUT":       true,
	"IORING_OP_WRITE":         true,
	"IORING_OP_READV":         true,
	"IORING_OP_WRITEV":        true,
	"IORING_OP_SPLICE":        true,
	"IORING_OP_TEE":           true,
	"IORING_OP_FSYNC":         true,
	"IORING_OP_FALLOCATE":     true,
	"IORING_OP_OPENAT":        true,
	"IORING_OP_STATX":         true,
	"IORING_OP_FADVISE":       true,
	"IORING_OP_RENAMEAT":      true,
	"IORING_OP_UNLINKAT":      true,
	"IORING_OP_MKDIRAT":       true,
	"IORING_OP_SYMLINKAT":     true,
	"IORING_OP_LINKAT":        true,
	FeatureBufferRing:         true,
	FeatureMultishotAccept:    true,
	FeatureMultishotReceive:   true,
	FeatureMultishotMessages:  true,
	FeatureCancelByDescriptor: true,
	FeatureSyncCancel:         true,
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

// SetupFlags names the set-up flags that are there.
func (r Report) SetupFlags() (names []string) {
	for _, f := range r.Flags {
		if f.OK {
			names = append(names, f.Name)
		}
	}
	return names
}
