package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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

// Many reads are under way at once; each buffer is the library's until its
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

func ExampleRuntime_Rename() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	at := func(name string) string { return filepath.Join(dir, name) }

	must(rt.Mkdir(at("sub"), 0o700).Await(ctx))
	f := must(rt.Create(at("sub/new")).Await(ctx))
	must(f.Allocate(0, 1<<16).Await(ctx))
	must(f.Truncate(100).Await(ctx))
	must(f.Sync().Await(ctx))
	must(f.Close().Await(ctx))
	must(rt.Rename(at("sub/new"), at("sub/data")).Await(ctx))
	must(rt.Link(at("sub/data"), at("hard")).Await(ctx))
	must(rt.Symlink("sub/data", at("soft")).Await(ctx))
	fmt.Println(must(rt.Stat(at("soft")).Await(ctx)).Size(), must(rt.Lstat(at("soft")).Await(ctx)).Mode().Type())
	must(rt.Remove(at("sub/data")).Await(ctx))
	must(rt.Remove(at("sub")).Await(ctx))
	fmt.Println(must(rt.Stat(at("hard")).Await(ctx)).Size())
	// Output:
	// 100 L---------
	// 100
}
