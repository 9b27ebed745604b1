package epollfallback

import "github.com/goproactor/goproactor/ring"

// Description tells of one operation what the fallback does for it.
type Description struct {
	Operation string // what it does, in a few words
	Op        ring.Op
	Needs     string // the feature it needs of io_uring besides the opcode, empty if none
	Emulation string // the system calls, and when they are made
}

// FirstKernel is the first kernel whose io_uring has the operation.
func (d Description) FirstKernel() string {
	if d.Needs != "" {
		return ring.FirstKernel(d.Needs)
	}
	return ring.FirstKernel(d.Op.String())
}

// Descriptions describes every operation the fallback performs. Each row of the
// table of emulations has one here; docs/operations.md is printed from them.
func Descriptions() []Description { return descriptions }

var descriptions = []Description{
	{"nothing", ring.OpNop, "", "completes at once"},
	{"accept", ring.OpAccept, "", "accept4(2) on a listener made non-blocking, as it then stays: no other call does without waiting; waits for EPOLLIN"},
	{"accept, multishot", ring.OpAccept, ring.FeatureMultishotAccept, "accept4(2) until EAGAIN at each edge, 33 connections a turn"},
	{"accept into a slot", ring.OpAccept, ring.FeatureDirectDescriptors, "accept, and a number of its own high up that no entry can name; the slot stands for it"},
	{"socket", ring.OpSocket, "", "socket(2) at once; into a slot as accept"},
	{"connect", ring.OpConnect, "", "connect(2) on a socket made non-blocking for the call; waits for EPOLLOUT, then SO_ERROR"},
	{"receive", ring.OpRecv, "", "recvfrom(2) with MSG_DONTWAIT at once; parks on EAGAIN until EPOLLIN"},
	{"receive, multishot", ring.OpRecv, ring.FeatureMultishotReceive, "recvfrom(2) into the group's buffers until a short one or EAGAIN, 33 a turn"},
	{"send", ring.OpSend, "", "sendto(2) with MSG_DONTWAIT at once; the rest of a MSG_WAITALL send parks until EPOLLOUT"},
	{"send, zero copy", ring.OpSendZC, "", "a send, and the notification behind its result: the bytes are copied"},
	{"receive message", ring.OpRecvmsg, "", "recvmsg(2) with MSG_DONTWAIT at once; parks on EAGAIN until EPOLLIN"},
	{"receive messages, multishot", ring.OpRecvmsg, ring.FeatureMultishotMessages, "recvmmsg(2) in batches into the group's buffers, each behind the header io_uring puts there"},
	{"send message", ring.OpSendmsg, "", "sendmsg(2) with MSG_DONTWAIT at once, those that follow each other to addresses by sendmmsg(2); parks until EPOLLOUT"},
	{"read", ring.OpRead, "", "preadv2(2) with RWF_NOWAIT at once; what does not know it is polled, and read once it is ready, a terminal or named pipe by a description of its own; parks until EPOLLIN, or goes to a worker if it is a file"},
	{"write", ring.OpWrite, "", "pwritev2(2) with RWF_NOWAIT at once; what does not know it, as for read; parks until EPOLLOUT, or goes to a worker if it is a file"},
	{"read into a registered buffer", ring.OpReadFixed, ring.FeatureRegisteredBuffers, "as read; the table of buffers is the queue's own, and nothing is gained"},
	{"write from a registered buffer", ring.OpWriteFixed, ring.FeatureRegisteredBuffers, "as write, likewise"},
	{"read vector", ring.OpReadv, "", "as read"},
	{"write vector", ring.OpWritev, "", "as write"},
	{"splice", ring.OpSplice, "", "splice(2) with SPLICE_F_NONBLOCK at once, sockets being made non-blocking for the call; parks on the end that is not ready, or goes to a worker if one is a file"},
	{"tee", ring.OpTee, "", "tee(2), as splice"},
	{"sync file", ring.OpFsync, "", "fsync(2) or fdatasync(2) by a worker"},
	{"allocate", ring.OpFallocate, "", "fallocate(2) by a worker"},
	{"truncate", ring.OpFtruncate, "", "ftruncate(2) by a worker"},
	{"advise", ring.OpFadvise, "", "posix_fadvise(2) by a worker"},
	{"open", ring.OpOpenat, "", "openat(2) by a worker; a cancel leaves one that waits to itself, and what it opens is closed"},
	{"open into a slot", ring.OpOpenat, ring.FeatureDirectDescriptors, "open, then as accept into a slot"},
	{"status of a file", ring.OpStatx, "", "statx(2) by a worker"},
	{"rename", ring.OpRenameat, "", "renameat2(2) by a worker"},
	{"remove name", ring.OpUnlinkat, "", "unlinkat(2) by a worker"},
	{"make directory", ring.OpMkdirat, "", "mkdirat(2) by a worker"},
	{"link", ring.OpLinkat, "", "linkat(2) by a worker"},
	{"symbolic link", ring.OpSymlinkat, "", "symlinkat(2) by a worker"},
	{"shut down", ring.OpShutdown, "", "shutdown(2) when the rest of the submission has been tried"},
	{"close", ring.OpClose, "", "close(2) on the way out of Enter; what is parked on the file moves to a duplicate, and what is with a worker is waited for"},
	{"close a slot", ring.OpClose, ring.FeatureDirectDescriptors, "empties it, and close(2) on the way out of Enter; what is in flight on the file goes on, and the last of it closes"},
	{"install a slot's file", ring.OpFixedFDInstall, "", "fcntl(2) with F_DUPFD_CLOEXEC"},
	{"poll", ring.OpPollAdd, "", "ppoll(2) at once, then the descriptor's epoll registration; multishot stays on it"},
	{"remove or update poll", ring.OpPollRemove, "", "takes it off the descriptor's list, or changes what epoll watches"},
	{"timeout", ring.OpTimeout, "", "a heap of timers, whose first limits epoll_pwait2(2); those that count look at the completions"},
	{"remove or update timeout", ring.OpTimeoutRemove, "", "takes it out of the heap"},
	{"link timeout", ring.OpLinkTimeout, "", "a timer that cancels the operation before it"},
	{"cancel", ring.OpAsyncCancel, "", "finds the operation by user data and ends it with ECANCELED"},
	{"cancel by descriptor, or all", ring.OpAsyncCancel, ring.FeatureCancelByDescriptor, "ends what is parked on the descriptor or in the slot, or anywhere"},
}
