//go:build !linux

package engine

import "errors"

func pinThread(int) error { return errors.ErrUnsupported }
