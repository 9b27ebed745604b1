package proactor

import "github.com/goproactor/goproactor/ring"

// maxVector is how many pieces one send gathers. The kernel takes 1024
// (IOV_MAX); beyond a few dozen there is nothing left to gain.
const maxVector = 64

// gather is a message header with its vector.
type gather struct {
	header ring.Msghdr
	vector [maxVector]ring.Iovec
	pieces int
}

func (g *gather) add(p []byte) {
	v := &g.vector[g.pieces]
	v.Base, v.Len = &p[0], uintptr(len(p))
	g.pieces++
	g.header.Iov, g.header.Iovlen = &g.vector[0], uintptr(g.pieces)
}

// vectorArena lends gathers to the entries of one turn: the queue copies
// headers and vectors when it submits, so after Enter all are free again.
type vectorArena struct {
	gathers []*gather
	used    int
}

func (a *vectorArena) next() *gather {
	if a.used == len(a.gathers) {
		a.gathers = append(a.gathers, new(gather))
	}
	g := a.gathers[a.used]
	a.used++
	return g
}

func (a *vectorArena) reset() {
	for _, g := range a.gathers[:a.used] {
		clear(g.vector[:g.pieces]) // let go of the memory it pointed to
		g.header.Control, g.header.Controllen = nil, 0
		g.pieces = 0
	}
	a.used = 0
}
