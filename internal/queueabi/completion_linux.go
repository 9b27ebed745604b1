package queueabi

import iouring_syscall "github.com/iceber/iouring-go/syscall"

// CQE is a completion, 16 bytes.
type CQE struct {
	iouring_syscall.CompletionQueueEvent16
}
