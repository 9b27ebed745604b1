package ring_test

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// queue is io_uring, or where there is none to be had the same contract in user
// space, for a goroutine that is locked to its thread from then on.
func queue() ring.Queue {
	runtime.LockOSThread()
	if q, err := ring.Open(ring.Options{Entries: 64}); err == nil {
		return q
	}
	q, err := epollfallback.Open(epollfallback.Options{Entries: 64})
	if err != nil {
		panic(err)
	}
	return q
}

// done closes a queue, and lets the goroutine have any thread again.
func done(q ring.Queue) {
	if err := q.Close(); err != nil {
		panic(err)
	}
	runtime.UnlockOSThread()
}

// completions submits, and waits for the next n.
func completions(q ring.Queue, n int) (all []ring.CQE) {
	for some := make([]ring.CQE, n); len(all) < n; {
		if err := q.Enter(ring.Forever); err != nil {
			panic(err)
		}
		all = append(all, some[:q.Reap(some[:n-len(all)])]...)
	}
	return all
}

// socketPair is a connection to oneself.
func socketPair() (one, other int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return fds[0], fds[1]
}

// Two entries go in with one call; their completions come out when they have them.
func ExampleQueue() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)

	p, hello := make([]byte, 16), []byte("hello") // the queue's until the completion
	defer runtime.KeepAlive(hello)                // an entry does not keep what it points to
	e := q.Next()
	e.PrepRecv(one, p, 0)
	e.SetUserData(1)
	e = q.Next()
	e.PrepSend(other, hello, ring.MsgWaitAll|ring.MsgNoSignal)
	e.SetUserData(2)
	for _, c := range completions(q, 2) {
		if c.UserData() == 1 {
			fmt.Printf("%s\n", p[:c.Result()])
		}
	}
	fmt.Println(q.InFlight(), "in flight")
	// Output:
	// hello
	// 0 in flight
}

// A ring belongs to the thread that opened it.
func ExampleOpen() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	q, err := ring.Open(ring.Options{Entries: 64})
	if err != nil { // containers often forbid it: the error says what to look at
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer q.Close()
	q.Next().PrepNop()
	fmt.Println(q.Enter(ring.Forever))
}

// What this kernel offers, and what is missing and why.
func ExampleProbe() {
	report := ring.Probe()
	if err := report.Require(); err != nil {
		fmt.Println("no io_uring for package proactor:", err)
	}
	for _, s := range report.Features {
		if !s.OK {
			fmt.Printf("%s (Linux %s): %s\n", s.Name, s.Since, s.Reason)
		}
	}
}

// Something newer is used where it is there.
func ExampleReport_Supports() {
	if ring.Probe().Supports(ring.OpFtruncate.String()) {
		fmt.Println("the ring truncates files")
	} else {
		fmt.Println("a system call truncates files")
	}
}

func ExampleFirstKernel() {
	fmt.Println(ring.FirstKernel("IORING_OP_SEND_ZC"))
	fmt.Println(ring.FirstKernel(ring.FeatureMultishotReceive))
	// Output:
	// 6.0
	// 6.0
}

// What must not run unless a file was synced waits for the result: the failure of
// a sync breaks no link.
func ExampleOp_BreaksLink() {
	for _, op := range []ring.Op{ring.OpWrite, ring.OpFsync} {
		fmt.Println(op, op.BreaksLink())
	}
	// Output:
	// IORING_OP_WRITE true
	// IORING_OP_FSYNC false
}

// A receive that goes on and on: each time it takes a buffer of a group.
func ExampleNewBufferRing() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)

	buffers, err := ring.NewBufferRing(4)
	if err != nil {
		panic(err)
	}
	const group = 1
	if err := q.RegisterBufferRing(group, buffers); err != nil {
		panic(err)
	}
	memory := make([][]byte, buffers.Cap())
	for id := range memory {
		memory[id] = make([]byte, 64)
		buffers.Add(memory[id], uint16(id))
	}
	buffers.Publish()

	q.Next().PrepMultishotRecv(one, group, 0)
	for _, s := range []string{"one", "two", "three"} {
		unix.Write(other, []byte(s))
		c := completions(q, 1)[0]
		fmt.Printf("%s, and more to come: %v\n", memory[c.BufferID()][:c.Result()], c.More())
		buffers.Add(memory[c.BufferID()], c.BufferID()) // for the next
		buffers.Publish()
	}
	unix.Close(other)
	c := completions(q, 1)[0]
	fmt.Println(c.Result(), c.More()) // the end
	// Output:
	// one, and more to come: true
	// two, and more to come: true
	// three, and more to come: true
	// 0 false
}

// Connection after connection of one entry.
func ExampleSQE_PrepMultishotAccept() {
	q := queue()
	defer done(q)
	ln, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(ln)
	at := &unix.SockaddrUnix{Name: fmt.Sprintf("@goproactor-ring-example-%d", os.Getpid())}
	if err := unix.Bind(ln, at); err != nil {
		panic(err)
	}
	if err := unix.Listen(ln, 16); err != nil {
		panic(err)
	}
	q.Next().PrepMultishotAccept(ln, unix.SOCK_CLOEXEC)
	for range 3 {
		peer, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		defer unix.Close(peer)
		if err := unix.Connect(peer, at); err != nil {
			panic(err)
		}
		c := completions(q, 1)[0]
		fmt.Println(c.Result() > 0, c.More())
		unix.Close(int(c.Result()))
	}
	// Output:
	// true true
	// true true
	// true true
}

// A receive that may take so long and no longer.
func ExampleSQE_PrepLinkTimeout() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)

	p, limit := make([]byte, 16), ring.NewTimespec(time.Millisecond)
	defer runtime.KeepAlive(p)
	defer runtime.KeepAlive(&limit)
	if err := q.Reserve(2); err != nil { // a link does not survive a submission in its middle
		panic(err)
	}
	e := q.Next()
	e.PrepRecv(one, p, 0)
	e.SetUserData(1)
	e.SetFlags(ring.SQELink)
	e = q.Next()
	e.PrepLinkTimeout(&limit, 0)
	e.SetUserData(2)
	results := map[uint64]error{}
	for _, c := range completions(q, 2) {
		results[c.UserData()] = unix.Errno(-c.Result())
	}
	fmt.Println(results[1])
	fmt.Println(results[2] == unix.ETIME)
	// Output:
	// operation canceled
	// true
}

func ExampleSQE_PrepTimeout() {
	q := queue()
	defer done(q)
	limit := ring.NewTimespec(time.Millisecond)
	defer runtime.KeepAlive(&limit)
	start := time.Now()
	q.Next().PrepTimeout(&limit, 0, 0)
	c := completions(q, 1)[0]
	fmt.Println(unix.Errno(-c.Result()) == unix.ETIME, time.Since(start) >= time.Millisecond)
	// Output: true true
}

// The memory of what is canceled is free when its own completion has come, not
// when that of the cancel has.
func ExampleSQE_PrepCancel() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)

	p := make([]byte, 16)
	defer runtime.KeepAlive(p)
	e := q.Next()
	e.PrepRecv(one, p, 0)
	e.SetUserData(1)
	e = q.Next()
	e.PrepCancel(1, 0)
	e.SetUserData(2)
	results := map[uint64]int32{}
	for _, c := range completions(q, 2) {
		results[c.UserData()] = c.Result()
	}
	fmt.Println(unix.Errno(-results[1]), "-", results[2])
	// Output: operation canceled - 0
}

func ExampleSQE_PrepPoll() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)

	q.Next().PrepPoll(one, ring.PollIn)
	unix.Write(other, []byte("x"))
	c := completions(q, 1)[0]
	fmt.Println(c.Result()&int32(ring.PollIn) != 0)
	// Output: true
}

// A file is opened into a slot, read and closed in one submission. It never has a
// number of the process.
func ExampleSQE_SetSlot() {
	q := queue()
	defer done(q)
	if err := q.RegisterFiles(1); err != nil {
		panic(err)
	}
	path := append([]byte("/proc/self/comm"), 0)
	p := make([]byte, 64)
	defer runtime.KeepAlive(path)
	defer runtime.KeepAlive(p)
	const slot = 0
	if err := q.Reserve(3); err != nil {
		panic(err)
	}
	e := q.Next()
	e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY, 0)
	e.SetSlot(slot)
	e.SetFlags(ring.SQELink)
	e = q.Next()
	e.PrepReadAt(slot, p, 0)
	e.SetFlags(ring.SQEFixedFile | ring.SQEHardLink) // closed, though it is shorter than p
	q.Next().PrepCloseDirect(slot)
	all := completions(q, 3)
	fmt.Println(all[0].Result(), all[1].Result() > 0, all[2].Result())
	// Output: 0 true 0
}

// Memory that the kernel has at hand.
func ExampleSQE_PrepReadFixed() {
	q := queue()
	defer done(q)
	const index = 0
	p := make([]byte, 4096)
	if err := q.RegisterBuffers(1); err != nil {
		panic(err)
	}
	if err := q.UpdateBuffer(index, p); err != nil { // ENOMEM over the limit of locked memory
		panic(err)
	}
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(zero)
	q.Next().PrepReadFixed(zero, p[:100], ring.AtCursor, index) // any part of it
	fmt.Println(completions(q, 1)[0].Result())
	// Output: 100
}

// The result comes first; the memory is free with the notification behind it.
func ExampleSQE_PrepSendZC() {
	q := queue()
	defer done(q)
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(ln)
	if err := unix.Listen(ln, 1); err != nil {
		panic(err)
	}
	at, err := unix.Getsockname(ln)
	if err != nil {
		panic(err)
	}
	out, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(out)
	if err := unix.Connect(out, at); err != nil {
		panic(err)
	}
	p := []byte("uncopied")
	defer runtime.KeepAlive(p)
	q.Next().PrepSendZC(out, p, ring.MsgWaitAll|ring.MsgNoSignal)
	for _, c := range completions(q, 2) {
		if c.Flags()&ring.CQEFNotif != 0 {
			fmt.Println("the memory is free")
		} else {
			fmt.Println(c.Result(), c.More())
		}
	}
	// Output:
	// 8 true
	// the memory is free
}

// From a file into a pipe, without passing through the process.
func ExampleSQE_PrepSplice() {
	q := queue()
	defer done(q)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		panic(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	f, err := os.CreateTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	f.WriteString("0123456789")

	q.Next().PrepSplice(int(f.Fd()), 4, pipe[1], ring.AtCursor, 100, 0)
	p := make([]byte, completions(q, 1)[0].Result())
	unix.Read(pipe[0], p)
	fmt.Printf("%s\n", p)
	// Output: 456789
}

// A header and a body in one write.
func ExampleSQE_PrepWritev() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)

	head, body := []byte("head "), []byte("body")
	vector := []ring.Iovec{{Base: &head[0], Len: uintptr(len(head))}, {Base: &body[0], Len: uintptr(len(body))}}
	defer runtime.KeepAlive(vector)
	q.Next().PrepWritev(one, vector, ring.AtCursor)
	n := completions(q, 1)[0].Result()
	p := make([]byte, n)
	unix.Read(other, p)
	fmt.Printf("%d: %s\n", n, p)
	// Output: 9: head body
}
