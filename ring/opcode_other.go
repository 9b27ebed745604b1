//go:build !linux

package ring

// Op is an operation code. The numbers mean nothing on this system.
type Op uint8

const (
	OpNop Op = iota
	OpPollAdd
	OpPollRemove
	OpSendmsg
	OpRecvmsg
	OpTimeout
	OpTimeoutRemove
	OpAccept
	OpAsyncCancel
	OpLinkTimeout
	OpConnect
	OpClose
	OpRead
	OpWrite
	OpSend
	OpRecv
	OpShutdown
	OpSendZC
	OpReadv
	OpWritev
	OpFsync
	OpFallocate
	OpOpenat
	OpStatx
	OpFadvise
	OpRenameat
	OpUnlinkat
	OpMkdirat
	OpSymlinkat
	OpLinkat
	OpReadFixed
	OpWriteFixed
	OpSocket
	OpFixedFDInstall
	OpFtruncate
	OpSplice
	OpTee
)
