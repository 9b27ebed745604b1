package differential

import (
	"fmt"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// perform does what somebody outside does and says what came of it.
func (m *machine) perform(a Act) string {
	w := m.world
	w.meet()
	switch a.Verb {
	case Refill:
		return fmt.Sprintf("refilled %d", m.refill(a.Group, a.N))
	case PeerConnects:
		return w.clientConnects()
	}
	e := &w.ends[a.Object]
	if e.peer == closed {
		return fmt.Sprintf("%v has no peer", a.Object)
	}
	switch a.Verb {
	case PeerWrites:
		return fmt.Sprintf("%v: wrote %s", a.Object, e.write(a.Object, a.N))
	case PeerReads:
		data, end := e.read(a.Object, a.N)
		return fmt.Sprintf("%v: read %d %s%s", a.Object, len(data), digest(data), end)
	case PeerDrains:
		return m.drain(a.Object)
	case PeerCloses, PeerResets:
		e.closePeer(a)
	case PeerShuts:
		if m.busy(a.Object)&writeSide != 0 && a.N != unix.SHUT_RDWR {
			return "passed over: a send waits" // see leavesHalfClosed
		}
		if m.waitsForBuffer(a.Object) && a.N == unix.SHUT_RD {
			return "passed over: a receive waits"
		}
		return fmt.Sprintf("%v: shut: %v", a.Object, unix.Shutdown(e.peer, a.N))
	}
	return a.String()
}

func (e *endpoint) closePeer(a Act) {
	if a.Verb == PeerResets && a.Object.tcp() {
		abort(e.peer)
	} else {
		unix.Close(e.peer)
	}
	e.peer = closed
	if a.Object.tcp() && e.ours != noFile {
		gone(e.ours)
	}
}

// wouldBlock asks first: an eventfd's mode is that of both its ends.
func wouldBlock(fd int, events int16) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 0)
		if err != unix.EINTR { // as the runtime sends signals, even without a wait
			return n == 0
		}
	}
}

// write writes bytes that tell their place in the stream.
func (e *endpoint) write(o Object, n int) string {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte((e.wrote + i) * 7)
	}
	if o == Event {
		p = eventValue(1)
		if wouldBlock(e.peer, unix.POLLOUT) {
			return unix.EAGAIN.Error()
		}
	}
	got, err := writeQuietly(e.peer, p)
	if err != nil {
		return err.Error()
	}
	e.wrote += got
	return fmt.Sprint(got)
}

// writeQuietly writes without a signal where that can be had.
func writeQuietly(fd int, p []byte) (int, error) {
	n, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_NOSIGNAL)
	if err == unix.ENOTSOCK {
		n, err = unix.Write(fd, p)
	}
	return max(n, 0), err
}

// read reads up to n bytes; end says why it stopped before.
func (e *endpoint) read(o Object, n int) (data []byte, end string) {
	if o == Event {
		n = 8
	}
	buffer := make([]byte, min(n, 16<<10))
	for len(data) < n {
		if o == Event && wouldBlock(e.peer, unix.POLLIN) {
			return data, " " + unix.EAGAIN.Error()
		}
		got, err := unix.Read(e.peer, buffer[:min(n-len(data), len(buffer))])
		switch {
		case err != nil:
			return data, " " + err.Error()
		case got == 0:
			return data, " end"
		}
		data = append(data, buffer[:got]...)
	}
	return data, ""
}

// drain reads, and turns the queue, until nothing of the object's sends waits
// any more.
func (m *machine) drain(o Object) string {
	e := &m.world.ends[o]
	var all []byte
	end := ""
	for quiet := 0; quiet < 3; quiet++ {
		var data []byte
		if data, end = e.read(o, 1<<20); len(data) > 0 {
			all, quiet = append(all, data...), 0
		}
		if m.turn(0) > 0 {
			quiet = 0
		}
		m.world.settle()
		if m.sendsMuch(o) && !m.expired() && end == " "+unix.EAGAIN.Error() {
			quiet = 0
		}
	}
	return fmt.Sprintf("%v: drained %d %s%s", o, len(all), digest(all), end)
}

// sendsMuch says that more than buffers take is being sent.
func (m *machine) sendsMuch(o Object) bool {
	for _, f := range m.live {
		if f.entry.Object == o && f.entry.sides() == writeSide && f.entry.Size >= 70000 && m.started(f) {
			return true
		}
	}
	return false
}

// remains says what nobody has read.
func (m *machine) remains() (list []string) {
	m.world.meet()
	m.world.settle()
	for o := range objects {
		e := &m.world.ends[o]
		if e.peer != closed && o != Event {
			data, end := e.read(o, 1<<20)
			list = append(list, fmt.Sprintf("%v: the peer finds %d %s%s", o, len(data), digest(data), end))
		}
		if e.made && e.ours != noFile && o != Listener && o != PipeIn && o != Event {
			n, err := unix.IoctlGetInt(e.ours, unix.TIOCINQ)
			list = append(list, fmt.Sprintf("%v: unread %d %v", o, n, err))
		}
	}
	return list
}

// pool is a group of provided buffers: those in it, and those consumed.
type pool struct {
	ring     *ring.BufferRing
	buffers  [][]byte
	used     []int // of each, bytes consumed so far
	consumed []uint16
}

func (m *machine) newPool(number int, g Group) error {
	n := 1
	for n < g.Count {
		n *= 2
	}
	r, err := ring.NewBufferRing(n)
	if err != nil {
		return err
	}
	r.Incremental = g.Incremental
	p := &pool{ring: r, used: make([]int, g.Count)}
	for id := range g.Count {
		p.buffers = append(p.buffers, make([]byte, g.Size))
		r.Add(p.buffers[id], uint16(id))
	}
	r.Publish()
	m.pools = append(m.pools, p)
	return m.queue.RegisterBufferRing(uint16(number), r)
}

func (m *machine) refill(group, n int) int {
	if group >= len(m.pools) {
		return 0
	}
	p := m.pools[group]
	n = min(n, len(p.consumed))
	for _, id := range p.consumed[:n] {
		p.used[id] = 0
		p.ring.Add(p.buffers[id], id)
	}
	p.consumed = p.consumed[n:]
	p.ring.Publish()
	return n
}

// room is how many bytes fit in a buffer, for an entry that asks for size of
// them or, with 0, for as many as there are.
func (p *pool) room(id uint16, size int) int {
	if int(id) >= len(p.buffers) {
		return 0
	}
	n := len(p.buffers[id]) - p.used[id]
	if size > 0 {
		n = min(n, size)
	}
	return n
}

// take returns the bytes a completion left in a buffer.
func (p *pool) take(id uint16, n int, more bool) []byte {
	if int(id) >= len(p.buffers) {
		return []byte("no such buffer")
	}
	from := p.used[id]
	data := append([]byte(nil), p.buffers[id][min(from, len(p.buffers[id])):min(from+n, len(p.buffers[id]))]...)
	if p.used[id] += n; !more {
		p.consumed = append(p.consumed, id)
	}
	return data
}
