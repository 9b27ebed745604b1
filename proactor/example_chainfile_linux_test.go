package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goproactor/goproactor/proactor"
)

// A small file is read in one submission, and a record is appended and on the disk
// in another. Neither leaves the file open, even if it fails.
func ExampleChainFile() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	dir := must(os.MkdirTemp("", "journal"))
	defer os.RemoveAll(dir)
	ctx := context.Background()

	journal := proactor.NewChainFile(filepath.Join(dir, "journal"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	for _, record := range []string{"one\n", "two\n"} {
		_, err := rt.Chain(journal.OpenStep(), journal.WriteStep([]byte(record), 0), journal.SyncDataStep(), journal.CloseStep()).Await(ctx)
		if err != nil {
			panic(err)
		}
	}

	p := make([]byte, 100)
	results, err := rt.Chain(journal.OpenStep(), journal.ReadStep(p, 0), journal.CloseStep()).Await(ctx)
	fmt.Printf("%q %v\n", p[:results[1].N], err)

	_, err = rt.Chain(journal.OpenStep(), journal.ReadFullStep(p, 0), journal.CloseStep()).Await(ctx)
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))

	missing := proactor.NewChainFile(filepath.Join(dir, "missing"), os.O_RDONLY, 0)
	_, err = rt.Chain(missing.OpenStep(), missing.ReadStep(p, 0), missing.CloseStep()).Await(ctx)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// "one\ntwo\n" <nil>
	// true
	// true
}

// The name is looked up each time that the step runs.
func ExampleNewChainFile() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	ctx := context.Background()

	f := proactor.NewChainFile(filepath.Join(dir, "new"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	for range 2 {
		_, err := rt.Chain(f.OpenStep(), f.CloseStep()).Await(ctx)
		fmt.Println(err == nil, errors.Is(err, fs.ErrExist))
	}
	// Output:
	// true false
	// false true
}

// Without a CloseStep the file is closed at the end of the chain.
func ExampleChainFile_OpenStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	os.WriteFile(name, []byte("all of it"), 0o600)

	f := proactor.NewChainFile(name, os.O_RDONLY, 0)
	p := make([]byte, 100)
	results, err := rt.Chain(f.OpenStep(), f.ReadStep(p, 0)).Await(context.Background())
	fmt.Printf("%s %v\n", p[:results[1].N], err)
	// Output: all of it <nil>
}

func ExampleChainFile_ReadStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	os.WriteFile(name, []byte("key=value"), 0o600)

	f := proactor.NewChainFile(name, os.O_RDONLY, 0)
	p := make([]byte, 100)
	results, err := rt.Chain(f.OpenStep(), f.ReadStep(p, 4), f.CloseStep()).Await(context.Background())
	fmt.Printf("%s %v\n", p[:results[1].N], err)
	// Output: value <nil>
}

// Head and body of a file, in two slices.
func ExampleChainFile_ReadFullStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	os.WriteFile(name, []byte("headbody"), 0o600)

	f := proactor.NewChainFile(name, os.O_RDONLY, 0)
	head, body := make([]byte, 4), make([]byte, 4)
	_, err := rt.Chain(f.OpenStep(), f.ReadFullStep(head, 0), f.ReadFullStep(body, 4), f.CloseStep()).Await(context.Background())
	fmt.Printf("%s|%s %v\n", head, body, err)
	// Output: head|body <nil>
}

// A file that is complete before it gets its name.
func ExampleChainFile_WriteStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	ctx := context.Background()
	name := filepath.Join(dir, "settings")

	f := proactor.NewChainFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if _, err := rt.Chain(f.OpenStep(), f.WriteStep([]byte("key=value\n"), 0), f.SyncStep(), f.CloseStep()).Await(ctx); err != nil {
		panic(err)
	}
	must(rt.Rename(name+".new", name).Await(ctx))
	fmt.Printf("%s", must(os.ReadFile(name)))
	// Output: key=value
}

func ExampleChainFile_SyncStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)

	f := proactor.NewChainFile(filepath.Join(dir, "data"), os.O_WRONLY|os.O_CREATE, 0o600)
	results, err := rt.Chain(f.OpenStep(), f.WriteStep([]byte("on the disk"), 0), f.SyncStep(), f.CloseStep()).Await(context.Background())
	fmt.Println(results[1].N, err)
	// Output: 11 <nil>
}

func ExampleChainFile_SyncDataStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)

	journal := proactor.NewChainFile(filepath.Join(dir, "journal"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	results, err := rt.Chain(journal.OpenStep(), journal.WriteStep([]byte("a record"), 0), journal.SyncDataStep(), journal.CloseStep()).Await(context.Background())
	fmt.Println(results[1].N, err)
	// Output: 8 <nil>
}

// It runs even if steps before it have failed, if the file was opened.
func ExampleChainFile_CloseStep() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	os.WriteFile(name, []byte("short"), 0o600)

	f := proactor.NewChainFile(name, os.O_RDONLY, 0)
	results, err := rt.Chain(f.OpenStep(), f.ReadFullStep(make([]byte, 8), 0), f.CloseStep()).Await(context.Background())
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), results[1].N, results[2].Err)
	// Output: true 5 <nil>
}
