package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Messages that follow each other in a submission, to addresses and from one
// socket, go out in one call. Of a socket that is connected they do not: an
// error that the first brings about belongs to the second, and sendmmsg(2) would
// swallow it.

// sendRun is how many entries, from the first on, make such a batch.
func (q *Queue) sendRun(entries []queueabi.SQE) (n int) {
	first := entries[0].Entry()
	if ring.Op(first.Opcode) != ring.OpSendmsg || q.noBatch || q.chain.head != nil || q.draining || q.drainNext || q.isPrivate(first.FD) {
		return 0
	}
	if d := q.lookup(first.FD); d != nil && !d.queues[writing].empty() {
		return 0
	}
	for n < min(len(entries), maxMessageBatch) {
		f := entries[n].Entry()
		if f.FD != first.FD || f.OpFlags != first.OpFlags || !joinsBatch(f) {
			break
		}
		n++
	}
	return n
}

func joinsBatch(f *queueabi.Entry) bool {
	const flags = ring.MsgDontWait | ring.MsgNoSignal
	return ring.Op(f.Opcode) == ring.OpSendmsg && f.Flags == 0 && f.Ioprio == 0 && f.Personality == 0 && f.Off == 0 && f.SpliceFD == 0 &&
		f.OpFlags&ring.MsgDontWait != 0 && f.OpFlags&^flags == 0 &&
		checkMessage(f.Addr) == 0 && (*msghdr)(pointer(f.Addr)).name != 0
}

// sendBatch sends them. The one at which the call stops is tried by itself,
// which tells why; where there is no room, so are all behind it.
func (q *Queue) sendBatch(entries []queueabi.SQE) {
	b := &q.scratch.batch
	for i := range entries {
		b.headers[i].header = *(*msghdr)(pointer(entries[i].Entry().Addr))
	}
	first := entries[0].Entry()
	flags := uintptr(first.OpFlags | unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL)
	for done, full := 0, false; done < len(entries); done++ {
		if !full {
			sent, errno := q.raw(unix.SYS_SENDMMSG, uintptr(first.FD), addressOf(&b.headers[done]), uintptr(len(entries)-done), flags, 0, 0)
			full = errno == unix.EAGAIN
			for ; errno == 0 && sent > 0; sent-- {
				op := q.newOperation(entries[done].Entry())
				op.end(int32(b.headers[done].length))
				q.finish(op)
				done++
			}
		}
		if done < len(entries) {
			q.take(entries[done].Entry())
		}
	}
}
