//go:build amd64 || arm64

package prefetch

// Lines asks for n lines, at least one, from the one that address is in. It is a
// hint: any address will do, even of memory that is gone.
//
//go:noescape
func Lines(address uintptr, n int)
