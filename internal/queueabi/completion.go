package queueabi

import "unsafe"

// completion is struct io_uring_cqe, field by field.
type completion struct {
	userData uint64
	result   int32
	flags    uint32
}

// NewCQE makes a completion.
func NewCQE(userData uint64, result int32, flags uint32) CQE {
	c := completion{userData, result, flags}
	return *(*CQE)(unsafe.Pointer(&c))
}
