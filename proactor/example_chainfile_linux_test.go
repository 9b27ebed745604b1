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
// in another. Neither leaves the file open, whatever happens.
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
