package ring

import "unsafe"

// Entries on files and on names. A path is a pointer to its bytes, with a zero
// at the end; it is copied at submission, as vectors are.

// AtCursor as an offset reads and writes at the file's own position. When the
// completion has been reaped it is behind the bytes that the result counts, as
// after read(2) and write(2): also where the end of the file, a full device or
// another error cut the transfer short. The next entry then meets the error.
//
// One entry at a time may use the cursor, or those of one chain. Behind a transfer
// that was cut, or with O_DIRECT, what a hard link starts begins before the
// position is right. So it is where the file is in a slot: the kernel's ring leaves
// its position where it was, and nothing else reaches it.
const AtCursor int64 = -1

// FsyncDataSync has PrepFsync leave out what is not needed to read the data
// back, as fdatasync(2) does.
const FsyncDataSync uint32 = 1 << 0

// PrepReadAt reads into p at an offset of a file, or AtCursor (pread(2)). Fewer
// bytes than asked for break a link. Linux 5.6.
func (e *SQE) PrepReadAt(fd int, p []byte, offset int64) {
	e.PrepOperation(uint8(OpRead), int32(fd), address(p), length(p), uint64(offset))
}

// PrepWriteAt writes p at an offset of a file, or AtCursor (pwrite(2)). Fewer
// bytes than asked for break a link. Linux 5.6.
func (e *SQE) PrepWriteAt(fd int, p []byte, offset int64) {
	e.PrepOperation(uint8(OpWrite), int32(fd), address(p), length(p), uint64(offset))
}

// PrepReadv reads into a vector of at most 1024 pieces (preadv(2)). Linux 5.1.
func (e *SQE) PrepReadv(fd int, vector []Iovec, offset int64) {
	e.PrepOperation(uint8(OpReadv), int32(fd), vectorAddress(vector), uint32(len(vector)), uint64(offset))
}

// PrepWritev writes a vector of at most 1024 pieces (pwritev(2)). Linux 5.1.
func (e *SQE) PrepWritev(fd int, vector []Iovec, offset int64) {
	e.PrepOperation(uint8(OpWritev), int32(fd), vectorAddress(vector), uint32(len(vector)), uint64(offset))
}

func vectorAddress(v []Iovec) uint64 { return pinned(uintptr(unsafe.Pointer(unsafe.SliceData(v)))) }

// PrepFsync waits until the file is on its device (fsync(2)). Of writes in
// flight it knows nothing: link it behind them. Linux 5.1.
func (e *SQE) PrepFsync(fd int, flags uint32) {
	e.PrepOperation(uint8(OpFsync), int32(fd), 0, 0, 0)
	e.SetOpFlags(flags)
}

// PrepFallocate allocates or frees room in a file (fallocate(2), mode
// FALLOC_FL_*). Linux 5.6.
func (e *SQE) PrepFallocate(fd int, mode uint32, offset, length int64) {
	e.PrepOperation(uint8(OpFallocate), int32(fd), uint64(length), mode, uint64(offset))
}

// PrepFtruncate sets the length of a file (ftruncate(2)). Linux 6.9; an older
// kernel answers EINVAL, as it does for what is no file open for writing, and
// whoever wants to know which asks ftruncate itself.
func (e *SQE) PrepFtruncate(fd int, length int64) {
	e.PrepOperation(uint8(OpFtruncate), int32(fd), 0, 0, uint64(length))
}

// PrepFadvise tells how a part of a file will be used (posix_fadvise(2)). Linux
// 5.6.
func (e *SQE) PrepFadvise(fd int, offset int64, length uint32, advice uint32) {
	e.PrepOperation(uint8(OpFadvise), int32(fd), 0, length, uint64(offset))
	e.SetOpFlags(advice)
}

// PrepOpenat opens a file; the result is its descriptor (openat(2)). Linux 5.6.
func (e *SQE) PrepOpenat(dir int, path *byte, flags, mode uint32) {
	e.PrepOperation(uint8(OpOpenat), int32(dir), pathAddress(path), mode, 0)
	e.SetOpFlags(flags)
}

// PrepStatx asks what is known of a file (statx(2)). result is struct statx, 256
// bytes, and belongs to the queue until the completion. Linux 5.6.
func (e *SQE) PrepStatx(dir int, path *byte, flags, mask uint32, result unsafe.Pointer) {
	e.PrepOperation(uint8(OpStatx), int32(dir), pathAddress(path), mask, pinned(uintptr(result)))
	e.SetOpFlags(flags)
}

// PrepRenameat gives a file another name (renameat2(2)). Linux 5.11.
func (e *SQE) PrepRenameat(oldDir int, oldPath *byte, newDir int, newPath *byte, flags uint32) {
	e.PrepOperation(uint8(OpRenameat), int32(oldDir), pathAddress(oldPath), uint32(newDir), pathAddress(newPath))
	e.SetOpFlags(flags)
}

// PrepUnlinkat removes a name, of a directory with AT_REMOVEDIR (unlinkat(2)).
// Linux 5.11.
func (e *SQE) PrepUnlinkat(dir int, path *byte, flags uint32) {
	e.PrepOperation(uint8(OpUnlinkat), int32(dir), pathAddress(path), 0, 0)
	e.SetOpFlags(flags)
}

// PrepMkdirat makes a directory (mkdirat(2)). Linux 5.15.
func (e *SQE) PrepMkdirat(dir int, path *byte, mode uint32) {
	e.PrepOperation(uint8(OpMkdirat), int32(dir), pathAddress(path), mode, 0)
}

// PrepSymlinkat makes a symbolic link at path (symlinkat(2)). Linux 5.15.
func (e *SQE) PrepSymlinkat(target *byte, dir int, path *byte) {
	e.PrepOperation(uint8(OpSymlinkat), int32(dir), pathAddress(target), 0, pathAddress(path))
}

// PrepLinkat gives a file one more name (linkat(2)). Linux 5.15.
func (e *SQE) PrepLinkat(oldDir int, oldPath *byte, newDir int, newPath *byte, flags uint32) {
	e.PrepOperation(uint8(OpLinkat), int32(oldDir), pathAddress(oldPath), uint32(newDir), pathAddress(newPath))
	e.SetOpFlags(flags)
}

func pathAddress(path *byte) uint64 { return pinned(uintptr(unsafe.Pointer(path))) }
