package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goproactor/goproactor/proactor"
)

func ExampleRuntime_Stat() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "page.html"), []byte("<p>"), 0o600)

	info := must(rt.Stat(filepath.Join(dir, "page.html")).Await(ctx))
	fmt.Println(info.Name(), info.Size(), info.Mode())
	_, err := rt.Stat(filepath.Join(dir, "missing")).Await(ctx)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// page.html 3 -rw-------
	// true
}

func ExampleRuntime_Lstat() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	link := filepath.Join(dir, "link")
	os.Symlink(dir, link)

	fmt.Println(must(rt.Stat(link).Await(ctx)).IsDir(), must(rt.Lstat(link).Await(ctx)).Mode().Type() == fs.ModeSymlink)
	// Output: true true
}

func ExampleRuntime_Mkdir() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)

	_, err := rt.Mkdir(filepath.Join(dir, "sub"), 0o700).Await(ctx)
	fmt.Println(err)
	_, err = rt.Mkdir(filepath.Join(dir, "sub"), 0o700).Await(ctx)
	fmt.Println(errors.Is(err, fs.ErrExist))
	// Output:
	// <nil>
	// true
}

func ExampleRuntime_Remove() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o600)

	_, err := rt.Remove(dir).Await(ctx)
	fmt.Println(errors.Is(err, syscall.ENOTEMPTY))
	must(rt.Remove(file).Await(ctx))
	_, err = rt.Remove(dir).Await(ctx)
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// A new version of a file: readers see the old one or the new, never a part.
func ExampleRuntime_Rename() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "settings")
	os.WriteFile(name, []byte("old"), 0o600)

	f := must(rt.Create(name + ".new").Await(ctx))
	must(f.Write([]byte("new")).Await(ctx))
	must(f.Sync().Await(ctx))
	must(f.Close().Await(ctx))
	must(rt.Rename(name+".new", name).Await(ctx))
	fmt.Printf("%s\n", must(os.ReadFile(name)))
	// Output: new
}

func ExampleRuntime_Link() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	os.WriteFile(one, []byte("under two names"), 0o600)

	must(rt.Link(one, other).Await(ctx))
	must(rt.Remove(one).Await(ctx))
	fmt.Printf("%s\n", must(os.ReadFile(other)))
	// Output: under two names
}

func ExampleRuntime_Symlink() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)

	must(rt.Symlink("version-2", filepath.Join(dir, "current")).Await(ctx))
	fmt.Println(must(os.Readlink(filepath.Join(dir, "current"))))
	// Output: version-2
}
