package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// A zero-copy send is a send here, which copies, and so can tell at once that
// its memory is free.

func (q *Queue) prepareSendZC(op *operation, f *queueabi.Entry) unix.Errno {
	const flags = ring.RecvSendPollFirst | ring.SendZCReportUsage | recvSendFixed
	if f.Addr3 != 0 || q.chain.head != nil { // it may begin a chain only, see PrepSendZC
		return unix.EINVAL
	}
	op.notifies = true
	if f.Ioprio&^flags != 0 || f.Off != 0 {
		return unix.EINVAL
	}
	op.limitLength()
	return 0
}

func (q *Queue) sendZC(op *operation) outcome {
	if !op.waited {
		if errno := q.refusesZeroCopy(op.fd); errno != 0 {
			return op.endError(errno)
		}
		if op.ioprio&recvSendFixed != 0 { // no buffer is ever registered
			return op.endError(unix.EFAULT)
		}
	}
	return q.send(op)
}

// refusesZeroCopy tells of a socket of which the kernel does: those of TCP and
// UDP can (SOCK_SUPPORT_ZC).
func (q *Queue) refusesZeroCopy(fd int32) unix.Errno {
	switch protocol, errno := q.getsockopt(fd, unix.SO_PROTOCOL); {
	case errno != 0:
		return errno
	case protocol == unix.IPPROTO_TCP || protocol == unix.IPPROTO_UDP:
		return 0
	}
	return unix.EOPNOTSUPP
}

// postNotified posts the result and the notification. What ended before it was
// tried has them too, as with the kernel.
func (q *Queue) postNotified(op *operation) {
	copied := int32(0)
	if op.ioprio&ring.SendZCReportUsage != 0 && op.result > 0 {
		copied = ring.ZeroCopyCopied
	}
	q.post(op, op.result, op.flags|ring.CQEFMore)
	q.post(op, copied, ring.CQEFNotif)
}
