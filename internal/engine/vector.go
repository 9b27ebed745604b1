package engine

import "github.com/goproactor/goproactor/ring"

// MaxVector is how many pieces one send gathers. The kernel takes 1024
// (IOV_MAX); beyond a few dozen there is nothing left to gain.
const MaxVector = 64

// Gather is a message header with its vector.
type Gather struct {
	Header ring.Msghdr
	vector [MaxVector]ring.Iovec
	pieces int
}

// Add appends a piece, which must not be empty.
func (g *Gather) Add(p []byte) {
	v := &g.vector[g.pieces]
	v.Base, v.Len = &p[0], uintptr(len(p))
	g.pieces++
	g.Header.Iov, g.Header.Iovlen = &g.vector[0], uintptr(g.pieces)
}

// vectorArena lends gathers to the entries of one turn: the queue copies
// headers and vectors when it submits, so after Enter all are free again.
type vectorArena struct {
	gathers []*Gather
	used    int
}

func (a *vectorArena) next() *Gather {
	if a.used == len(a.gathers) {
		a.gathers = append(a.gathers, new(Gather))
	}
	g := a.gathers[a.used]
	a.used++
	return g
}

func (a *vectorArena) reset() {
	for _, g := range a.gathers[:a.used] {
		clear(g.vector[:g.pieces]) // let go of the memory it pointed to
		g.Header.Control, g.Header.Controllen = nil, 0
		g.pieces = 0
	}
	a.used = 0
}

// Gather lends a header to an entry of this turn.
func (l *Loop) Gather() *Gather { return l.vectors.next() }
