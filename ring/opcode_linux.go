package ring

import iouring_syscall "github.com/iceber/iouring-go/syscall"

// Op is an operation code (IORING_OP_*).
type Op uint8

const (
	OpNop           = Op(iouring_syscall.IORING_OP_NOP)
	OpPollAdd       = Op(iouring_syscall.IORING_OP_POLL_ADD)
	OpPollRemove    = Op(iouring_syscall.IORING_OP_POLL_REMOVE)
	OpSendmsg       = Op(iouring_syscall.IORING_OP_SENDMSG)
	OpRecvmsg       = Op(iouring_syscall.IORING_OP_RECVMSG)
	OpTimeout       = Op(iouring_syscall.IORING_OP_TIMEOUT)
	OpTimeoutRemove = Op(iouring_syscall.IORING_OP_TIMEOUT_REMOVE)
	OpAccept        = Op(iouring_syscall.IORING_OP_ACCEPT)
	OpAsyncCancel   = Op(iouring_syscall.IORING_OP_ASYNC_CANCEL)
	OpLinkTimeout   = Op(iouring_syscall.IORING_OP_LINK_TIMEOUT)
	OpConnect       = Op(iouring_syscall.IORING_OP_CONNECT)
	OpClose         = Op(iouring_syscall.IORING_OP_CLOSE)
	OpRead          = Op(iouring_syscall.IORING_OP_READ)
	OpWrite         = Op(iouring_syscall.IORING_OP_WRITE)
	OpSend          = Op(iouring_syscall.IORING_OP_SEND)
	OpRecv          = Op(iouring_syscall.IORING_OP_RECV)
	OpShutdown      = Op(iouring_syscall.IORING_OP_SHUTDOWN)
	OpSendZC        = Op(iouring_syscall.IORING_OP_SEND_ZC)
	OpReadv         = Op(iouring_syscall.IORING_OP_READV)
	OpWritev        = Op(iouring_syscall.IORING_OP_WRITEV)
	OpFsync         = Op(iouring_syscall.IORING_OP_FSYNC)
	OpFallocate     = Op(iouring_syscall.IORING_OP_FALLOCATE)
	OpOpenat        = Op(iouring_syscall.IORING_OP_OPENAT)
	OpStatx         = Op(iouring_syscall.IORING_OP_STATX)
	OpFadvise       = Op(iouring_syscall.IORING_OP_FADVISE)
	OpRenameat      = Op(iouring_syscall.IORING_OP_RENAMEAT)
	OpUnlinkat      = Op(iouring_syscall.IORING_OP_UNLINKAT)
	OpMkdirat       = Op(iouring_syscall.IORING_OP_MKDIRAT)
	OpSymlinkat     = Op(iouring_syscall.IORING_OP_SYMLINKAT)
	OpLinkat        = Op(iouring_syscall.IORING_OP_LINKAT)
	OpReadFixed     = Op(iouring_syscall.IORING_OP_READ_FIXED)
	OpWriteFixed    = Op(iouring_syscall.IORING_OP_WRITE_FIXED)
	OpSplice        = Op(iouring_syscall.IORING_OP_SPLICE)
	OpTee           = Op(iouring_syscall.IORING_OP_TEE)
	OpFtruncate     = Op(55)
)
