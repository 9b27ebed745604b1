package proactor

// pendingOperation is an operation of the loop itself, of no connection, that
// the end of the loop must end.
type pendingOperation interface {
	// end asks it to end, for that reason; its final completion tells when it
	// has. It leaves the pending then.
	end(reason error)
	// abandon ends it at once: no completion will come any more.
	abandon(err error)
	place() *int32
}

// pendingPlace is embedded by each: where it stands in the list, plus one.
type pendingPlace int32

func (p *pendingPlace) place() *int32 { return (*int32)(p) }

// pendingOperations are those of a loop.
type pendingOperations []pendingOperation

func (l *pendingOperations) add(op pendingOperation) {
	*l = append(*l, op)
	*op.place() = int32(len(*l))
}

// remove does nothing for what is not in the list.
func (l *pendingOperations) remove(op pendingOperation) {
	at := op.place()
	if *at == 0 {
		return
	}
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[*at-1] = moved
	*moved.place() = *at
	(*l)[last] = nil
	*l = (*l)[:last]
	*at = 0
}

// end asks all to end.
func (l pendingOperations) end(reason error) {
	for _, op := range append(pendingOperations(nil), l...) {
		op.end(reason)
	}
}

// abandon ends all.
func (l pendingOperations) abandon(err error) {
	for _, op := range append(pendingOperations(nil), l...) {
		op.abandon(err)
	}
}
