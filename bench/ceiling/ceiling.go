// Package ceiling holds the source of the C servers that show what the kernel
// lets one do.
package ceiling

import "embed"

// Sources are uring.c and epoll.c, each a program without dependencies.
//
//go:embed *.c
var Sources embed.FS
