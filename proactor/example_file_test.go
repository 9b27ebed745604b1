package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

func ExampleRuntime_OpenFile() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)

	f := must(rt.OpenFile(filepath.Join(dir, "log"), os.O_RDWR|os.O_CREATE, 0o600).Await(ctx))
	must(f.WriteAt([]byte("hello, file"), 0).Await(ctx))
	must(f.SyncData().Await(ctx))
	fmt.Println(must(f.Stat().Await(ctx)).Size())
	must(f.Close().Await(ctx))

	_, err := rt.Open(filepath.Join(dir, "no such file")).Await(ctx)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// 11
	// true
}

// Many reads are under way at once; each buffer belongs to the library until its
// future resolves.
func ExampleFile_ReadAt() {
	rt := must(proactor.New())
	defer rt.Close()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("first second third!"), 0o600)

	_, err := rt.Go(context.Background(), func(ctx context.Context) error {
		f := must(rt.Open(name).Await(ctx))
		defer f.Close()
		parts := [3][]byte{make([]byte, 6), make([]byte, 7), make([]byte, 6)}
		one, two, three := f.ReadAt(parts[0], 0), f.ReadAt(parts[1], 6), f.ReadAt(parts[2], 13)
		for _, read := range []futures.Future[int]{three, two, one} {
			if _, err := read.Await(ctx); err != nil {
				return err
			}
		}
		fmt.Printf("%s%s%s\n", parts[0], parts[1], parts[2])
		return nil
	}).Await(context.Background())
	fmt.Println(err)
	// Output:
	// first second third!
	// <nil>
}

func ExampleFile_Read() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("read me in pieces"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	defer f.Close()
	for p := make([]byte, 8); ; {
		n, err := f.Read(p).Await(ctx)
		if err == io.EOF {
			break
		}
		fmt.Printf("%q\n", p[:n])
	}
	// Output:
	// "read me "
	// "in piece"
	// "s"
}

func ExampleFile_WriteVectorAt() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	fmt.Println(must(f.WriteVectorAt([][]byte{[]byte("header "), []byte("body")}, 0).Await(ctx)))
	head, body := make([]byte, 7), make([]byte, 4)
	must(f.ReadVectorAt([][]byte{head, body}, 0).Await(ctx))
	fmt.Printf("%s|%s\n", head, body)
	must(f.Close().Await(ctx))
	// Output:
	// 11
	// header |body
}

// Writes at the cursor come one after the other, without waiting in between.
func ExampleFile_Write() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "log")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600).Await(ctx))
	first, second := f.Write([]byte("one\n")), f.Write([]byte("two\n")) // in this order
	must(first.Await(ctx))
	must(second.Await(ctx))
	must(f.Close().Await(ctx))
	fmt.Printf("%s", must(os.ReadFile(name)))
	// Output:
	// one
	// two
}

func ExampleFile_WriteAt() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	tail, head := f.WriteAt([]byte("behind"), 7), f.WriteAt([]byte("before "), 0)
	must(tail.Await(ctx))
	must(head.Await(ctx))
	must(f.Close().Await(ctx))
	fmt.Printf("%s\n", must(os.ReadFile(name)))
	// Output: before behind
}

func ExampleFile_ReadVectorAt() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("headbody"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	defer f.Close()
	head, body := make([]byte, 4), make([]byte, 4)
	n := must(f.ReadVectorAt([][]byte{head, body}, 0).Await(ctx))
	fmt.Printf("%d bytes: %s, %s\n", n, head, body)
	// Output: 8 bytes: head, body
}

// After SyncData the bytes survive a crash of the machine, as a journal needs.
func ExampleFile_SyncData() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "journal")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	defer f.Close()
	must(f.Write([]byte("a record")).Await(ctx)) // awaited: a sync does not wait for writes under way
	_, err := f.SyncData().Await(ctx)
	fmt.Println(err)
	// Output: <nil>
}

func ExampleFile_Sync() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	must(f.Write([]byte("bytes, and what is known of them")).Await(ctx))
	_, err := f.Sync().Await(ctx)
	fmt.Println(err)
	must(f.Close().Await(ctx))
	_, err = f.Sync().Await(ctx)
	fmt.Println(errors.Is(err, fs.ErrClosed))
	// Output:
	// <nil>
	// true
}

func ExampleFile_Stat() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600).Await(ctx))
	defer f.Close()
	must(f.Write([]byte("hello")).Await(ctx))
	info := must(f.Stat().Await(ctx))
	fmt.Println(info.Name(), info.Size(), info.Mode(), info.IsDir())
	// Output: data 5 -rw------- false
}

// Room is reserved: later writes to it cannot fail with ENOSPC.
func ExampleFile_Allocate() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	defer f.Close()
	_, err := f.Allocate(0, 1<<20).Await(ctx)
	if errors.Is(err, syscall.EOPNOTSUPP) { // not every file system can
		_, err = f.Truncate(1 << 20).Await(ctx)
	}
	fmt.Println(must(f.Stat().Await(ctx)).Size(), err)
	// Output: 1048576 <nil>
}

func ExampleFile_Truncate() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("keep|drop"), 0o600)

	f := must(rt.OpenFile(name, os.O_RDWR, 0).Await(ctx))
	must(f.Truncate(4).Await(ctx))
	must(f.Close().Await(ctx))
	fmt.Printf("%s\n", must(os.ReadFile(name)))
	// Output: keep
}

func ExampleFile_Close() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	written := f.WriteAt([]byte("under way"), 0)
	must(f.Close().Await(ctx)) // it waits for that
	fmt.Println(must(written.Result()))
	_, err := f.WriteAt([]byte("too late"), 0).Await(ctx)
	fmt.Println(errors.Is(err, fs.ErrClosed))
	// Output:
	// 9
	// true
}

// Open is for reading; a write is refused.
func ExampleRuntime_Open() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("read only"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	defer f.Close()
	p := make([]byte, 4)
	must(f.ReadAt(p, 0).Await(ctx))
	_, err := f.WriteAt(p, 0).Await(ctx)
	fmt.Printf("%s %v\n", p, errors.Is(err, syscall.EBADF))
	// Output: read true
}

// Create truncates an existing file.
func ExampleRuntime_Create() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("the old content"), 0o600)

	f := must(rt.Create(name).Await(ctx))
	must(f.Write([]byte("the new")).Await(ctx))
	must(f.Close().Await(ctx))
	fmt.Printf("%s\n", must(os.ReadFile(name)))
	// Output: the new
}

// The pool of goroutines that perform operations on files on epoll. With more of them
// more operations are under way at once, which is faster on some devices.
func ExampleWithFileWorkers() {
	rt := must(proactor.New(proactor.WithBackend(proactor.Epoll), proactor.WithFileWorkers(64)))
	defer rt.Close()
	ctx := context.Background()
	f := must(rt.Open(os.DevNull).Await(ctx))
	_, err := f.Read(make([]byte, 1)).Await(ctx)
	fmt.Println(err)
	// Output: EOF
}
