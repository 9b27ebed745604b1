package proactor

// pendingOperation is what is under way on a loop besides its connections and
// acceptors. The loop does not end before it has. All methods run on the loop.
type pendingOperation interface {
	// end asks it to end, for that reason; its final completion tells when it
	// has. It leaves the roster then.
	end(reason error)
	// abandon ends it at once: the queue has failed and completes nothing any
	// more.
	abandon(err error)
	place() *int32
}

// resident is one that a Shutdown waits for, such as a Dial or a PacketConn.
type resident interface {
	pendingOperation
	// drain begins a Shutdown: take nothing more in, finish what is there.
	drain()
}

// pendingPlace is embedded by each: where it stands in its roster, plus one.
type pendingPlace int32

func (p *pendingPlace) place() *int32 { return (*int32)(p) }

// roster lists those of a loop.
type roster[T pendingOperation] []T

func (r *roster[T]) add(op T) {
	*r = append(*r, op)
	*op.place() = int32(len(*r))
}

// remove does nothing for what is not listed.
func (r *roster[T]) remove(op T) {
	at := op.place()
	if *at == 0 {
		return
	}
	last := len(*r) - 1
	moved := (*r)[last]
	(*r)[*at-1] = moved
	*moved.place() = *at
	clear((*r)[last:])
	*r = (*r)[:last]
	*at = 0
}

// each calls fn with all there are at this moment; fn may add and remove.
func (r roster[T]) each(fn func(T)) {
	for _, op := range append(roster[T](nil), r...) {
		fn(op)
	}
}

// end asks all to end.
func (r roster[T]) end(reason error) { r.each(func(op T) { op.end(reason) }) }

// abandon ends all.
func (r roster[T]) abandon(err error) { r.each(func(op T) { op.abandon(err) }) }
