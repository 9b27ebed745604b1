package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// One large AlignedMemory is used by many reads, each with a slice of it. With O_DIRECT
// the device writes straight into them.
func ExampleLoop_AlignedMemory() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	os.WriteFile(name, make([]byte, 1<<20), 0o600)

	_, err := rt.Go(context.Background(), func(ctx context.Context) error {
		f, err := rt.OpenFile(name, os.O_RDONLY|syscall.O_DIRECT, 0).Await(ctx)
		if err != nil { // not every file system has O_DIRECT
			f = must(rt.Open(name).Await(ctx))
		}
		defer f.Close()
		const block, blocks = 4096, 64
		memory := must(f.Loop().AlignedMemory(block * blocks).Await(ctx))
		var reads []futures.Future[int]
		for i := range blocks {
			reads = append(reads, f.ReadAt(memory.Bytes()[i*block:(i+1)*block], int64(i*block)))
		}
		total := 0
		for _, read := range reads {
			total += must(read.Await(ctx))
		}
		fmt.Println(total, "bytes")
		_, err = memory.Release().Await(ctx)
		return err
	}).Await(context.Background())
	fmt.Println(err)
	// Output:
	// 262144 bytes
	// <nil>
}

// Memory over the limit of locked memory can be used all the same.
func ExampleAlignedMemory_Registered() {
	rt := must(proactor.New())
	defer rt.Close()
	memory := must(rt.Loops()[0].AlignedMemory(64 << 10).Await(context.Background()))
	if !memory.Registered() {
		fmt.Fprintln(os.Stderr, "slower than it could be:", memory.Refusal())
	}
	fmt.Println(rt.Stats().Total().AlignedBytes, "bytes")
	// Output:
	// 65536 bytes
}

// The memory stays usable; only its registration ends.
func ExampleAlignedMemory_Release() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	memory := must(rt.Loops()[0].AlignedMemory(4096).Await(ctx))
	_, err := memory.Release().Await(ctx)
	fmt.Println(err, memory.Registered())
	_, err = memory.Release().Await(ctx)
	fmt.Println(errors.Is(err, proactor.ErrClosed))
	// Output:
	// <nil> false
	// true
}
