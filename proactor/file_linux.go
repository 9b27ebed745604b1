package proactor

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

const (
	currentDir      = unix.AT_FDCWD
	closeOnExec     = unix.O_CLOEXEC | unix.O_LARGEFILE
	aroundCache     = unix.O_DIRECT
	removeDirectory = unix.AT_REMOVEDIR
	statOpenFile    = unix.AT_EMPTY_PATH
	statFollow      = 0
	statLink        = unix.AT_SYMLINK_NOFOLLOW
)

// truncate is ftruncate(2), which may block.
func truncate(fd int, size int64) error { return unix.Ftruncate(fd, size) }

// howOpened asks for the flags of open(2) that a File minds.
func howOpened(fd int) (append, direct bool, err error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return flags&unix.O_APPEND != 0, flags&unix.O_DIRECT != 0, os.NewSyscallError("fcntl", err)
}

// statCall starts a statx(2).
func statCall(c *call[fs.FileInfo], name string, dir int, path string, flags uint32) futures.Future[fs.FileInfo] {
	at := append([]byte(path), 0)
	info := &fileInfo{name: filepath.Base(name)}
	c.prepare = func(sqe *ring.SQE) {
		sqe.PrepStatx(dir, &at[0], flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, unsafe.Pointer(&info.stat))
	}
	c.take = func(int32) (fs.FileInfo, error, bool) {
		engine.RaceWrote(unsafe.Slice((*byte)(unsafe.Pointer(&info.stat)), unsafe.Sizeof(info.stat)))
		return info, nil, false
	}
	return c.start()
}

// fileInfo implements fs.FileInfo.
type fileInfo struct {
	name string
	stat unix.Statx_t
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return int64(i.stat.Size) }
func (i *fileInfo) IsDir() bool        { return i.Mode().IsDir() }
func (i *fileInfo) Sys() any           { return &i.stat }
func (i *fileInfo) ModTime() time.Time { return time.Unix(i.stat.Mtime.Sec, int64(i.stat.Mtime.Nsec)) }

// Mode is the file's mode in the bits of package fs.
func (i *fileInfo) Mode() fs.FileMode {
	m := fs.FileMode(i.stat.Mode & 0o777)
	switch i.stat.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	case unix.S_IFCHR:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	}
	for bit, mode := range map[uint16]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if i.stat.Mode&bit != 0 {
			m |= mode
		}
	}
	return m
}
