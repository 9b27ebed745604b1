package ring

import iouring_syscall "github.com/iceber/iouring-go/syscall"

// SQE is a submission entry: 64 bytes that lie in the mapping shared with the
// kernel, or in the fallback's own queue.
type SQE struct {
	iouring_syscall.SubmissionQueueEntry64
}
