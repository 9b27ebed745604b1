package ring

import iouring_syscall "github.com/iceber/iouring-go/syscall"

// CQE is a completion: the user data of its entry, a result (a count, a
// descriptor, or a negative errno) and flags.
type CQE struct {
	iouring_syscall.CompletionQueueEvent16
}
