package ring

// operations are the kernel's, in the order of their codes, with the first
// kernel that has each (linux/io_uring.h).
var operations = func() []operation {
	list := []operation{
		{name: "NOP", since: "5.1"}, {name: "READV", since: "5.1"}, {name: "WRITEV", since: "5.1"}, {name: "FSYNC", since: "5.1"},
		{name: "READ_FIXED", since: "5.1"}, {name: "WRITE_FIXED", since: "5.1"}, {name: "POLL_ADD", since: "5.1"}, {name: "POLL_REMOVE", since: "5.1"},
		{name: "SYNC_FILE_RANGE", since: "5.2"}, {name: "SENDMSG", since: "5.3"}, {name: "RECVMSG", since: "5.3"}, {name: "TIMEOUT", since: "5.4"},
		{name: "TIMEOUT_REMOVE", since: "5.5"}, {name: "ACCEPT", since: "5.5"}, {name: "ASYNC_CANCEL", since: "5.5"}, {name: "LINK_TIMEOUT", since: "5.5"},
		{name: "CONNECT", since: "5.5"}, {name: "FALLOCATE", since: "5.6"}, {name: "OPENAT", since: "5.6"}, {name: "CLOSE", since: "5.6"},
		{name: "FILES_UPDATE", since: "5.6"}, {name: "STATX", since: "5.6"}, {name: "READ", since: "5.6"}, {name: "WRITE", since: "5.6"},
		{name: "FADVISE", since: "5.6"}, {name: "MADVISE", since: "5.6"}, {name: "SEND", since: "5.6"}, {name: "RECV", since: "5.6"},
		{name: "OPENAT2", since: "5.6"}, {name: "EPOLL_CTL", since: "5.6"}, {name: "SPLICE", since: "5.7"}, {name: "PROVIDE_BUFFERS", since: "5.7"},
		{name: "REMOVE_BUFFERS", since: "5.7"}, {name: "TEE", since: "5.8"}, {name: "SHUTDOWN", since: "5.11"}, {name: "RENAMEAT", since: "5.11"},
		{name: "UNLINKAT", since: "5.11"}, {name: "MKDIRAT", since: "5.15"}, {name: "SYMLINKAT", since: "5.15"}, {name: "LINKAT", since: "5.15"},
		{name: "MSG_RING", since: "5.18"}, {name: "FSETXATTR", since: "5.19"}, {name: "SETXATTR", since: "5.19"}, {name: "FGETXATTR", since: "5.19"},
		{name: "GETXATTR", since: "5.19"}, {name: "SOCKET", since: "5.19"}, {name: "URING_CMD", since: "5.19"}, {name: "SEND_ZC", since: "6.0"},
		{name: "SENDMSG_ZC", since: "6.1"}, {name: "READ_MULTISHOT", since: "6.7"}, {name: "WAITID", since: "6.7"}, {name: "FUTEX_WAIT", since: "6.7"},
		{name: "FUTEX_WAKE", since: "6.7"}, {name: "FUTEX_WAITV", since: "6.7"}, {name: "FIXED_FD_INSTALL", since: "6.8"}, {name: "FTRUNCATE", since: "6.9"},
		{name: "BIND", since: "6.11"}, {name: "LISTEN", since: "6.11"}, {name: "RECV_ZC", since: "6.15"}, {name: "EPOLL_WAIT", since: "6.15"},
		{name: "READV_FIXED", since: "6.15"}, {name: "WRITEV_FIXED", since: "6.15"}, {name: "PIPE", since: "6.16"}, {name: "NOP128", since: "6.19"},
		{name: "URING_CMD128", since: "6.19"},
	}
	for i := range list {
		list[i].code, list[i].name = uint8(i), "IORING_OP_"+list[i].name
	}
	return list
}()
