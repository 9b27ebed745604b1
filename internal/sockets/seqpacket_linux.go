package sockets

import "golang.org/x/sys/unix"

// MessagesEnded reports whether a receive of nothing from a SOCK_SEQPACKET socket
// was the end. recv(2) says 0 for an empty message too, and recvmsg(2) has no flag
// that tells. So it asks whether the peer sends no more, and whether bytes are still
// queued: the end comes behind them. What is left in doubt are empty messages with
// nothing but the end behind them; they are taken for the end.
func MessagesEnded(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		if _, err := unix.Poll(poll, 0); err != unix.EINTR {
			break
		}
	}
	if poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0 {
		return false
	}
	queued, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return err != nil || queued == 0
}
