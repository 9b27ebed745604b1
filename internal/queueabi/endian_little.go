//go:build !(ppc64 || s390x || mips || mips64)

package queueabi

// tailWord is the word that holds an entry's id and, in entry 0, the tail.
func tailWord(id, tail uint16) uint32 { return uint32(id) | uint32(tail)<<16 }
