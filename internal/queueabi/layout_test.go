package queueabi

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestLayout(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(SQE{}))
	require.EqualValues(t, 64, unsafe.Sizeof(Entry{}))
	require.EqualValues(t, 16, unsafe.Sizeof(CQE{}))
	require.EqualValues(t, 16, unsafe.Sizeof(bufferEntry{}))
	require.EqualValues(t, 32, unsafe.Offsetof(Entry{}.UserData))
	require.EqualValues(t, 40, unsafe.Offsetof(Entry{}.BufGroup))
	require.EqualValues(t, 44, unsafe.Offsetof(Entry{}.SpliceFD))
	require.EqualValues(t, 48, unsafe.Offsetof(Entry{}.Addr3))
}

// What iouring-go's setters write must be found where Entry reads it.
func TestEntryReadsWhatSettersWrite(t *testing.T) {
	var e SQE
	e.PrepOperation(1, -2, 3, 4, 5)
	e.SetFlags(6)
	e.SetIoprio(7)
	e.SetOpFlags(8)
	e.SetUserData(9)
	e.SetBufGroup(10)
	e.SetSpliceFdIn(11)
	require.Equal(t, Entry{Opcode: 1, FD: -2, Addr: 3, Len: 4, Off: 5, Flags: 6, Ioprio: 7, OpFlags: 8,
		UserData: 9, BufGroup: 10, SpliceFD: 11}, *e.Entry())
}

func TestNewCQE(t *testing.T) {
	c := NewCQE(1<<63, -5, 0xabcd0003)
	require.EqualValues(t, uint64(1)<<63, c.UserData())
	require.EqualValues(t, -5, c.Result())
	require.Equal(t, uint32(0xabcd0003), c.Flags())
}

func TestBufferRing(t *testing.T) {
	r := NewBufferRing(4)
	require.Zero(t, uintptr(unsafe.Pointer(&r.entries[0]))%4096, "the kernel wants a page boundary")
	p := new([10]byte)
	at := uint64(uintptr(unsafe.Pointer(p)))
	// More rounds than the 16-bit positions have values.
	for i := range 1<<16 + 10 {
		head := uint16(i)
		before := r.Available(head)
		r.Add(at, len(p), head)
		unpublished := r.Available(head)
		r.Publish()
		if after := r.Available(head); before != 0 || unpublished != 0 || after != 1 {
			t.Fatalf("position %d: %d, %d and %d available, want 0, 0 and 1", i, before, unpublished, after)
		}
	}
	addr, n, id := r.At(9)
	require.Equal(t, at, addr)
	require.EqualValues(t, 10, n)
	require.EqualValues(t, 9, id)
	require.EqualValues(t, 7, r.Consume(9, 3))
	addr, n, _ = r.At(9)
	require.Equal(t, uint64(uintptr(unsafe.Pointer(&p[3]))), addr)
	require.EqualValues(t, 7, n)
}
