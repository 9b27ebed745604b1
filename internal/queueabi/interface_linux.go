package queueabi

import "golang.org/x/sys/unix"

// InterfaceIndex is the number of a network interface (netdevice(7), SIOCGIFINDEX).
func InterfaceIndex(name string) (uint32, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, unix.ENODEV // no interface has so long a name
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	return request.Uint32(), nil
}
