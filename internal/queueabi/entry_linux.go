package queueabi

import iouring_syscall "github.com/iceber/iouring-go/syscall"

// SQE is a submission entry, 64 bytes.
type SQE struct {
	iouring_syscall.SubmissionQueueEntry64
}
