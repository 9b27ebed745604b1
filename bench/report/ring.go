package report

import (
	"fmt"
	"strings"

	"github.com/goproactor/goproactor/ring"
)

// Ring is what the kernel's io_uring offered: each feature that it has is in force where the
// library has a use for it.
type Ring struct {
	Unusable string    `json:"unusable,omitempty"` // why there is none
	Features []Feature `json:"features,omitempty"` // set-up flags and features
}

// Feature is one of them.
type Feature struct {
	Name    string `json:"name"`
	Since   string `json:"since"`             // the first kernel that has it
	Missing string `json:"missing,omitempty"` // why it is not there
}

// ThisRing asks the kernel.
func ThisRing() (r Ring) {
	probed := ring.Probe()
	if err := probed.Require(); err != nil {
		r.Unusable = err.Error()
	}
	for _, list := range [][]ring.Support{probed.Flags, probed.Features} {
		for _, s := range list {
			r.Features = append(r.Features, Feature{Name: s.Name, Since: s.Since, Missing: s.Reason})
		}
	}
	for _, s := range probed.Ops {
		if !s.OK {
			r.Features = append(r.Features, Feature{Name: s.Name, Since: s.Since, Missing: s.Reason})
		}
	}
	return r
}

// lines describe it.
func (r Ring) lines() (lines []string) {
	if r.Unusable != "" {
		lines = append(lines, "io_uring cannot be used: "+r.Unusable)
	}
	var there, missing []string
	for _, f := range r.Features {
		switch {
		case f.Missing == "" && strings.HasPrefix(f.Name, "IORING_FEAT_"):
			// Older than what the library needs, or named by what it does below.
		case f.Missing == "":
			there = append(there, f.Name)
		default:
			missing = append(missing, fmt.Sprintf("%s (Linux %s: %s)", f.Name, f.Since, f.Missing))
		}
	}
	if len(there) > 0 {
		lines = append(lines, "io_uring has "+strings.Join(there, ", ")+".")
	}
	if len(missing) > 0 {
		lines = append(lines, "io_uring lacks "+strings.Join(missing, ", ")+".")
	}
	return lines
}
