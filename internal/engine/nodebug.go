//go:build !debug

package engine

// leaseTrace costs nothing without the debug build tag.
type leaseTrace struct{}

func (*leaseTrace) ended(uint32, string) {}
func (*leaseTrace) where(uint32) string  { return " (build with -tags debug to see where)" }

func poison([]byte) {}
