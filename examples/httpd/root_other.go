//go:build !linux

package main

import (
	"os"
	"syscall"
)

func openCached(*os.File, string) (*os.File, error) { return nil, syscall.EAGAIN }
