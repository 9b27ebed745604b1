package ring

import (
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

// The kernel leaves what may block to workers (io-wq), which it makes for the
// thread when they are needed. A signal to the thread at that moment, as the Go
// runtime sends many, makes that fail. The kernel tries a few times; then it ends
// what waits for the worker with ECANCELED, though nobody has canceled it
// (io_wq_enqueue, seen on 6.18: a shutdown that does not happen, and a peer that
// waits for ever).
//
// Once there is a worker nothing ends like that: work waits for it. The last worker
// of each kind stays for as long as the thread does. So the queue has the kernel
// make one of each kind with signals blocked, before the first entry that may need
// it. A program that has sockets only has no workers.

// mayNeedWorker reports whether the kernel may leave the entry to a worker. What is
// waited for by poll it does not; nor a close, but see flushes.
func mayNeedWorker(f *queueabi.Entry) bool {
	op := Op(f.Opcode)
	if op.row().inline || op == opRefused {
		return f.Flags&SQEAsync != 0
	}
	if transfers(f) {
		return int64(f.Off) != AtCursor || f.Flags&(SQEAsync|SQEFixedFile) != 0
	}
	return true
}

// flushes reports whether an entry closes a file that may have to be written back first,
// which the kernel leaves to a worker: each on overlayfs, FUSE or NFS. One of a slot is
// closed without that. Only what has a position can be such a file, and that asks no server.
func flushes(f *queueabi.Entry) bool {
	if Op(f.Opcode) != OpClose || f.SpliceFD != 0 {
		return false
	}
	_, errno := seek(f.FD, 0, unix.SEEK_CUR)
	return errno == 0
}

// maxWorkers is how many workers for files and names a thread may have: as many as
// may hang in the fallback.
const maxWorkers = 128

// workerAttempts bounds how often ensureWorkers asks for a worker. With signals blocked the
// first attempt succeeds, unless memory or a limit of threads (RLIMIT_NPROC,
// pids.max) is in the way.
const workerAttempts = 10

// ensureWorkers has the kernel make the workers of this thread. They belong to the thread,
// not to the ring, so a ring made for the purpose does. If it cannot, the next entry
// that may need them tries again.
func (r *Ring) ensureWorkers() {
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before) != nil {
		return
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	temporary, err := openMasked(Options{Entries: 2}, r.mask)
	if err != nil {
		return
	}
	defer temporary.Close()
	temporary.workersReady = true // it is about to be
	counter, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		return
	}
	defer unix.Close(counter)
	// One kind works on files and names, the other on what may take for ever. Of the
	// first there are by default no more than four for each processor, which as many
	// opens of named pipes keep from all else. It makes them when the others wait.
	limits := &[2]uint32{maxWorkers, 0}
	r.mask.register(temporary.fd, registerMaxWorkers, unsafe.Pointer(limits), 2)
	count := make([]byte, 8)
	r.workersReady = temporary.runsOnWorker((*SQE).PrepNop) && temporary.runsOnWorker(func(e *SQE) { e.PrepRead(counter, count) })
}

// runsOnWorker reports whether a worker has performed an operation.
func (r *Ring) runsOnWorker(prepare func(*SQE)) bool {
	for range workerAttempts {
		c, err := r.perform(func(e *SQE) {
			prepare(e)
			e.SetFlags(SQEAsync)
			e.SetUserData(trialData)
		})
		if err != nil {
			return false
		}
		if c.Result() != -int32(syscall.ECANCELED) {
			return true
		}
	}
	return false
}
