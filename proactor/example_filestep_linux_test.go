package proactor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goproactor/goproactor/proactor"
)

// A record is on the disk when the chain has ended: one submission, one wake-up.
func ExampleFile_WriteStep() {
	rt, err := proactor.New(proactor.WithLoops(1))
	if err != nil {
		panic(err)
	}
	defer rt.Close()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	journal, err := rt.Create(filepath.Join(dir, "journal")).Await(ctx)
	if err != nil {
		panic(err)
	}
	results, err := rt.Chain(journal.WriteStep([]byte("transfer 10 from a to b\n"), 0), journal.SyncDataStep()).Await(ctx)
	fmt.Println(results[0].N, err)

	back := make([]byte, 8)
	_, err = rt.Chain(journal.ReadFullStep(back, 0), journal.CloseStep()).Await(ctx)
	fmt.Printf("%s %v\n", back, err)
	// Output:
	// 24 <nil>
	// transfer <nil>
}
