package ring

// Flags in OpFlags of a splice or tee, those of splice(2).
const (
	SpliceMove     uint32 = 1 << 0  // without effect since Linux 2.6.21
	SpliceNonblock uint32 = 1 << 1  // do not wait for a pipe; a socket goes by its O_NONBLOCK
	SpliceFromSlot uint32 = 1 << 31 // in is a slot (SPLICE_F_FD_IN_FIXED)
	SpliceMore     uint32 = 1 << 2  // more follows for the socket, as MSG_MORE of send(2)
)

// PrepSplice moves up to n bytes from in to out, one of which is a pipe, without
// their passing through memory of the process (splice(2)). The offset of a pipe,
// and of whatever has no position, is AtCursor. The result is the number of
// bytes, fewer than n break a link; 0 is the end of in. Linux 5.7.
//
// A cancel of one that waits answers EALREADY, and ends it with ECANCELED all the
// same; by descriptor it is found by out.
//
// Wait for what may take long by PrepPoll, then splice with SpliceNonblock and with
// sockets that are non-blocking: the kernel's ring leaves each splice to a worker
// thread, which waits if it must, and which no link timeout ends (seen on 6.18). While it waits
// for a socket it has the pipe locked: whoever reads or writes that, without
// blocking or not, waits with it.
func (e *SQE) PrepSplice(in int, inOffset int64, out int, outOffset int64, n, flags uint32) {
	e.PrepOperation(uint8(OpSplice), int32(out), uint64(inOffset), n, uint64(outOffset))
	e.SetOpFlags(flags)
	e.entry().SpliceFD = int32(in)
}

// PrepTee copies up to n bytes of what is in one pipe into another, and leaves
// them where they are (tee(2)). It waits, and ends, as PrepSplice. Linux 5.8.
func (e *SQE) PrepTee(in, out int, n, flags uint32) {
	e.PrepOperation(uint8(OpTee), int32(out), 0, n, 0)
	e.SetOpFlags(flags)
	e.entry().SpliceFD = int32(in)
}
