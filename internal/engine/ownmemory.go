package engine

// Memory makes a lease on n bytes of memory for a program to fill. They are not
// cleared. The lease is charged to a. If a task makes it, it ends with that task. Any
// goroutine may call it; what is made on the loop comes from memory that is used again.
func (p *Pool) Memory(n int, a *Account) *Lease {
	if !p.loop.Inside() {
		return p.memoryElsewhere(n, a)
	}
	l := p.lease(p.copies.memory(n), nil, a)
	l.kept = true
	l.Taken(p.loop.Tasks().Current())
	return l
}

func (p *Pool) memoryElsewhere(n int, a *Account) *Lease {
	data := make([]byte, n)
	l := &Lease{pool: p, data: data, memory: data}
	l.uncharged.Store(true)
	p.loop.Post(&charge{l, a})
	return l
}

// charge is on its way to the loop. The lease may come there sooner, by a way that
// another goroutine knows, and may even be over by then. While the loop ends, it may
// also end elsewhere at the same time: who clears uncharged decides whether it counts.
type charge struct {
	lease   *Lease
	account *Account
}

func (c *charge) Run() {
	l := c.lease
	if !l.uncharged.Load() {
		return // it is over here, and may already be used again
	}
	l.size = int64(cap(l.memory))
	if !l.uncharged.CompareAndSwap(true, false) {
		return
	}
	l.account = c.account
	c.account.held += l.size
	l.pool.loop.held += l.size
	l.pool.checkBudget(c.account)
}

// Memory is all of the lease's memory, of which Data may be a part.
func (l *Lease) Memory() []byte { return l.memory }
