//go:build !linux

package main

import (
	"context"
	"errors"
)

func (d *download) claim(context.Context) error { return errors.ErrUnsupported }
