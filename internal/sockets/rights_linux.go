package sockets

import "golang.org/x/sys/unix"

// EncodeRights makes the control message that passes descriptors (unix(7),
// SCM_RIGHTS).
func EncodeRights(fds []int) []byte { return unix.UnixRights(fds...) }

// RightsSpace is the room for n descriptors in a control message. It has no padding
// behind them, which the kernel would fill with one more.
func RightsSpace(n int) int { return unix.CmsgLen(4 * n) }
