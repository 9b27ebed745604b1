package engine

// Account is what one connection holds of received data: leases that the program
// has, data that nobody has read, data that waits to be sent on.
type Account struct {
	lent    int32 // buffers of pools
	Clients int32 // how many peers it serves; zero is one
	held    int64 // bytes, of lent buffers their whole size
}

// AccountShare is the part of Config.Budget that one account may hold.
const AccountShare = 4

// Held is the number of bytes.
func (a *Account) Held() int64 { return a.held }

// How many buffers of a pool one connection may hold, for each peer. What comes in beyond that
// is copied into memory of its own, and the buffer goes back to the ring at once:
// so the ring never runs dry because of what programs hold, and a slow or hostile
// peer costs others nothing. Of the buffers that a pool may have at most half are
// lent. The more are out, the smaller is the share of each.
const (
	largeShare  = 16 // while less than an eighth is lent
	middleShare = 4  // less than a quarter
	smallShare  = 1  // less than half
)

// lends reports whether a may have one more buffer.
func (p *Pool) lends(a *Account) bool {
	share := int32(0)
	switch {
	case p.out < p.limit/8:
		share = largeShare
	case p.out < p.limit/4:
		share = middleShare
	case p.out < p.limit/2:
		share = smallShare
	}
	return a.lent < share*max(1, a.Clients)
}

// charge notes that the lease's memory is held.
func (l *Lease) charge(a *Account) {
	size := int64(cap(l.data))
	if l.block != nil {
		size = int64(l.pool.size)
		a.lent++
		l.pool.out++
	}
	l.account, l.size = a, size
	a.held += size
	l.pool.loop.held += size
}

// credit is the opposite.
func (l *Lease) credit() {
	a := l.account
	if a == nil { // it shares the memory of another, or is not charged yet
		return
	}
	a.held -= l.size
	l.pool.loop.held -= l.size
	if l.block != nil {
		a.lent--
		l.pool.out--
	}
	l.account = nil
}

// Held is how many bytes of received data are held on the loop, see Account.
func (l *Loop) Held() int64 { return l.held }
