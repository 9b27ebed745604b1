package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// emulation is what the fallback does for one opcode.
type emulation struct {
	// forms are what entries with the opcode ask for, with the emulation of each in
	// words: docs/operations.md is printed from them.
	forms []form

	// prepare checks and completes the operation when it is submitted.
	prepare func(*Queue, *operation, *queueabi.Entry) unix.Errno
	// perform tries it, without blocking.
	perform func(*Queue, *operation) outcome
	// keep copies what the entry only describes, before Enter returns.
	keep func(*Queue, *operation)
	// work performs it where it may block: on the goroutine of a worker, to which
	// scratch belongs.
	work func(op *operation, scratch *workspace) (n int, errno unix.Errno)

	queue   direction
	ioprio  bool // Ioprio carries flags
	buffers bool // takes SQEBufferSelect
	file    bool // FD names a file, with SQEFixedFile by its slot
	fixed   bool // BufGroup names a registered buffer
}

// form is one use of an operation.
type form struct {
	name  string // what it does, in a few words
	needs string // the feature it needs of io_uring besides the opcode, empty if none
	calls string // the system calls, and when they are made
}

// emulations is the table of what the fallback can do. An opcode without a row
// is answered with EINVAL, as the kernel answers one it does not know.
var emulations = [256]emulation{
	ring.OpNop: {
		forms:   []form{{name: "nothing", calls: "completes at once"}},
		prepare: (*Queue).prepareNop, perform: (*Queue).nop, queue: neither,
	},
	ring.OpReadv: {
		forms:   []form{{name: "read vector", calls: "as a read, below"}},
		prepare: (*Queue).prepareVector, perform: (*Queue).readVector, keep: (*Queue).keepVector, work: (*operation).blockTransfer, queue: reading, ioprio: true, file: true,
	},
	ring.OpWritev: {
		forms:   []form{{name: "write vector", calls: "as a write, below"}},
		prepare: (*Queue).prepareVector, perform: (*Queue).writeVector, keep: (*Queue).keepVector, work: (*operation).blockTransfer, queue: writing, ioprio: true, file: true,
	},
	ring.OpFsync: {
		forms:   []form{{name: "sync file", calls: "fsync(2) or fdatasync(2) by a worker"}},
		prepare: (*Queue).prepareFsync, perform: (*Queue).giveToWorkers, work: (*operation).workFsync, queue: neither, file: true,
	},
	ring.OpReadFixed: {
		forms:   []form{{name: "read into a registered buffer", needs: ring.FeatureRegisteredBuffers, calls: "as a read, below; the table of buffers is the queue's own, and nothing is gained"}},
		prepare: (*Queue).prepareFixed, perform: (*Queue).read, work: (*operation).blockTransfer, queue: reading, ioprio: true, file: true, fixed: true,
	},
	ring.OpWriteFixed: {
		forms:   []form{{name: "write from a registered buffer", needs: ring.FeatureRegisteredBuffers, calls: "as a write, likewise"}},
		prepare: (*Queue).prepareFixed, perform: (*Queue).write, work: (*operation).blockTransfer, queue: writing, ioprio: true, file: true, fixed: true,
	},
	ring.OpPollAdd: {
		forms:   []form{{name: "poll", calls: "ppoll(2) at once, then the descriptor's epoll registration; multishot stays on it"}},
		prepare: (*Queue).preparePoll, perform: (*Queue).pollAdd, queue: neither, file: true,
	},
	ring.OpPollRemove: {
		forms:   []form{{name: "remove or update poll", calls: "takes it off the descriptor's list, or changes what epoll watches"}},
		prepare: (*Queue).preparePollRemove, perform: (*Queue).pollRemove, queue: neither,
	},
	ring.OpSendmsg: {
		forms:   []form{{name: "send message", calls: "sendmsg(2) with MSG_DONTWAIT at once, those that follow each other to addresses by sendmmsg(2); parks until EPOLLOUT"}},
		prepare: (*Queue).prepareSendmsg, perform: (*Queue).sendmsg, keep: (*Queue).keepMessage, queue: writing, ioprio: true, file: true,
	},
	ring.OpRecvmsg: {
		forms: []form{
			{name: "receive message", calls: "recvmsg(2) with MSG_DONTWAIT at once; parks on EAGAIN until EPOLLIN"},
			{name: "receive messages, multishot", needs: ring.FeatureMultishotMessages, calls: "recvmmsg(2) in batches into the group's buffers, each behind the header io_uring puts there"},
		},
		prepare: (*Queue).prepareRecvmsg, perform: (*Queue).recvmsg, keep: (*Queue).keepMessage, queue: reading, ioprio: true, buffers: true, file: true,
	},
	ring.OpTimeout: {
		forms:   []form{{name: "timeout", calls: "a heap of timers, whose first limits epoll_pwait2(2); those that count look at the completions"}},
		prepare: (*Queue).prepareTimeout, perform: (*Queue).timeout, queue: neither,
	},
	ring.OpTimeoutRemove: {
		forms:   []form{{name: "remove or update timeout", calls: "takes it out of the heap"}},
		prepare: (*Queue).prepareTimeoutRemove, perform: (*Queue).timeoutRemove, queue: neither,
	},
	ring.OpAccept: {
		forms: []form{
			{name: "accept", calls: "accept4(2) on a listener made non-blocking, as it then stays: no other call does without waiting; waits for EPOLLIN"},
			{name: "accept, multishot", needs: ring.FeatureMultishotAccept, calls: "accept4(2) until EAGAIN at each edge, 33 connections a turn"},
			{name: "accept into a slot", needs: ring.FeatureDirectDescriptors, calls: "accept, and a number of its own high up that no entry can name; the slot stands for it"},
		},
		prepare: (*Queue).prepareAccept, perform: (*Queue).accept, queue: reading, ioprio: true, file: true,
	},
	ring.OpAsyncCancel: {
		forms: []form{
			{name: "cancel", calls: "finds the operation by user data and ends it with ECANCELED"},
			{name: "cancel by descriptor, or all", needs: ring.FeatureCancelByDescriptor, calls: "ends what is parked on the descriptor or in the slot, or anywhere"},
		},
		prepare: (*Queue).prepareCancel, perform: (*Queue).cancel, queue: neither,
	},
	ring.OpLinkTimeout: {
		forms:   []form{{name: "link timeout", calls: "a timer that cancels the operation before it"}},
		prepare: (*Queue).prepareLinkTimeout, queue: neither,
	},
	ring.OpConnect: {
		forms:   []form{{name: "connect", calls: "connect(2) on a socket made non-blocking for the call; waits for EPOLLOUT, then SO_ERROR"}},
		prepare: (*Queue).prepareConnect, perform: (*Queue).connect, keep: (*Queue).keepAddress, queue: writing, file: true,
	},
	ring.OpFallocate: {
		forms:   []form{{name: "allocate", calls: "fallocate(2) by a worker"}},
		prepare: (*Queue).prepareFallocate, perform: (*Queue).giveToWorkers, work: (*operation).workFallocate, queue: neither, file: true,
	},
	ring.OpOpenat: {
		forms: []form{
			{name: "open", calls: "openat(2) by a worker; a cancel leaves one that waits to itself, and what it opens is closed"},
			{name: "open into a slot", needs: ring.FeatureDirectDescriptors, calls: "open, then as accept into a slot"},
		},
		prepare: (*Queue).prepareOpenat, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPath, work: (*operation).workOpenat, queue: neither,
	},
	ring.OpClose: {
		forms: []form{
			{name: "close", calls: "close(2) on the way out of Enter; what is parked on the file moves to a duplicate, and what is with a worker is waited for"},
			{name: "close a slot", needs: ring.FeatureDirectDescriptors, calls: "empties it, and close(2) on the way out of Enter; what is in flight on the file goes on, and the last of it closes"},
		},
		prepare: (*Queue).prepareClose, perform: (*Queue).closeFile, queue: neither,
	},
	ring.OpStatx: {
		forms:   []form{{name: "status of a file", calls: "statx(2) by a worker"}},
		prepare: (*Queue).prepareStatx, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPath, work: (*operation).workStatx, queue: neither,
	},
	ring.OpRead: {
		forms:   []form{{name: "read", calls: "preadv2(2) with RWF_NOWAIT at once; what does not know it is polled, and read once it is ready, a terminal or named pipe by a description of its own; parks on EAGAIN until EPOLLIN, or goes to a worker if it is a file; past the page cache (O_DIRECT) by io_submit(2), or by a worker where that would wait"}},
		prepare: (*Queue).prepareReadWrite, perform: (*Queue).read, work: (*operation).blockTransfer, queue: reading, ioprio: true, buffers: true, file: true,
	},
	ring.OpWrite: {
		forms:   []form{{name: "write", calls: "pwritev2(2) with RWF_NOWAIT at once; what does not know it, as for read; parks on EAGAIN until EPOLLOUT, or goes to a worker if it is a file; past the page cache as for read"}},
		prepare: (*Queue).prepareReadWrite, perform: (*Queue).write, work: (*operation).blockTransfer, queue: writing, ioprio: true, file: true,
	},
	ring.OpFadvise: {
		forms:   []form{{name: "advise", calls: "posix_fadvise(2) by a worker"}},
		prepare: (*Queue).prepareFadvise, perform: (*Queue).giveToWorkers, work: (*operation).workFadvise, queue: neither, file: true,
	},
	ring.OpSend: {
		forms:   []form{{name: "send", calls: "sendto(2) with MSG_DONTWAIT at once; the rest of a MSG_WAITALL send parks until EPOLLOUT"}},
		prepare: (*Queue).prepareSend, perform: (*Queue).send, queue: writing, ioprio: true, file: true,
	},
	ring.OpRecv: {
		forms: []form{
			{name: "receive", calls: "recvfrom(2) with MSG_DONTWAIT at once; parks on EAGAIN until EPOLLIN"},
			{name: "receive, multishot", needs: ring.FeatureMultishotReceive, calls: "recvfrom(2) into the group's buffers until a short one or EAGAIN, 33 a turn"},
		},
		prepare: (*Queue).prepareRecv, perform: (*Queue).recv, queue: reading, ioprio: true, buffers: true, file: true,
	},
	ring.OpSplice: {
		forms:   []form{{name: "splice", calls: "splice(2) with SPLICE_F_NONBLOCK at once, sockets being made non-blocking for the call; parks on the end that is not ready, or goes to a worker if one is a file"}},
		prepare: (*Queue).prepareSplice, perform: (*Queue).splice, work: (*operation).blockSplice, queue: neither, file: true,
	},
	ring.OpTee: {
		forms:   []form{{name: "tee", calls: "tee(2), as splice"}},
		prepare: (*Queue).prepareTee, perform: (*Queue).splice, work: (*operation).blockSplice, queue: neither, file: true,
	},
	ring.OpShutdown: {
		forms:   []form{{name: "shut down", calls: "shutdown(2) when the rest of the submission has been tried"}},
		prepare: (*Queue).prepareShutdown, perform: (*Queue).shutdown, queue: neither, file: true,
	},
	ring.OpRenameat: {
		forms:   []form{{name: "rename", calls: "renameat2(2) by a worker"}},
		prepare: (*Queue).prepareTwoPaths, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPaths, work: (*operation).workRenameat, queue: neither,
	},
	ring.OpUnlinkat: {
		forms:   []form{{name: "remove name", calls: "unlinkat(2) by a worker"}},
		prepare: (*Queue).prepareUnlinkat, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPath, work: (*operation).workUnlinkat, queue: neither,
	},
	ring.OpMkdirat: {
		forms:   []form{{name: "make directory", calls: "mkdirat(2) by a worker"}},
		prepare: (*Queue).prepareMkdirat, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPath, work: (*operation).workMkdirat, queue: neither,
	},
	ring.OpSymlinkat: {
		forms:   []form{{name: "symbolic link", calls: "symlinkat(2) by a worker"}},
		prepare: (*Queue).prepareSymlinkat, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPaths, work: (*operation).workSymlinkat, queue: neither,
	},
	ring.OpLinkat: {
		forms:   []form{{name: "link", calls: "linkat(2) by a worker"}},
		prepare: (*Queue).prepareTwoPaths, perform: (*Queue).giveToWorkers, keep: (*Queue).keepPaths, work: (*operation).workLinkat, queue: neither,
	},
	ring.OpSocket: {
		forms:   []form{{name: "socket", calls: "socket(2) at once; into a slot as accept"}},
		prepare: (*Queue).prepareSocket, perform: (*Queue).socket, queue: neither,
	},
	ring.OpUringCmd: {
		forms: []form{
			{name: "get a socket option", needs: ring.FeatureSocketOptions, calls: "getsockopt(2) at once"},
			{name: "set a socket option", needs: ring.FeatureSocketOptions, calls: "setsockopt(2) at once"},
		},
		prepare: (*Queue).prepareCommand, perform: (*Queue).socketCommand, queue: neither, file: true,
	},
	ring.OpSendZC: {
		forms:   []form{{name: "send, zero copy", calls: "a send, and the notification behind its result: the bytes are copied"}},
		prepare: (*Queue).prepareSendZC, perform: (*Queue).sendZC, queue: writing, ioprio: true, file: true,
	},
	ring.OpReadMultishot: {
		forms:   []form{{name: "read, multishot", calls: "preadv2(2) into the group's buffers as long as ppoll(2) tells of more, 33 a turn"}},
		prepare: (*Queue).prepareReadMultishot, perform: (*Queue).readMultishot, queue: reading, ioprio: true, buffers: true, file: true,
	},
	ring.OpFixedFDInstall: {
		forms:   []form{{name: "install a slot's file", calls: "fcntl(2) with F_DUPFD_CLOEXEC"}},
		prepare: (*Queue).prepareInstall, perform: (*Queue).installNumber, queue: neither, file: true,
	},
	ring.OpFtruncate: {
		forms:   []form{{name: "truncate", calls: "ftruncate(2) by a worker"}},
		prepare: (*Queue).prepareFtruncate, perform: (*Queue).giveToWorkers, work: (*operation).workFtruncate, queue: neither, file: true,
	},
	ring.OpRecvZC: {
		forms:   []form{{name: "receive, zero copy", needs: ring.FeatureZeroCopyReceive, calls: "recvfrom(2) into free chunks of the area, 33 a turn: the bytes are copied"}},
		prepare: (*Queue).prepareRecvZC, perform: (*Queue).recvZC, queue: reading, ioprio: true, file: true,
	},
	ring.OpPipe: {
		forms: []form{
			{name: "pipe", calls: "pipe2(2) at once"},
			{name: "pipe into slots", calls: "pipe2(2) at once, then as accept into a slot"},
		},
		prepare: (*Queue).preparePipe, perform: (*Queue).pipe, queue: neither,
	},
}
