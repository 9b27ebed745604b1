//go:build !linux

package proactor

import (
	"errors"
	"io/fs"

	"github.com/goproactor/goproactor/futures"
)

const (
	currentDir      = -100
	closeOnExec     = 0
	aroundCache     = 0
	removeDirectory = 0
	statOpenFile    = 0
	statFollow      = 0
	statLink        = 0
)

func howOpened(int) (append, direct bool, err error) { return false, false, errors.ErrUnsupported }

func truncate(int, int64) error { return errors.ErrUnsupported }

func statCall(c *call[fs.FileInfo], _ string, _ int, _ string, _ uint32) futures.Future[fs.FileInfo] {
	return futures.Failed[fs.FileInfo](c.wrap(errors.ErrUnsupported))
}
