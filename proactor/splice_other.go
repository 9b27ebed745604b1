//go:build !linux

package proactor

import "errors"

func preparePolling(int) (bool, error) { return false, errors.ErrUnsupported }
