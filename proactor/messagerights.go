package proactor

import (
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// messageRights are descriptors that came with a message. They are closed with its
// lease, unless ReadMsgUnix has given them to its caller.
type messageRights []int

// LeaseEnded implements engine.Attachment.
func (r messageRights) LeaseEnded() { sockets.CloseAll(r) }

// holdRights takes the descriptors out of the control messages. They stay with the
// message, or are closed at once, as the kernel does with those for which there is no
// room.
func (m Message) holdRights(keep bool) {
	control := m.control()
	if len(control) == 0 {
		return
	}
	rest, fds := control.WithoutRights()
	if len(fds) == 0 {
		return
	}
	m.out().Controllen = uint32(len(rest))
	if !keep {
		m.out().Flags |= ring.MsgCTrunc
		sockets.CloseAll(fds)
		return
	}
	for _, fd := range fds { // a multishot receive heeds MSG_CMSG_CLOEXEC on Linux 6.18; older ones were not tried
		sockets.CloseOnExec(fd)
	}
	m.lease.Attach(messageRights(fds))
}

// giveRights adds the message's descriptors to the n bytes of control messages in oob.
// The caller owns those that fit; the others are closed.
func (m Message) giveRights(oob []byte, n int) (length int, cut bool) {
	if m.lease == nil || !m.lease.HasAttachment() {
		return n, false
	}
	fds := m.lease.Attached().(messageRights)
	length, fit := sockets.PutRights(oob, n, fds)
	sockets.CloseAll(fds[fit:])
	return length, fit < len(fds)
}
