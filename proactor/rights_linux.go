package proactor

import "golang.org/x/sys/unix"

// encodeRights makes the control message that passes descriptors (unix(7),
// SCM_RIGHTS).
func encodeRights(fds []int) []byte { return unix.UnixRights(fds...) }

// decodeRights takes the descriptors out of received control messages. What
// else is there is left alone.
func decodeRights(control []byte) (fds []int) {
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

// rightsSpace is the room for n descriptors in a control message. It has no padding
// behind them, which the kernel would fill with one more.
func rightsSpace(n int) int { return unix.CmsgLen(4 * n) }
