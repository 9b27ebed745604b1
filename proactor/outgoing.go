package proactor

import "github.com/goproactor/goproactor/futures"

// outgoing is what the senders of connections and of messages have in common: how
// many bytes wait, and who waits for them to become fewer.
type outgoing struct {
	pending int                        // bytes queued and in flight
	low     *futures.Promise[struct{}] // of those who wait for the queue to shrink
	several bool                       // more than one call has its future
}

// above says that the queue is past its high-water mark.
func (o *outgoing) above(l *Loop) bool { return o.pending > l.rt.options.highWater }

// pressed is resolved when the queue has shrunk to half its high-water mark. Until
// then the handler of what comes in is not called.
func (o *outgoing) pressed(l *Loop, in interface{ holdHandler() }) futures.Future[struct{}] {
	in.holdHandler()
	if o.low != nil && o.low.Pending() {
		o.several = true
		return o.low.Future()
	}
	if o.low != nil && !o.several { // else another call may still ask for the result
		if f, ok := o.low.Renew(); ok {
			return f
		}
	}
	o.low, o.several = new(futures.Promise[struct{}]), false
	o.low.Bind(&l.engine, nil)
	f, _ := o.low.Renew()
	return f
}

// eased tells those who wait when the queue has shrunk, or has failed with err. It
// reports whether the handler may be called again.
func (o *outgoing) eased(l *Loop, err error) bool {
	if o.pending > l.rt.options.highWater/2 {
		return false
	}
	if o.low != nil && o.low.Pending() {
		o.low.Settle(struct{}{}, err)
	}
	return true
}
