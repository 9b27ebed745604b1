package sockets

import "golang.org/x/sys/unix"

// EncodeRights makes the control message that passes descriptors (unix(7),
// SCM_RIGHTS).
func EncodeRights(fds []int) []byte { return unix.UnixRights(fds...) }

// RightsSpace is the room for n descriptors in control messages. Before them come the
// sender's credentials, and behind them a descriptor of its process, if the program has
// asked for those (SO_PASSCRED, SO_PASSPIDFD). Where it has not, more than n fit.
func RightsSpace(n int) int {
	return unix.CmsgSpace(unix.SizeofUcred) + unix.CmsgSpace(sizeofDescriptor*n) + unix.CmsgSpace(sizeofDescriptor)
}
