//go:build !linux

package main

import (
	"context"
	"errors"

	"github.com/goproactor/goproactor/proactor"
)

func ignoreFileLimit() {}

func lockFile(context.Context, *proactor.Runtime, *proactor.File) error { return errors.ErrUnsupported }
