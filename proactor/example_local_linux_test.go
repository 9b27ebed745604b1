package proactor_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"golang.org/x/sys/unix"
)

func ExampleRuntime_SocketPair() {
	rt := must(proactor.New())
	defer rt.Close()
	one, other, err := rt.SocketPair("unixpacket")
	if err != nil {
		fmt.Println(err)
		return
	}
	one.SendBytes([]byte("first message"))
	one.SendBytes([]byte("second"))
	for range 2 {
		buf := must(other.Recv().Await(context.Background()))
		fmt.Printf("%s\n", buf.Bytes())
		buf.Release()
	}
	// Output:
	// first message
	// second
}

func ExampleRuntime_Pipe() {
	rt := must(proactor.New())
	defer rt.Close()
	r, w, err := rt.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	w.SendBytes([]byte("through the pipe"))
	buf := must(r.Recv().Await(context.Background()))
	fmt.Printf("%s\n", buf.Bytes())
	buf.Release()
	// Output: through the pipe
}

func ExampleConn_SendFiles() {
	rt := must(proactor.New())
	defer rt.Close()
	one, other := peerOf(rt)
	r, w, err := os.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	must(one.SendFiles([]byte("a pipe"), w).Await(context.Background()))
	w.Close()

	p := make([]byte, 64)
	got := must(other.RecvFiles(p, 1).Await(context.Background()))
	fmt.Fprintf(got.Files[0], "written by who was passed %s", p[:got.N])
	got.Files[0].Close()
	n := must(r.Read(p))
	fmt.Printf("%s\n", p[:n])
	r.Close()
	// Output: written by who was passed a pipe
}

// All files that are received must be closed.
func ExampleConn_RecvFiles() {
	rt := must(proactor.New())
	defer rt.Close()
	one, other := peerOf(rt)
	null := must(os.Open(os.DevNull))
	defer null.Close()
	one.SendFiles([]byte("two, of which one is asked for"), null, null)

	got := must(other.RecvFiles(make([]byte, 64), 1).Await(context.Background()))
	for _, f := range got.Files {
		f.Close()
	}
	fmt.Println(got.N, "bytes,", len(got.Files), "file, more cut:", got.Cut)
	// Output: 30 bytes, 1 file, more cut: true
}

func ExampleConn_PeerCredentials() {
	rt := must(proactor.New())
	defer rt.Close()
	c, _ := peerOf(rt)
	cred := must(c.PeerCredentials())
	fmt.Println(cred.PID == os.Getpid(), cred.UID == os.Getuid())
	// Output: true true
}

func ExampleRuntime_FileConn() {
	rt := must(proactor.New())
	defer rt.Close()
	// A timerfd, read like any stream: each read is the number of times it fired.
	fd := must(unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC))
	f := os.NewFile(uintptr(fd), "timerfd")
	defer f.Close()
	unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(time.Millisecond))}, nil)
	c := must(rt.FileConn(f))
	buf := must(c.Recv().Await(context.Background()))
	fmt.Println("fired", binary.NativeEndian.Uint64(buf.Bytes()), "time")
	buf.Release()
	// Output: fired 1 time
}

func ExampleRuntime_Poll() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "watched"))
	defer os.RemoveAll(dir)
	fd := must(unix.InotifyInit1(unix.IN_CLOEXEC))
	defer unix.Close(fd)
	must(unix.InotifyAddWatch(fd, dir, unix.IN_CREATE))
	ready := rt.Poll(fd, proactor.Readable)
	os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	fmt.Println(must(ready.Await(context.Background())))
	// Output: readable
}

func ExampleRuntime_PollAll() {
	rt := must(proactor.New())
	defer rt.Close()
	fd := must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))
	defer unix.Close(fd)
	events := rt.PollAll(fd, proactor.Readable)
	for range 3 {
		unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1))
		fmt.Println(must(events.Next().Await(context.Background())) & proactor.Readable)
		unix.Read(fd, make([]byte, 8))
	}
	must(events.Stop().Await(context.Background()))
	// Output:
	// readable
	// readable
	// readable
}

// A file is moved to a socket through a pipe.
func ExampleRuntime_Splice() {
	rt := must(proactor.New())
	defer rt.Close()
	file := must(os.CreateTemp("", "page"))
	defer os.Remove(file.Name())
	defer file.Close()
	file.WriteString("from the page cache to the socket")
	pair := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	var pipe [2]int
	unix.Pipe2(pipe[:], unix.O_CLOEXEC)
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])

	ctx, from := context.Background(), int64(0)
	for {
		n, err := rt.Splice(proactor.AtCursor(pipe[1]), proactor.AtOffset(int(file.Fd()), from), 64<<10).Await(ctx)
		if err == io.EOF {
			break
		}
		from += int64(n)
		for n > 0 {
			n -= must(rt.Splice(proactor.AtCursor(pair[0]), proactor.AtCursor(pipe[0]), n).Await(ctx))
		}
	}
	p := make([]byte, 100)
	fmt.Println(string(p[:must(unix.Read(pair[1], p))]))
	// Output: from the page cache to the socket
}

func ExampleRuntime_Tee() {
	rt := must(proactor.New())
	defer rt.Close()
	var from, to [2]int
	unix.Pipe2(from[:], unix.O_CLOEXEC)
	unix.Pipe2(to[:], unix.O_CLOEXEC)
	for _, fd := range []int{from[0], from[1], to[0], to[1]} {
		defer unix.Close(fd)
	}
	unix.Write(from[1], []byte("twice"))
	must(rt.Tee(to[1], from[0], 100).Await(context.Background()))
	p := make([]byte, 100)
	fmt.Println(string(p[:must(unix.Read(from[0], p))]), string(p[:must(unix.Read(to[0], p))]))
	// Output: twice twice
}

// A file at an offset. Its cursor does not move.
func ExampleAtOffset() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("skip this, take that"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	defer f.Close()
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer r.Close()
	defer w.Close()
	n := must(rt.Splice(proactor.AtCursor(int(w.Fd())), proactor.AtOffset(f.Fd(), 11), 100).Await(ctx))
	p := make([]byte, n)
	must(r.Read(p))
	fmt.Printf("%s\n", p)
	// Output: take that
}
