package sockets

import (
	"os"

	"golang.org/x/sys/unix"
)

// PeerCredentials tells which process connected a Unix socket, listened on it or
// made the pair (unix(7), SO_PEERCRED).
func PeerCredentials(fd int) (pid, uid, gid int, err error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, 0, 0, os.NewSyscallError("getsockopt", err)
	}
	return int(cred.Pid), int(cred.Uid), int(cred.Gid), nil
}
