package epollfallback

import (
	"golang.org/x/sys/unix"
)

// descriptor is what the queue knows of one descriptor: who waits for it and
// what epoll watches. It comes into being when the first operation parks.
//
// # Whose descriptor is it
//
// A number is not a file. The kernel's ring holds on to the file an operation
// was submitted for; here there are only numbers, and a number can be closed
// and given to another file. Three rules keep files apart:
//
//   - OpClose and our own accepts tell us: state kept under the number is
//     dropped. If operations are parked when OpClose comes, the file is
//     duplicated first and they move to the duplicate, so that they stay in
//     flight on their file until they end, as in the kernel; the duplicate is
//     closed with the last of them. Where the process can have no other number
//     they keep theirs.
//   - Every registration with epoll carries a generation next to the number.
//     An event for an older generation finds no owner.
//   - close(2) behind our back, and reuse of the number, tells nobody: epoll
//     drops the registration in silence, and a wait that trusts it would never
//     end. So a registration is confirmed (by EPOLL_CTL_ADD, which answers EEXIST
//     if the number still stands for the registered file) whenever an operation joins
//     others that wait on the descriptor, when a cancel names it, and otherwise
//     after the operation has waited in vain for a while (see unconfirmed):
//     never on the way of an operation that is served promptly.
//
// What cannot be told apart is only this: an operation in flight on a number
// that the program closes with close(2), a breach of the contract. Once seen,
// it stays in flight, on no file, until canceled.
type descriptor struct {
	queues [2]opList // what waits to read and what waits to write
	polls  opList
	users  int32 // operations that refer to it, the canceled and unposted included
	jobs   int32 // of them, those that are with the workers or queued for them
	pins   int32 // of them, ends of splices in flight

	fd         int32 // -1 once the file is lost
	generation int32
	events     uint32 // what epoll watches; 0 if nothing
	// signalled is what epoll reported of hang-ups, errors and urgent data since
	// the registration. Once it has, nothing that a short read says is trusted.
	signalled  uint32
	since      uint32 // the turn since which it waits for confirmation
	kind       kind
	owned      bool // fd is ours, a duplicate mostly: the number in the program is gone
	closing    bool // to be closed when no job is left on it: the number in the program is gone
	again      uint8
	reporting  bool
	unverified bool
	confirmed  uint64 // the epoch in which the registration was confirmed last

	next   *descriptor // in the pool or in Queue.resumable
	before *descriptor
	after  *descriptor
}

// kind is what a descriptor turned out to be, as far as it matters.
type kind uint8

const (
	unknown kind = iota
	tcp
	unixStream
	other
	datagrams // messages, and no end
)

// baseEvents is what every registration watches. A hang-up that epoll reports
// anyway and EPOLLRDHUP together tell whether a short read means empty.
const baseEvents = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET

// lastingEvents are those that say why a short read is no proof of an empty socket.
const lastingEvents = unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

// lookup finds the state kept for a number.
func (q *Queue) lookup(fd int32) *descriptor {
	if uint32(fd) < uint32(len(q.descriptors)) {
		return q.descriptors[fd]
	}
	return nil
}

// adopt makes state for a number that has none.
func (q *Queue) adopt(fd int32) *descriptor {
	q.makeRoom(fd)
	d := q.free.descriptors
	if d == nil {
		d = q.slabs.descriptors.New(slabLength)
	} else {
		q.free.descriptors = d.next
	}
	*d = descriptor{fd: fd}
	q.descriptors[fd] = d
	return d
}

// makeRoom makes the table of descriptors large enough for a number. What was never
// touched of a table takes no memory, but what a small step leaves behind does: so
// the table grows in large ones.
func (q *Queue) makeRoom(fd int32) {
	if n := len(q.descriptors); int(fd) >= n {
		q.descriptors = append(make([]*descriptor, 0, max(int(fd)+1, 4*n, 256)), q.descriptors...)
		q.descriptors = q.descriptors[:cap(q.descriptors)]
	}
}

// park puts an operation that would block at the end of its queue and sees to
// it that epoll reports the edge. It returns false if the operation ended
// instead.
func (q *Queue) park(op *operation) bool {
	d, errno := q.watch(op.waitsOn(), eventsFor(op), op.pollsFirst())
	op.waited = true
	if errno != 0 {
		return q.unpollable(op, errno)
	}
	q.keep(op)
	q.join(op, d)
	d.queues[op.queue].push(op)
	if op.splices() {
		q.pin(op)
	}
	return true
}

// unpark is the opposite: it is to wait elsewhere.
func (q *Queue) unpark(op *operation) {
	op.list.remove(op)
	if op.registered {
		q.registry.remove(op)
	}
	d := op.d
	op.d = nil
	q.leave(d)
}

func eventsFor(op *operation) uint32 {
	if op.queue == writing {
		return baseEvents | unix.EPOLLOUT
	}
	return baseEvents
}

// join makes op one of the operations in flight on d.
func (q *Queue) join(op *operation, d *descriptor) {
	op.d, op.state = d, parked
	d.users++
	q.registry.add(op)
}

// leave is the opposite. Without operations, a duplicate is deregistered and closed.
func (q *Queue) leave(d *descriptor) {
	if d.users--; d.users > 0 {
		return
	}
	if d.unverified {
		q.unconfirmed.remove(d)
	}
	switch {
	case d.owned:
		q.forget(d)
		q.controlRaw(unix.EPOLL_CTL_DEL, d.fd)
		q.closing = append(q.closing, d.fd)
		q.recycleDescriptor(d)
	case d.fd < 0:
		q.recycleDescriptor(d)
	}
}

func (q *Queue) recycleDescriptor(d *descriptor) {
	d.generation = 0
	d.next = q.free.descriptors
	q.free.descriptors = d
}

// forget removes d from the table: its number stands for another file, or none.
func (q *Queue) forget(d *descriptor) {
	if d.fd >= 0 && q.descriptors[d.fd] == d {
		q.descriptors[d.fd] = nil
	}
}

// watch returns the state of fd with at least these events registered. With
// anew, epoll reports again what holds already.
func (q *Queue) watch(fd int32, events uint32, anew bool) (*descriptor, unix.Errno) {
	d := q.lookup(fd)
	if d == nil {
		if fd < 0 || int(fd) >= len(q.descriptors) && !q.isOpen(fd) { // it makes no room for any number
			return nil, unix.EBADF
		}
		d = q.adopt(fd)
	}
	switch {
	case d.events == 0:
		return q.register(d, events)
	case events&^d.events != 0 || anew:
		errno := q.control(unix.EPOLL_CTL_MOD, d, d.events|events)
		if errno == unix.ENOENT {
			return q.register(q.replace(d), events)
		}
		if errno != 0 {
			return nil, errno
		}
	case d.confirmed == q.epoch:
	case d.users == 0:
		q.unconfirmed.add(d, q.turn)
	case !q.confirm(d):
		return q.watch(fd, events, false)
	}
	return d, 0
}

// register adds the descriptor to epoll, which reports at once what already
// holds: no edge from before is missed.
func (q *Queue) register(d *descriptor, events uint32) (*descriptor, unix.Errno) {
	q.newGeneration(d)
	errno := q.control(unix.EPOLL_CTL_ADD, d, events)
	if errno == unix.EEXIST {
		// The file was registered under this number, moved and came back
		// (dup2): the registration is ours, take it over.
		errno = q.control(unix.EPOLL_CTL_MOD, d, events)
	}
	if errno != 0 {
		if errno != unix.EPERM || !d.busy() {
			q.lose(d)
		}
		return nil, errno
	}
	q.registrations++
	return d, 0
}

func (q *Queue) newGeneration(d *descriptor) {
	q.generation++
	d.generation, d.kind, d.signalled = q.generation, unknown, 0
}

// confirm reports whether the operations parked on d wait for the file that
// the number stands for now. Adding the number to epoll again fails with
// EEXIST if so, and changes nothing.
func (q *Queue) confirm(d *descriptor) bool {
	if d.confirmed == q.epoch || d.events == 0 && d.busy() {
		return true
	}
	q.scratch.event = unix.EpollEvent{Events: d.events, Fd: d.fd, Pad: q.generation + 1}
	q.confirmations++
	switch q.controlRaw(unix.EPOLL_CTL_ADD, d.fd) {
	case unix.EEXIST:
		q.trust(d)
		return true
	case 0:
		q.registrations++
		events := d.events
		now := q.replace(d)
		q.newGeneration(now) // the one just registered
		now.events = events
		q.trust(now)
		return now == d
	case unix.EPERM:
		if d.unverified {
			q.disperse(d)
			return false
		}
	}
	q.lose(d) // the number is closed, or stands for what cannot be watched
	return false
}

// replace is called when d's number turned out to stand for another file than
// the registered one. It returns the state for that file.
func (q *Queue) replace(d *descriptor) *descriptor {
	fd := d.fd
	if d.users > 0 && !d.unverified {
		q.lose(d)
		return q.adopt(fd)
	}
	// What is unverified was parked on the file that is there now: a program
	// may close a number that nothing is in flight on as it likes.
	return d
}

func (q *Queue) control(op int, d *descriptor, events uint32) unix.Errno {
	q.scratch.event = unix.EpollEvent{Events: events, Fd: d.fd, Pad: d.generation}
	errno := q.controlRaw(op, d.fd)
	if errno == 0 {
		d.events = events
		q.trust(d)
	}
	return errno
}

func (q *Queue) controlRaw(op int, fd int32) unix.Errno {
	q.controls++
	_, errno := q.raw(unix.SYS_EPOLL_CTL, uintptr(q.epoll), uintptr(op), uintptr(fd), addressOf(&q.scratch.event), 0, 0)
	return errno
}

// trust notes that the registration of d is that of the file behind its number.
func (q *Queue) trust(d *descriptor) {
	d.confirmed = q.epoch
	if d.unverified {
		q.unconfirmed.remove(d)
	}
}

// lose cuts d loose from its number. What is parked on it stays in flight.
func (q *Queue) lose(d *descriptor) {
	q.forget(d)
	d.fd = -1
	if d.unverified {
		q.unconfirmed.remove(d)
	}
	if d.users == 0 {
		q.recycleDescriptor(d)
	}
}

// busy reports whether something goes on that the number must stay open for.
func (d *descriptor) busy() bool { return d.jobs > 0 || d.pins > 0 }

// fresh is told of a number that was just created for a new file: whatever is
// known of it is of an earlier one.
func (q *Queue) fresh(fd int32) {
	if d := q.lookup(fd); d != nil {
		q.lose(d)
	}
}

// vacate is told that a number is about to be closed. It returns false if what is parked
// needs that number itself, since there is no other: the last of them closes it.
func (q *Queue) vacate(d *descriptor) bool {
	if d.users == 0 {
		if d.events != 0 {
			// The file may live on under another number, here or in the process
			// it was passed to, and epoll would go on telling of it.
			q.controlRaw(unix.EPOLL_CTL_DEL, d.fd)
		}
		q.forget(d)
		q.recycleDescriptor(d)
		return true
	}
	fd := d.fd
	if !q.confirm(d) {
		// They were not on this file to begin with.
		q.fresh(fd)
		return true
	}
	dup, errno := q.duplicate(fd)
	if errno != 0 {
		d.owned = true
		return false
	}
	if !q.move(d, dup) {
		d.owned = true
		return false
	}
	return true
}

// move lets what is parked on d wait under another number of the same file. It returns
// false if epoll takes no more (ENOSPC, ENOMEM): then they go on under the number they have.
func (q *Queue) move(d *descriptor, fd int32) bool {
	number := d.fd
	q.scratch.event = unix.EpollEvent{Events: d.events, Fd: fd, Pad: q.generation + 1}
	if q.controlRaw(unix.EPOLL_CTL_ADD, fd) != 0 {
		q.blocking(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
		return false
	}
	q.generation++
	d.generation = q.generation
	q.forget(d)
	q.fresh(fd)
	q.makeRoom(fd)
	q.descriptors[fd] = d
	d.fd, d.owned = fd, true
	for _, list := range []*opList{&d.queues[reading], &d.queues[writing], &d.polls} {
		for op := list.head; op != nil; op = op.next {
			op.fd = fd
		}
	}
	// A registration belongs to file and number: the old one would outlive
	// the number.
	q.controlRaw(unix.EPOLL_CTL_DEL, number)
	q.trust(d)
	return true
}

// kindAt finds out what a number stands for, and remembers. It may be that of
// an earlier file: whoever relies on it must be on a registered descriptor.
func (q *Queue) kindAt(fd int32) kind {
	d := q.lookup(fd)
	if d == nil {
		d = q.adopt(fd)
	}
	if d.kind == unknown {
		d.kind = q.askKind(fd)
	}
	return d.kind
}

func (q *Queue) askKind(fd int32) kind {
	if protocol, _ := q.getsockopt(fd, unix.SO_PROTOCOL); protocol == unix.IPPROTO_TCP {
		return tcp
	}
	switch kind, _ := q.getsockopt(fd, unix.SO_TYPE); kind {
	case unix.SOCK_DGRAM, unix.SOCK_RAW:
		return datagrams
	case unix.SOCK_STREAM:
		if domain, _ := q.getsockopt(fd, unix.SO_DOMAIN); domain == unix.AF_UNIX {
			return unixStream
		}
	}
	return other
}

// unpollable takes an operation that would block on something epoll cannot
// watch, such as a regular file: reads and writes go to the workers. It returns
// false if it ended the operation.
func (q *Queue) unpollable(op *operation, errno unix.Errno) bool {
	if errno == unix.EPERM && op.transfers() {
		errno = 0
	}
	if errno != 0 {
		op.endError(errno)
	} else if q.giveTransferToWorkers(op) == held {
		return true
	}
	q.finish(op)
	return false
}

// disperse takes what is parked on d off it: the number stands for a file that
// cannot be watched. They trusted a registration of an earlier one.
func (q *Queue) disperse(d *descriptor) {
	d.users++ // it stays for a moment
	q.lose(d)
	defer q.leave(d)
	for way := range d.queues {
		for op := d.queues[way].pop(); op != nil; op = d.queues[way].pop() {
			if op.registered {
				q.registry.remove(op)
			}
			op.d = nil
			d.users--
			q.unpollable(op, unix.EPERM)
		}
	}
}

// unconfirmedList is the descriptors with operations that parked trusting a
// registration from before, oldest first.
type unconfirmedList struct{ head, tail *descriptor }

func (l *unconfirmedList) add(d *descriptor, turn uint32) {
	if d.unverified {
		return
	}
	d.unverified, d.since = true, turn
	d.before, d.after = l.tail, nil
	if l.tail != nil {
		l.tail.after = d
	} else {
		l.head = d
	}
	l.tail = d
}

func (l *unconfirmedList) remove(d *descriptor) {
	if d.before != nil {
		d.before.after = d.after
	} else {
		l.head = d.after
	}
	if d.after != nil {
		d.after.before = d.before
	} else {
		l.tail = d.before
	}
	d.unverified, d.before, d.after = false, nil, nil
}
