package ring

import (
	"errors"
	"fmt"
)

// Support says whether the kernel offers something, and why not if not.
type Support struct {
	Name   string // "IORING_OP_RECV", "multishot receive"
	Since  string // first kernel that has it, "5.6"
	OK     bool
	Reason string // empty if OK
}

// Report is what Probe found out.
type Report struct {
	Kernel   string    // release of the running kernel
	Setup    error     // why no ring can be opened, nil if one can
	Ops      []Support // every operation known, in the order of their codes
	Flags    []Support // set-up flags
	Features []Support // what is neither, such as buffer rings
}

// Require returns nil if Open works here and everything that package proactor
// needs is there, else an error that says what is missing.
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
// backend. All are in Linux 6.1; flags are checked by Open itself.
var required = map[string]bool{
	"IORING_OP_ACCEPT":        true,
	"IORING_OP_ASYNC_CANCEL":  true,
	"IORING_OP_CLOSE":         true,
	"IORING_OP_CONNECT":       true,
	"IORING_OP_LINK_TIMEOUT":  true,
	"IORING_OP_POLL_ADD":      true,
	"IORING_OP_READ":          true,
	"IORING_OP_RECV":          true,
	"IORING_OP_SEND":          true,
	"IORING_OP_SENDMSG":       true,
	"IORING_OP_SHUTDOWN":      true,
	"IORING_OP_TIMEOUT":       true,
	featureBufferRing:         true,
	featureMultishotAccept:    true,
	featureMultishotReceive:   true,
	featureCancelByDescriptor: true,
}

const (
	featureBufferRing            = "provided buffer ring"
	featureIncrementalBufferRing = "incrementally consumed buffer ring"
	featureMultishotAccept       = "multishot accept"
	featureMultishotReceive      = "multishot receive"
	featureBundle                = "receive and send bundles"
	featureCancelByDescriptor    = "cancel by descriptor"
)

// SetupFlags names the set-up flags that are there.
func (r Report) SetupFlags() (names []string) {
	for _, f := range r.Flags {
		if f.OK {
			names = append(names, f.Name)
		}
	}
	return names
}
