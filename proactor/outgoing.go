package proactor

import (
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
)

// outgoing is the part that the senders of connections and of messages share: the number
// of bytes that wait to be sent, and the promise of the calls that wait until they are
// fewer.
type outgoing struct {
	pending atomic.Int64 // bytes queued and in flight; the loop writes it
	low     *lowWater    // nil until a call has waited for the queue to shrink
}

// lowWater is the promise of the calls that wait for a queue to shrink.
type lowWater struct {
	futures.Promise[struct{}]
	several bool // more than one call has its future
}

// bytes is the number of bytes queued and in flight.
func (o *outgoing) bytes() int { return int(o.pending.Load()) }

// above reports whether the queue is above its high-water mark.
func (o *outgoing) above(l *Loop) bool { return o.bytes() > l.rt.options.highWater }

// pressed is resolved when the queue has shrunk to half its high-water mark. Until
// then the handler of received data is not called.
func (o *outgoing) pressed(l *Loop, in interface{ holdHandler() }) futures.Future[struct{}] {
	in.holdHandler()
	if o.low != nil && o.low.Pending() {
		o.low.several = true
		return o.low.Future()
	}
	if o.low != nil && !o.low.several { // else another call may still ask for the result
		if f, ok := o.low.Renew(); ok {
			return f
		}
	}
	o.low = new(lowWater)
	o.low.Bind(&l.engine, nil)
	f, _ := o.low.Renew()
	return f
}

// eased resolves lowWater if the queue has shrunk, or fails it with err. It reports
// whether the handler may be called again.
func (o *outgoing) eased(l *Loop, err error) bool {
	if o.bytes() > l.rt.options.highWater/2 {
		return false
	}
	if o.low != nil && o.low.Pending() {
		o.low.Settle(struct{}{}, err)
	}
	return true
}
