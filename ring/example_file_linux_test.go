package ring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// path is a name as the kernel wants it.
func path(elements ...string) *byte { return &append([]byte(filepath.Join(elements...)), 0)[0] }

// directory is one to work in, which the example removes.
func directory() string {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	return dir
}

// perform submits one entry and gives its result.
func perform(q ring.Queue, prepare func(*ring.SQE)) int {
	prepare(q.Next())
	return int(completions(q, 1)[0].Result())
}

func ExampleSQE_PrepOpenat() {
	q := queue()
	defer done(q)
	dir := directory()
	defer os.RemoveAll(dir)
	name := path(dir, "new")
	fd := perform(q, func(e *ring.SQE) {
		e.PrepOpenat(unix.AT_FDCWD, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	})
	fmt.Println(fd >= 0, perform(q, func(e *ring.SQE) { e.PrepClose(fd) }))
	again := perform(q, func(e *ring.SQE) {
		e.PrepOpenat(unix.AT_FDCWD, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	})
	fmt.Println(unix.Errno(-again))
	runtime.KeepAlive(name)
	// Output:
	// true 0
	// file exists
}

func ExampleSQE_PrepStatx() {
	q := queue()
	defer done(q)
	dir := directory()
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "file"), []byte("12345"), 0o640)
	name, stat := path(dir, "file"), new(unix.Statx_t) // the queue's until the completion
	result := perform(q, func(e *ring.SQE) {
		e.PrepStatx(unix.AT_FDCWD, name, 0, unix.STATX_SIZE|unix.STATX_TYPE, unsafe.Pointer(stat))
	})
	fmt.Println(result, stat.Size, stat.Mode&unix.S_IFMT == unix.S_IFREG)
	runtime.KeepAlive(name)
	// Output: 0 5 true
}

// The sync begins when the write has succeeded, in one submission. Its own failure
// would break no link: see BreaksLink.
func ExampleSQE_PrepFsync() {
	q := queue()
	defer done(q)
	f, err := os.CreateTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	p := []byte("on the disk")
	if err := q.Reserve(2); err != nil {
		panic(err)
	}
	e := q.Next()
	e.PrepWriteAt(int(f.Fd()), p, 0)
	e.SetFlags(ring.SQELink)
	q.Next().PrepFsync(int(f.Fd()), ring.FsyncDataSync)
	all := completions(q, 2)
	fmt.Println(all[0].Result(), all[1].Result())
	runtime.KeepAlive(p)
	// Output: 11 0
}

// At an offset, and at the cursor, which that does not move.
func ExampleSQE_PrepReadAt() {
	q := queue()
	defer done(q)
	f, err := os.CreateTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	f.WriteString("0123456789")
	f.Seek(2, 0)
	p := make([]byte, 4)
	n := perform(q, func(e *ring.SQE) { e.PrepReadAt(int(f.Fd()), p, 7) })
	fmt.Printf("%s\n", p[:n])
	n = perform(q, func(e *ring.SQE) { e.PrepReadAt(int(f.Fd()), p, ring.AtCursor) })
	fmt.Printf("%s\n", p[:n])
	// Output:
	// 789
	// 2345
}

func ExampleSQE_PrepRenameat() {
	q := queue()
	defer done(q)
	dir := directory()
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "old"), nil, 0o600)
	from, to := path(dir, "old"), path(dir, "new")
	rename := func(e *ring.SQE) { e.PrepRenameat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE) }
	fmt.Println(perform(q, rename))
	fmt.Println(unix.Errno(-perform(q, rename)))
	// Output:
	// 0
	// no such file or directory
}

// A file in a slot is given a number of the process, for what knows of numbers
// only. Linux 6.8.
func ExampleSQE_PrepInstall() {
	q := queue()
	defer done(q)
	if err := q.RegisterFiles(1); err != nil {
		panic(err)
	}
	null := path(os.DevNull)
	const slot = 0
	opened := perform(q, func(e *ring.SQE) {
		e.PrepOpenat(unix.AT_FDCWD, null, unix.O_WRONLY, 0)
		e.SetSlot(slot)
	})
	fmt.Println(opened)
	fd := perform(q, func(e *ring.SQE) { e.PrepInstall(slot, 0) })
	if fd == -int(unix.EINVAL) {
		return // before Linux 6.8
	}
	defer unix.Close(fd)
	fmt.Println(unix.Write(fd, []byte("known by its number")))
}

// One message to an address, and another with the address it came from.
func ExampleSQE_PrepSendmsg() {
	q := queue()
	defer done(q)
	socket := func(name string) int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
			panic(err)
		}
		return fd
	}
	own := fmt.Sprintf("@goproactor-ring-message-%d", os.Getpid())
	one, other := socket(own), socket(own+"-other")
	defer unix.Close(one)
	defer unix.Close(other)

	to := append([]byte{unix.AF_UNIX, 0, 0}, own[1:]...) // an abstract name, on a little-endian machine
	text := []byte("a message")
	out := &ring.Msghdr{Name: &to[0], Namelen: uint32(len(to)), Iov: &ring.Iovec{Base: &text[0], Len: uintptr(len(text))}, Iovlen: 1}
	p, from := make([]byte, 64), make([]byte, 110)
	in := &ring.Msghdr{Name: &from[0], Namelen: uint32(len(from)), Iov: &ring.Iovec{Base: &p[0], Len: uintptr(len(p))}, Iovlen: 1}
	if n := perform(q, func(e *ring.SQE) { e.PrepSendmsg(other, out, ring.MsgDontWait) }); n < 0 {
		panic(unix.Errno(-n))
	}
	n := perform(q, func(e *ring.SQE) { e.PrepRecvmsg(one, in, 0) })
	fmt.Printf("%s, from the other: %v\n", p[:n], string(from[3:in.Namelen]) == own[1:]+"-other")
	// Output: a message, from the other: true
}

// A completion each time that something can be read.
func ExampleSQE_PrepMultishotPoll() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)
	q.Next().PrepMultishotPoll(one, ring.PollIn)
	for range 2 {
		unix.Write(other, []byte("x"))
		c := completions(q, 1)[0]
		fmt.Println(c.Result()&int32(ring.PollIn) != 0, c.More())
	}
	// Output:
	// true true
	// true true
}

// Everything in flight on a descriptor, before it is closed.
func ExampleSQE_PrepCancelFD() {
	q := queue()
	defer done(q)
	one, other := socketPair()
	defer unix.Close(one)
	defer unix.Close(other)
	p := make([]byte, 2)
	for i := range p {
		e := q.Next()
		e.PrepRecv(one, p[i:i+1], 0)
		e.SetUserData(1)
	}
	e := q.Next()
	e.PrepCancelFD(one, ring.CancelAll)
	e.SetUserData(2)
	ended := 0
	for _, c := range completions(q, 3) {
		switch {
		case c.UserData() == 2:
			fmt.Println(c.Result(), "canceled")
		case unix.Errno(-c.Result()) == unix.ECANCELED:
			ended++
		}
	}
	fmt.Println(ended, "ended")
	runtime.KeepAlive(p)
	// Output:
	// 2 canceled
	// 2 ended
}
