package proactor

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/ring"
)

// File is an open file. It belongs to one loop, where its operations are cheapest. Its
// methods may be called from any goroutine; a call from elsewhere is posted to the loop.
//
// Any number of ReadAt, WriteAt and other operations with an offset may be under way at
// once; they end in any order. Those at the cursor are performed one after the other, in
// the order of the calls.
//
// Errors are *fs.PathError, as those of os.File: errors.Is finds the errno, and
// fs.ErrClosed after Close. A cancel ends an operation that has not begun yet; one that
// the device is working on ends with its result.
//
// On epoll a pool of goroutines performs what may block, see WithFileWorkers.
type File struct {
	listed engine.RosterPlace // among the loop's open files
	loop   *Loop
	fd     int
	name   string

	append   bool
	direct   bool  // O_DIRECT
	cursor   int64 // if direct, see next
	state    fileState
	inFlight int                    // operations of any kind
	line     fifo.Queue[cursorTurn] // at the cursor, the first is under way
	closed   []func(error)          // called when it is closed
	ending   bool                   // what is in flight has been canceled
	number   atomic.Int64           // fd, for Fd; -1 once closed
	naming   sync.Mutex             // the descriptor is not closed while it is held
}

type fileState uint8

const (
	fileOpen    fileState = iota
	fileShut              // Close was called: operations under way go on
	fileClosing           // the descriptor is being closed
	fileClosed
)

// errFileClosed is fs.ErrClosed, and ErrClosed too.
var errFileClosed error = fileClosedError{}

type fileClosedError struct{}

func (fileClosedError) Error() string { return fs.ErrClosed.Error() }
func (fileClosedError) Is(target error) bool {
	return target == fs.ErrClosed || errors.Is(ErrClosed, target)
}

var (
	errNegativeOffset  = errors.New("negative offset")
	errAppendWriteAt   = errors.New("proactor: WriteAt on a file opened with O_APPEND, which writes at its end: use Write")
	errAppendWriteStep = errors.New("proactor: WriteStep on a file opened with O_APPEND, which writes at its end: use WriteNextStep")
)

// Open opens a file for reading (openat(2), Linux 5.6). The file belongs to the
// loop that the caller runs on, else to each in turn.
func (rt *Runtime) Open(name string) futures.Future[*File] {
	return rt.OpenFile(name, os.O_RDONLY, 0)
}

// Create makes a file, or truncates an existing one, and opens it for reading and
// writing.
func (rt *Runtime) Create(name string) futures.Future[*File] {
	return rt.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens a file with flags of package os (O_RDWR, O_CREATE, …) or of
// package syscall (O_DIRECT, with memory aligned as open(2) demands). A file that it makes
// has the permissions perm, less the umask. The descriptor is close-on-exec. With O_DIRECT
// the cursor of Read and Write is the File's own; the cursor of the descriptor stays
// where it is.
//
// If a canceled open succeeds all the same, the file is closed. Errors are
// *fs.PathError with Op "open"; errors.Is finds fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission, syscall.EISDIR and so on, and ErrClosed once the runtime
// shuts down.
func (rt *Runtime) OpenFile(name string, flag int, perm fs.FileMode) futures.Future[*File] {
	l := rt.someLoop()
	path, err := pathBytes(name)
	if err != nil {
		return futures.Failed[*File](&fs.PathError{Op: "open", Path: name, Err: err})
	}
	o := &opening{loop: l, name: name, append: flag&os.O_APPEND != 0, direct: flag&aroundCache != 0}
	c := &call[*File]{loop: l, take: o.take, wrap: pathError("open", name), unwanted: o.close}
	c.prepare = func(sqe *ring.SQE) {
		sqe.PrepOpenat(currentDir, &path[0], uint32(flag|closeOnExec), uint32(permissions(perm)))
	}
	return c.start()
}

// opening makes a File from a descriptor.
type opening struct {
	loop   *Loop
	name   string
	append bool
	direct bool
}

func (o *opening) take(result int32) (*File, error, bool) {
	f := o.loop.newFile(int(result), o.name)
	f.append, f.direct = o.append, o.direct
	o.loop.openFiles.Add(f, &f.listed)
	return f, nil, false
}

func (l *Loop) newFile(fd int, name string) *File {
	f := &File{loop: l, fd: fd, name: name}
	f.number.Store(int64(fd))
	return f
}

// close closes the descriptor of an open that was canceled.
func (o *opening) close(result int32) {
	sqe := o.loop.engine.Next()
	sqe.PrepClose(int(result))
	o.loop.engine.Submit(sqe, engine.Ignore{})
}

// Name is the name the file was opened with.
func (f *File) Name() string { return f.name }

// Loop is the loop the file belongs to.
func (f *File) Loop() *Loop { return f.loop }

// Fd is the file's descriptor, which only the library may close; -1 once it is
// closed.
func (f *File) Fd() int { return int(f.number.Load()) }

// Close closes the file when the operations under way have ended. Operations that begin
// later fail with fs.ErrClosed. The future resolves when the file is closed, with
// the error of close(2), if any; a second Close fails with fs.ErrClosed.
func (f *File) Close() futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	ok := f.loop.engine.Perform(func() {
		if f.state != fileOpen {
			p.Fail(f.closedError("close"))
			return
		}
		f.closed = append(f.closed, func(err error) { p.Settle(struct{}{}, err) })
		f.shut()
	})
	if !ok {
		p.Fail(f.closedError("close"))
	}
	return p.Future()
}

// shut begins the closing.
func (f *File) shut() {
	if f.state == fileOpen {
		f.state = fileShut
		f.settled()
	}
}

// settled is called when an operation has ended. It goes on with a close that waits for
// that.
func (f *File) settled() {
	if f.state != fileShut || f.inFlight > 0 {
		return
	}
	f.state = fileClosing
	f.naming.Lock()
	f.number.Store(-1)
	f.naming.Unlock()
	sqe := f.loop.engine.Next()
	f.prepareClose(sqe)
	f.loop.engine.Submit(sqe, (*fileRelease)(f))
}

// fileRelease is the close of the descriptor, as an operation.
type fileRelease File

func (r *fileRelease) Complete(result int32, _ uint32) {
	f := (*File)(r)
	var err error
	if result < 0 {
		err = f.failed("close", syscall.Errno(-result))
	}
	f.gone(err)
}

func (f *File) gone(err error) {
	f.state = fileClosed
	f.number.Store(-1)
	f.loop.openFiles.Remove(&f.listed)
	for _, tell := range f.closed {
		f.loop.engine.Later(func() { tell(err) })
	}
	f.closed = nil
}

// end closes the file when the loop stops.
func (f *File) end() {
	if !f.ending && f.inFlight > 0 && f.state < fileClosing {
		f.ending = true
		sqe := f.loop.engine.Next()
		sqe.PrepCancelFD(f.fd, ring.CancelAll)
		f.loop.engine.Submit(sqe, engine.Ignore{})
	}
	f.shut()
}

func (f *File) prepareClose(sqe *ring.SQE) {
	sqe.PrepClose(f.fd)
}

func (f *File) failed(op string, cause error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: cause}
}

// closedError is the error of an operation that the end of the file, or of its
// loop, prevents.
func (f *File) closedError(op string) error {
	return f.failed(op, f.loop.closedBy(errFileClosed))
}

// refusal returns the error if no operation may begin, else nil.
func (f *File) refusal(op string) error {
	if f.state != fileOpen || f.loop.stopping() {
		return f.closedError(op)
	}
	return nil
}

// ReadAt reads len(p) bytes at offset into p (pread(2)). The future resolves
// with the number of bytes. If it is less than len(p) there is an error, io.EOF at the
// end of the file. p belongs to the library until then.
//
// The future keeps its result until that is taken, see futures.Future.
func (f *File) ReadAt(p []byte, offset int64) futures.Future[int] {
	return f.transfer(transferring{verb: readsAt, memory: p, offset: offset})
}

// WriteAt writes all of p at offset (pwrite(2)). The future resolves with the number of
// bytes; if it is less than len(p) there is an error. p belongs to the library until
// then. WriteAt on a file opened with os.O_APPEND is an error.
func (f *File) WriteAt(p []byte, offset int64) futures.Future[int] {
	return f.transfer(transferring{verb: writesAt, memory: p, offset: offset})
}

// Read reads at the cursor what one read(2) returns, up to len(p) bytes, and
// moves the cursor. At the end of the file the error is io.EOF. p belongs to the library
// until the future resolves.
func (f *File) Read(p []byte) futures.Future[int] {
	return f.transfer(transferring{verb: reads, memory: p})
}

// Write writes all of p at the cursor (write(2)), or at the end if the file was opened
// with os.O_APPEND, and moves the cursor. If an error ends it in the middle, the future
// has the number of bytes written with the error. p belongs to the library until the
// future resolves. An empty p makes a write(2), too, which fails if the file is
// not open for writing; the other calls do nothing for an empty p.
func (f *File) Write(p []byte) futures.Future[int] {
	return f.transfer(transferring{verb: writes, memory: p})
}

// ReadVectorAt is ReadAt into the pieces of p, one after the other (preadv(2)).
// The pieces and p itself belong to the library until the future resolves.
func (f *File) ReadVectorAt(p [][]byte, offset int64) futures.Future[int] {
	return f.transfer(transferring{verb: readsAt, pieces: p, vector: true, offset: offset})
}

// WriteVectorAt is WriteAt of the pieces of p, one after the other
// (pwritev(2)). The pieces and p itself belong to the library until the future
// resolves.
func (f *File) WriteVectorAt(p [][]byte, offset int64) futures.Future[int] {
	return f.transfer(transferring{verb: writesAt, pieces: p, vector: true, offset: offset})
}

// Sync waits until what was written is on the device (fsync(2)). It does not wait for
// writes that are under way: await them first, or use a chain (WriteStep, SyncStep).
func (f *File) Sync() futures.Future[struct{}] { return f.sync(0) }

// SyncData is Sync without metadata that is not needed to read the data back, such as
// the modification time (fdatasync(2)).
func (f *File) SyncData() futures.Future[struct{}] { return f.sync(ring.FsyncDataSync) }

func (f *File) sync(flags uint32) futures.Future[struct{}] {
	return f.perform("sync", func(sqe *ring.SQE) { sqe.PrepFsync(f.fd, flags) })
}

// Allocate reserves room on the device for size bytes at offset, and extends the file
// to there (fallocate(2)). errors.Is finds
// syscall.ENOSPC, and syscall.EOPNOTSUPP where the file system cannot.
func (f *File) Allocate(offset, size int64) futures.Future[struct{}] {
	return f.perform("allocate", func(sqe *ring.SQE) { sqe.PrepFallocate(f.fd, 0, offset, size) })
}

// Truncate sets the length of the file; the cursor stays where it is
// (ftruncate(2)). io_uring does it from Linux 6.9 on; before that a goroutine makes the
// system call.
func (f *File) Truncate(size int64) futures.Future[struct{}] {
	c := &call[struct{}]{loop: f.loop, file: f, wrap: pathError("truncate", f.name), take: nothing}
	c.prepare = func(sqe *ring.SQE) { sqe.PrepFtruncate(f.fd, size) }
	// EINVAL: the kernel's ring does not have the operation, or the file cannot
	// be truncated. The system call tells which.
	c.otherwise = func() error { return truncate(f.fd, size) }
	return c.start()
}

// perform starts an operation that has no result but an error.
func (f *File) perform(op string, prepare func(*ring.SQE)) futures.Future[struct{}] {
	c := &call[struct{}]{loop: f.loop, file: f, wrap: pathError(op, f.name), take: nothing}
	c.prepare = prepare
	return c.start()
}

func nothing(int32) (struct{}, error, bool) { return struct{}{}, nil, false }

// Stat describes the file (statx(2), Linux 5.6). Sys of the result is a
// *unix.Statx_t.
func (f *File) Stat() futures.Future[fs.FileInfo] {
	return statCall(&call[fs.FileInfo]{loop: f.loop, file: f, wrap: pathError("stat", f.name)}, f.name, f.fd, "", statOpenFile)
}

// pathBytes is a path with the NUL that ends it.
func pathBytes(name string) ([]byte, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return nil, syscall.EINVAL
	}
	return append([]byte(name), 0), nil
}

func pathError(op, path string) func(error) error {
	return func(err error) error { return &fs.PathError{Op: op, Path: path, Err: err} }
}

// permissions are the mode bits of a permission, as package os has them.
func permissions(perm fs.FileMode) (bits fs.FileMode) {
	bits = perm.Perm()
	if perm&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if perm&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if perm&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
