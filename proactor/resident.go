package proactor

// resident is what lives on a loop besides its connections and acceptors, such
// as a Dial under way or a PacketConn. A loop does not end before its residents
// have. All methods run on the loop.
type resident interface {
	drain()         // the runtime shuts down: take nothing more in, finish what is there
	evict(error)    // the loop stops: end now, for that reason
	bury(error)     // the queue has failed and completes nothing any more: let go of everything
	position() *int // in the loop's list
}

// residents are the residents of one loop.
type residents struct{ list []resident }

func (r *residents) add(one resident) {
	*one.position() = len(r.list)
	r.list = append(r.list, one)
}

func (r *residents) remove(one resident) {
	i, last := *one.position(), len(r.list)-1
	r.list[i] = r.list[last]
	*r.list[i].position() = i
	r.list[last] = nil
	r.list = r.list[:last]
}

// each calls fn with every resident there is at this moment; fn may add and
// remove.
func (r *residents) each(fn func(resident)) {
	for _, one := range append([]resident(nil), r.list...) {
		fn(one)
	}
}
