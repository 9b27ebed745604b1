//go:build !linux

package main

import (
	"context"
	"errors"
	"io/fs"
)

func (j *job) claim(context.Context, fs.FileMode) error { return errors.ErrUnsupported }
