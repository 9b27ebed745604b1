package simulation

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// connectLimit is after how long a connect ends that nobody answers (tcp(7),
// tcp_syn_retries).
const connectLimit = 127 * time.Second

// connect begins a connect. The kernel's socket is connected at once, which tells
// whether anybody listens, and gives both ends their names.
func (s *socket) connect(op *operation) syscall.Errno {
	to := sockets.IP(op.name)
	switch {
	case s.kind == stream:
		return syscall.EISCONN
	case s.kind != unconnected:
		return s.owner.refuse(op)
	case s.connecting != nil:
		return syscall.EALREADY
	}
	errno := s.handle.connect(op.name)
	s.local, _ = s.handle.names()
	s.remote = to
	s.connecting = op
	c := &s.net.conditions
	if errno != 0 {
		s.net.after(2*c.Latency+upTo(s.random, c.Jitter), func() {
			if s.connecting == op {
				s.connecting = nil
				op.fail(errno)
			}
		})
		return 0
	}
	peer := s.net.newSocket(s.owner, about{kind: stream, local: to, remote: s.local})
	s.kind = stream
	connected(s, peer)
	s.net.awaitHandshake(peer)
	s.net.incoming = append(s.net.incoming, peer)
	s.out.push(segment{kind: syn})
	op.timer = s.net.after(connectLimit, func() {
		s.leave(op)
		op.fail(syscall.ETIMEDOUT)
	})
	return 0
}

// awaitHandshake waits, in real time, until the kernel's listener has a connection: on a busy
// machine the last packet of the handshake comes after the end of the connect, and nothing
// would have anybody look for it then.
func (n *Network) awaitHandshake(s *socket) {
	for {
		var listeners []int
		for _, l := range n.all {
			switch {
			case !l.matches(s) || !l.handle.isListening():
			case l.holds(s.remote):
				return
			default:
				listeners = append(listeners, l.handle.fd)
			}
		}
		if len(listeners) == 0 || !anyReady(listeners) {
			return
		}
	}
}

// established ends a connect.
func (s *socket) established() {
	if op := s.connecting; op != nil {
		s.connecting = nil
		op.finish(0)
	}
	s.advance()
}

// synArrived is for a connect that has come to a listener's address.
func (n *Network) synArrived(s *socket) {
	s.arrived = true
	if s.dead {
		n.refuseIncoming(s)
		return
	}
	s.out.push(segment{kind: synAck})
	for _, l := range append([]*socket(nil), n.all...) {
		if l.matches(s) {
			l.advance()
		}
	}
}

// matches reports whether s is a connection for that listener.
func (l *socket) matches(s *socket) bool {
	to := s.local
	return l.kind == listening && !l.dead && l.local.Port() == to.Port() && (l.local.Addr() == to.Addr() || l.local.Addr().IsUnspecified())
}

// waiting are the connections that could be accepted. Another listener on this port may
// have some: the kernel knows which.
func (l *socket) waiting() (list []*socket) {
	for _, s := range l.net.incoming {
		if s.arrived && l.matches(s) && l.holds(s.remote) {
			list = append(list, s)
		}
	}
	return list
}

// accept begins an accept.
func (l *socket) accept(op *operation) syscall.Errno {
	if l.kind != listening || l.dead {
		return syscall.EINVAL
	}
	op.order = &l.lastRead
	l.reads = append(l.reads, op)
	l.advanceReads()
	return 0
}

// acceptOne serves an accept; false if it waits.
func (l *socket) acceptOne(op *operation) bool {
	if l.dead {
		return l.endRead(op, -int32(syscall.EINVAL), 0)
	}
	waiting := l.waiting()
	if len(waiting) == 0 {
		return false
	}
	s := waiting[0]
	h := l.accepted[s.remote]
	delete(l.accepted, s.remote)
	l.net.forgetIncoming(s)
	s.owner = op.queue
	op.queue.used++
	s.number = int(op.queue.used)
	l.net.bind(s, h)
	if !op.multishot || chance(l.random, l.net.conditions.Endings) {
		return l.endRead(op, int32(h.fd), 0)
	}
	op.queue.post(op, int32(h.fd), ring.CQEFMore)
	return true
}

// holds reports whether this listener has the kernel's socket of the connection from that
// address.
func (l *socket) holds(from netip.AddrPort) bool {
	for {
		if _, ok := l.accepted[from]; ok {
			return true
		}
		h, peer, ok := l.handle.accept()
		if !ok {
			return false
		}
		l.accepted[peer] = h
	}
}

func (n *Network) forgetIncoming(s *socket) {
	for i, other := range n.incoming {
		if other == s {
			n.incoming = append(n.incoming[:i], n.incoming[i+1:]...)
			return
		}
	}
}

// refuseIncoming resets a connection that nobody will accept.
func (n *Network) refuseIncoming(s *socket) {
	n.forgetIncoming(s)
	s.closed, s.broken = true, true
	s.out.discard()
	s.out.push(segment{kind: reset})
}

// stopListening ends a listener: what nobody has accepted is reset.
func (l *socket) stopListening() {
	if l.dead {
		return
	}
	for _, s := range append([]*socket(nil), l.net.incoming...) {
		if !l.matches(s) {
			continue
		}
		if s.arrived {
			l.net.refuseIncoming(s)
		} else {
			s.dead = true
		}
	}
	for _, h := range l.accepted {
		h.close()
	}
	l.dead = true
	l.advance()
}

// abandon closes a connection that was accepted and that nobody will be told of.
func (n *Network) abandon(fd int) {
	if s := n.sockets[fd]; s != nil {
		s.descriptorClosed()
	}
	syscallClose(fd)
}
