//go:build linux && (386 || arm || mips || mipsle)

package sockets

import "golang.org/x/sys/unix"

// sendfileCall is the one with offsets of 64 bits.
const sendfileCall = unix.SYS_SENDFILE64
