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
	l := &Lease{pool: p, data: data, memory: data, uncharged: true}
	p.loop.Post(&charge{l, a})
	return l
}

// charge is on its way to the loop. The lease may come there sooner, by a way that
// another goroutine knows, and may even be over by then.
type charge struct {
	lease   *Lease
	account *Account
}

func (c *charge) Run() {
	l := c.lease
	if !l.uncharged {
		return
	}
	l.uncharged = false
	l.size = int64(cap(l.memory))
	l.account = c.account
	c.account.held += l.size
	l.pool.loop.held += l.size
	l.pool.checkBudget(c.account)
}

// Memory is all of the lease's memory, of which Data may be a part.
func (l *Lease) Memory() []byte { return l.memory }
