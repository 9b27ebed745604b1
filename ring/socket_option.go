package ring

// Commands of OpUringCmd to a socket, in the offset of an entry.
const (
	SocketGetOption uint32 = 2 // SOCKET_URING_OP_GETSOCKOPT, Linux 6.7
	SocketSetOption uint32 = 3 // SOCKET_URING_OP_SETSOCKOPT, Linux 6.7
)

// PrepGetSocketOption reads an option of a socket into value, which belongs to the
// queue until the completion; the result is its length in bytes (getsockopt(2)). Of
// levels other than SOL_SOCKET the queue knows nothing: EOPNOTSUPP, as for what is no
// socket. Linux 6.7, of some sockets, those of Unix among them, later: where it is
// missing the kernel answers EOPNOTSUPP or EINVAL.
func (e *SQE) PrepGetSocketOption(fd, level, name int, value []byte) {
	e.prepSocketCommand(SocketGetOption, fd, level, name, value)
}

// PrepSetSocketOption sets an option of a socket, of any level, to value, which
// belongs to the queue until the completion (setsockopt(2)). EOPNOTSUPP for what is
// no socket. Linux 6.7, see PrepGetSocketOption.
func (e *SQE) PrepSetSocketOption(fd, level, name int, value []byte) {
	e.prepSocketCommand(SocketSetOption, fd, level, name, value)
}

func (e *SQE) prepSocketCommand(command uint32, fd, level, name int, value []byte) {
	f := e.entry()
	f.Opcode, f.FD, f.Off = uint8(OpUringCmd), int32(fd), uint64(command)
	f.SetOption(uint32(level), uint32(name))
	f.SpliceFD, f.Addr3 = int32(len(value)), address(value)
}
