package engine

// Memory may have several holders, which only read it: it goes back when the last of
// them ends his use. Each call of Retain makes a lease for another holder of the same
// memory, which ends with the task that makes it. Share adds holders that have the lease itself; they end it and do nothing
// else with it.

// Retain makes another lease on the same memory, for a holder of that generation. Any
// goroutine may call it.
func (l *Lease) Retain(generation uint32) *Lease {
	if l.generation.Load() != generation {
		l.misused(generation, "Retain")
	}
	root := l
	if l.root != nil {
		root = l.root
	}
	root.others.Add(1)
	if !l.pool.loop.Inside() {
		return &Lease{pool: l.pool, root: root, data: l.data}
	}
	other := l.pool.unused()
	other.root, other.data = root, l.data
	other.Taken(l.pool.loop.Tasks().Current())
	return other
}

// Share makes n others hold the lease. Each of them ends it once.
func (l *Lease) Share(n int) { l.others.Add(int32(n)) }

// isLast ends the use of one holder, and reports whether no other is left.
func (l *Lease) isLast() bool {
	// Zero stays zero: nobody can begin to share what has one holder, who ends it.
	if l.others.Load() == 0 {
		return true
	}
	if l.others.Add(-1) >= 0 {
		return false
	}
	l.others.Store(0)
	return true
}
