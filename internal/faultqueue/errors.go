package faultqueue

import (
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// interrupts is what an operation may answer although nothing is wrong: a signal came, or
// a descriptor that others have made non-blocking was not ready.
func interrupts(o Operation) []syscall.Errno {
	waits := o.Target == Stream || o.Target == Packets || o.Target == Pipe || o.Target == Listening
	switch {
	case o.HardLinked, o.Linked && !o.Kind.BreaksLink():
		return nil // what follows it runs, and it cannot be tried again before that
	case o.DontWait && o.Chained:
		return []syscall.Errno{syscall.EAGAIN}
	case o.DontWait: // those behind it go out before it is tried again, and it never waits for a signal to come
		return nil
	}
	switch o.Kind {
	case ring.OpRecv, ring.OpRecvmsg, ring.OpSend, ring.OpSendmsg, ring.OpRead, ring.OpWrite, ring.OpReadMultishot,
		ring.OpAccept, ring.OpSplice, ring.OpTee:
		if waits {
			return []syscall.Errno{syscall.EINTR, syscall.EAGAIN}
		}
		return []syscall.Errno{syscall.EINTR}
	case ring.OpReadv, ring.OpWritev, ring.OpReadFixed, ring.OpWriteFixed, ring.OpFsync, ring.OpFallocate, ring.OpFtruncate, ring.OpOpenat:
		return []syscall.Errno{syscall.EINTR}
	case ring.OpAsyncCancel:
		return []syscall.Errno{syscall.EALREADY}
	}
	return nil
}

// shortages is what an operation answers when something runs out that will be there
// again.
func shortages(o Operation) []syscall.Errno {
	switch {
	case o.Kind == ring.OpAccept:
		return []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	case o.Group:
		return []syscall.Errno{syscall.ENOBUFS}
	case o.Kind == ring.OpSendZC: // it can be sent with a copy
		return []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM}
	}
	return nil
}

// Failures is what operations of a kind fail with, none for those that only end.
func Failures(kind ring.Op) []syscall.Errno { return failures[kind] }

// failures is what operations fail with, as their man pages say. ECANCELED is what one
// answers whose worker thread ends.
var failures = map[ring.Op][]syscall.Errno{
	ring.OpRecv:     {syscall.ECONNRESET, syscall.ENOMEM, syscall.ETIMEDOUT},
	ring.OpRecvmsg:  {syscall.ECONNRESET, syscall.ENOMEM, syscall.ETIMEDOUT},
	ring.OpSend:     {syscall.ECONNRESET, syscall.EPIPE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpSendmsg:  {syscall.ECONNRESET, syscall.EPIPE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpSendZC:   {syscall.ECONNRESET, syscall.EPIPE, syscall.ECANCELED},
	ring.OpConnect:  {syscall.ECONNREFUSED, syscall.ETIMEDOUT, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.ENOMEM},
	ring.OpSocket:   {syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM},
	ring.OpPipe:     {syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM},
	ring.OpPollAdd:  {syscall.ENOMEM, syscall.ECANCELED},
	ring.OpShutdown: {syscall.ENOMEM},
	ring.OpUringCmd: {syscall.ENOMEM, syscall.ENOBUFS},

	ring.OpRead:       {syscall.EIO, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpReadv:      {syscall.EIO, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpReadFixed:  {syscall.EIO, syscall.ENOMEM},
	ring.OpWrite:      {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpWritev:     {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpWriteFixed: {syscall.EIO, syscall.ENOSPC, syscall.ENOMEM},
	ring.OpFsync:      {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.ECANCELED},
	ring.OpFallocate:  {syscall.EIO, syscall.ENOSPC},
	ring.OpFtruncate:  {syscall.EIO},
	ring.OpFadvise:    {syscall.EIO},
	ring.OpSplice:     {syscall.EIO, syscall.ENOMEM},
	ring.OpTee:        {syscall.ENOMEM},
	ring.OpClose:      {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT},

	ring.OpOpenat:    {syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.ENOSPC, syscall.ENOMEM, syscall.ECANCELED},
	ring.OpStatx:     {syscall.EIO, syscall.ENOMEM},
	ring.OpRenameat:  {syscall.EIO, syscall.ENOSPC, syscall.ENOMEM},
	ring.OpUnlinkat:  {syscall.EIO, syscall.ENOMEM},
	ring.OpMkdirat:   {syscall.EIO, syscall.ENOSPC, syscall.ENOMEM},
	ring.OpSymlinkat: {syscall.EIO, syscall.ENOSPC, syscall.ENOMEM},
	ring.OpLinkat:    {syscall.EIO, syscall.ENOSPC, syscall.ENOMEM},
}
