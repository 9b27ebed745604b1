package sockets

import "golang.org/x/sys/unix"

// EncodeRights makes the control message that passes descriptors (unix(7),
// SCM_RIGHTS).
func EncodeRights(fds []int) []byte { return unix.UnixRights(fds...) }

// DecodeRights takes the descriptors out of received control messages. What
// else is there is left alone.
func DecodeRights(control []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		if more, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, more...)
		}
	}
	return fds
}

// RightsSpace is the room for n descriptors in a control message. It has no padding
// behind them, which the kernel would fill with one more.
func RightsSpace(n int) int { return unix.CmsgLen(4 * n) }
