package proactor

import "golang.org/x/sys/unix"

// preparePolling reports whether a descriptor can be polled. It makes a socket
// non-blocking, since SPLICE_F_NONBLOCK applies to pipes only.
func preparePolling(fd int) (waits bool, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return false, err
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return false, nil
	case unix.S_IFSOCK:
		return true, unix.SetNonblock(fd, true)
	}
	return true, nil
}
