package proactor

import (
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// messageRights are descriptors that came with a message. They are closed with its
// lease, unless ReadMsgUnix has given them to its caller.
type messageRights struct{ sockets.Rights }

// LeaseEnded implements engine.Attachment.
func (r messageRights) LeaseEnded() { r.Close() }

// holdRights takes the descriptors out of the control messages. They stay with the
// message, or are closed at once, as the kernel does with those for which there is no
// room.
func (m Message) holdRights(keep bool) {
	control := m.control()
	if len(control) == 0 {
		return
	}
	rest, rights := control.WithoutRights()
	if rights.IsEmpty() {
		return
	}
	m.out().Controllen = uint32(len(rest))
	if !keep {
		m.out().Flags |= ring.MsgCTrunc
		rights.Close()
		return
	}
	for _, fd := range rights.Passed { // a multishot receive heeds MSG_CMSG_CLOEXEC on Linux 6.18; older ones were not tried
		sockets.CloseOnExec(fd)
	}
	m.lease.Attach(messageRights{rights})
}

// giveRights adds the message's descriptors to the n bytes of control messages in oob.
// The caller owns those that fit; the others are closed.
func (m Message) giveRights(oob []byte, n int) (length int, cut bool) {
	if m.lease == nil || !m.lease.HasAttachment() {
		return n, false
	}
	length, left := sockets.PutRights(oob, n, m.lease.Attached().(messageRights).Rights)
	left.Close()
	return length, !left.IsEmpty()
}
