//go:build !linux

package proactor

import "syscall"

func socketOptionNow(int, bool, int, int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }
