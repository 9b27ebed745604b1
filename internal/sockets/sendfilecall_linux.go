//go:build linux && !386 && !arm && !mips && !mipsle

package sockets

import "golang.org/x/sys/unix"

const sendfileCall = unix.SYS_SENDFILE
