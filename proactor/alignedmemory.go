package proactor

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// AlignedMemory is memory for reading and writing files. It begins on a page
// boundary, as O_DIRECT demands, and is registered with the queue of its loop, so
// that the kernel need not look up its pages each time (io_uring_register(2), Linux
// 5.19). Reads and writes of files of that loop use the registration when their slice is
// within the memory. Other operations, vectors and other loops use it as ordinary memory.
// docs/performance.md says what is gained.
//
// The memory belongs to the program, except for the slices that operations under way
// use. Make one large AlignedMemory and slice it: a loop registers at most 1024.
//
// The kernel keeps registered memory from being moved or swapped out, and counts
// it against RLIMIT_MEMLOCK unless the process has CAP_IPC_LOCK. Memory over that
// limit works as well but is not registered: see Registered, and
// RegisteredBytes in LoopStats. On epoll registering always succeeds and gains nothing.
type AlignedMemory struct {
	loop     *Loop
	bytes    []byte
	place    int   // in the queue's table; -1 if it is not registered
	refusal  error // why not
	users    int   // operations under way with it
	released atomic.Bool
}

// AlignedMemory allocates size zero bytes, 1 to 1 GiB. The registration makes the kernel
// provide every page at once, and blocks the loop for about half a millisecond a MiB. Any goroutine may call it. Errors: syscall.EINVAL for
// another size, ErrClosed once the loop ends.
func (l *Loop) AlignedMemory(size int) futures.Future[*AlignedMemory] {
	if size < 1 || size > ring.MaxBufferSize {
		return futures.Failed[*AlignedMemory](fmt.Errorf("proactor: aligned memory of %d bytes: want 1 to %d: %w", size, ring.MaxBufferSize, syscall.EINVAL))
	}
	m := &AlignedMemory{loop: l, bytes: pages(size)}
	o := &memoryOrder{memory: m, answer: futures.NewPromise[*AlignedMemory]()}
	o.answer.SetCanceler(&o.starter)
	if !o.starter.start(l, o) {
		o.refuse(l.closedBy(ErrClosed))
	}
	return o.answer.Future()
}

// memoryOrder is a call of AlignedMemory that is posted to the loop.
type memoryOrder struct {
	starter starter
	memory  *AlignedMemory
	answer  *futures.Promise[*AlignedMemory]
}

func (o *memoryOrder) begin() {
	l := o.memory.loop
	if l.stopping() {
		o.refuse(l.closedBy(ErrClosed))
		return
	}
	l.memory.add(l.engine.Queue(), o.memory)
	o.answer.Resolve(o.memory)
}

func (o *memoryOrder) cancel()          {}
func (o *memoryOrder) refuse(err error) { o.answer.Fail(err) }

// pages is memory that begins on a page boundary.
func pages(size int) []byte {
	page := os.Getpagesize()
	p := make([]byte, size+page-1)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & uintptr(page-1))
	return p[skip : skip+size : skip+size]
}

// Bytes is the memory.
func (m *AlignedMemory) Bytes() []byte { return m.bytes }

// Loop is the loop that it is registered with.
func (m *AlignedMemory) Loop() *Loop { return m.loop }

// Registered reports whether it is registered with the loop's queue. If not, it
// is ordinary memory, and Refusal says why.
func (m *AlignedMemory) Registered() bool { return m.refusal == nil && !m.released.Load() }

// Refusal is why the queue did not take it, nil if it did: errors.Is finds
// syscall.ENOMEM over the limit of locked memory.
func (m *AlignedMemory) Refusal() error { return m.refusal }

// Release ends the registration. From then on it is ordinary memory, which the garbage
// collector frees when no slice of it is left. Without a Release the registration ends
// with the loop.
//
// While a read or write is under way with it, Release changes nothing and fails
// with syscall.EBUSY: await that first. A second Release fails with ErrClosed.
// Any goroutine may call it.
func (m *AlignedMemory) Release() futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	if !m.loop.engine.Perform(func() { p.Settle(struct{}{}, m.release()) }) {
		p.Settle(struct{}{}, m.end()) // the registration ended with the loop
	}
	return p.Future()
}

func (m *AlignedMemory) release() error {
	if m.users > 0 {
		return fmt.Errorf("proactor: release of aligned memory of %d bytes while %d reads or writes use it: await them first: %w", len(m.bytes), m.users, syscall.EBUSY)
	}
	if err := m.end(); err != nil {
		return err
	}
	m.loop.memory.remove(m.loop.engine.Queue(), m)
	return nil
}

// end notes that the program has released it.
func (m *AlignedMemory) end() error {
	if m.released.Swap(true) {
		return fmt.Errorf("proactor: aligned memory of %d bytes released twice: %w", len(m.bytes), ErrClosed)
	}
	return nil
}

func (m *AlignedMemory) start() uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(m.bytes)))
}

// prepareRead fills an entry that reads into p, which lies within m; m may be nil.
func (m *AlignedMemory) prepareRead(sqe *ring.SQE, fd int, p []byte, offset int64) {
	if m == nil || m.place < 0 {
		sqe.PrepReadAt(fd, p, offset)
		return
	}
	sqe.PrepReadFixed(fd, p, offset, uint16(m.place))
}

// prepareWrite fills an entry that writes p, which lies within m; m may be nil.
func (m *AlignedMemory) prepareWrite(sqe *ring.SQE, fd int, p []byte, offset int64) {
	if m == nil || m.place < 0 {
		sqe.PrepWriteAt(fd, p, offset)
		return
	}
	sqe.PrepWriteFixed(fd, p, offset, uint16(m.place))
}

// addUser notes that an operation begins with m; m may be nil.
func (m *AlignedMemory) addUser() {
	if m != nil {
		m.users++
	}
}

// removeUser notes that one has ended.
func (m *AlignedMemory) removeUser() {
	if m != nil {
		m.users--
	}
}

// memoryTable lists the aligned memory of a loop.
type memoryTable struct {
	byAddress  []*AlignedMemory
	made       bool  // the queue's table
	free       []int // places in it
	bytes      int
	registered int // bytes
}

// memoryPlaces is how many places the queue's table has.
const memoryPlaces = 1024

// find is the memory that p lies within, nil if there is none.
func (t *memoryTable) find(p []byte) *AlignedMemory {
	if len(t.byAddress) == 0 || len(p) == 0 {
		return nil
	}
	return t.search(uintptr(unsafe.Pointer(unsafe.SliceData(p))), len(p))
}

func (t *memoryTable) search(start uintptr, size int) *AlignedMemory {
	low, high := 0, len(t.byAddress) // the last one that begins at start or before
	for low < high {
		if middle := (low + high) / 2; t.byAddress[middle].start() <= start {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return nil
	}
	m := t.byAddress[low-1]
	if skip := start - m.start(); skip >= uintptr(len(m.bytes)) || size > len(m.bytes)-int(skip) {
		return nil
	}
	return m
}

func (t *memoryTable) add(q ring.Queue, m *AlignedMemory) {
	m.place, m.refusal = t.register(q, m.bytes)
	i := 0
	for i < len(t.byAddress) && t.byAddress[i].start() < m.start() {
		i++
	}
	t.byAddress = slices.Insert(t.byAddress, i, m)
	t.bytes += len(m.bytes)
	if m.place >= 0 {
		t.registered += len(m.bytes)
	}
}

// register registers p with the queue, and returns its place in the queue's table.
func (t *memoryTable) register(q ring.Queue, p []byte) (place int, err error) {
	if !t.made {
		if err := q.RegisterBuffers(memoryPlaces); err != nil {
			return -1, err
		}
		t.made = true
		for i := range memoryPlaces {
			t.free = append(t.free, memoryPlaces-1-i)
		}
	}
	last := len(t.free) - 1
	if last < 0 {
		return -1, fmt.Errorf("register %d bytes: all %d places for aligned memory of this loop are taken: make fewer, larger pieces: %w", len(p), memoryPlaces, syscall.ENOSPC)
	}
	place = t.free[last]
	if err := q.UpdateBuffer(place, p); err != nil {
		return -1, err
	}
	t.free = t.free[:last]
	return place, nil
}

func (t *memoryTable) remove(q ring.Queue, m *AlignedMemory) {
	i := slices.Index(t.byAddress, m)
	t.byAddress = slices.Delete(t.byAddress, i, i+1)
	t.bytes -= len(m.bytes)
	if m.place < 0 {
		return
	}
	t.registered -= len(m.bytes)
	// Only a queue that has failed refuses, and nothing is registered with it any more.
	if q.UpdateBuffer(m.place, nil) == nil {
		t.free = append(t.free, m.place)
	}
	m.place = -1
}
