package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
)

// A request to a new peer: one submission, one wake-up.
func ExampleRuntime_Unconnected() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := echoing(rt)
	c, connect, err := rt.Unconnected("tcp", ln.Addr().String())
	if err != nil {
		panic(err)
	}
	defer c.Close()
	answer := make([]byte, 5)
	_, err = rt.Chain(connect, c.SendStep([]byte("hello")), c.RecvFullStep(answer)).Await(context.Background())
	fmt.Printf("%s %v\n", answer, err)

	// Steps behind one that has failed are canceled.
	c, connect, err = rt.Unconnected("unix", "/no/such/socket")
	if err != nil {
		panic(err)
	}
	defer c.Close()
	results, err := rt.Chain(connect, c.SendStep([]byte("hello"))).Await(context.Background())
	fmt.Println(errors.Is(err, syscall.ENOENT), results[1].Err == futures.ErrCanceled)
	// Output:
	// hello <nil>
	// true true
}

// Two messages and the answer to them, in this order.
func ExampleConn_SendStep() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.OnRecv(func(buf proactor.Buffer, err error) { peer.Queue(buf) })
	answer := make([]byte, 8)
	results, err := rt.Chain(c.SendStep([]byte("one ")), c.SendStep([]byte("two.")), c.RecvFullStep(answer)).Await(context.Background())
	fmt.Println(results[0].N, results[1].N, results[2].N, err)
	fmt.Printf("%s\n", answer)
	// Output:
	// 4 4 8 <nil>
	// one two.
}

// A step receives the first data that comes, even one byte; the end of the stream fails
// it.
func ExampleConn_RecvStep() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	must(peer.SendBytes([]byte("bye")).Await(context.Background()))
	peer.Close()
	p := make([]byte, 100)
	results, err := rt.Chain(c.RecvStep(p), c.RecvStep(make([]byte, 100))).Await(context.Background())
	fmt.Printf("%s, then %v\n", p[:results[0].N], err)
	// Output: bye, then EOF
}

// A message of known length. Here the stream ends after three of its four bytes.
func ExampleConn_RecvFullStep() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	must(peer.SendBytes([]byte("head+bo")).Await(context.Background()))
	peer.Close()
	head, body := make([]byte, 4), make([]byte, 4)
	results, err := rt.Chain(c.RecvFullStep(head), c.RecvFullStep(body)).Await(context.Background())
	fmt.Printf("%s, %d bytes of the body, %v\n", head, results[1].N, errors.Is(err, io.ErrUnexpectedEOF))
	// Output: head, 3 bytes of the body, true
}

// An operation of the queue that the library has no method for: here a hole in a file,
// and a sync after it.
func ExampleOperation() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	ctx := context.Background()

	f := must(rt.Create(name).Await(ctx))
	defer f.Close()
	must(f.WriteAt([]byte("secret, public"), 0).Await(ctx))
	const keepSize, punchHole = 1, 2 // fallocate(2)
	hole := proactor.Operation("fallocate", func(e *ring.SQE) { e.PrepFallocate(f.Fd(), keepSize|punchHole, 0, 6) })
	p := make([]byte, 14)
	_, err := rt.Chain(hole, f.SyncStep(), f.ReadFullStep(p, 0)).Await(ctx)
	if errors.Is(err, syscall.EOPNOTSUPP) { // not every file system can
		_, err = rt.Chain(f.WriteStep(make([]byte, 6), 0), f.SyncStep(), f.ReadFullStep(p, 0)).Await(ctx)
	}
	fmt.Printf("%q %v\n", p, err)
	// Output: "\x00\x00\x00\x00\x00\x00, public" <nil>
}

// A step that needs the result of another: the descriptor that an open returned.
// For files NewChainFile does the same in one submission.
func ExampleOperationAfter() {
	rt := must(proactor.New())
	defer rt.Close()
	path := []byte(os.DevNull + "\x00")
	open := proactor.Operation("openat", func(e *ring.SQE) { e.PrepOpenat(-100, &path[0], syscall.O_WRONLY|syscall.O_CLOEXEC, 0) })
	write := proactor.OperationAfter("write", func(e *ring.SQE, before []proactor.StepResult) {
		e.PrepWrite(before[0].N, path)
	})
	shut := proactor.OperationAfter("close", func(e *ring.SQE, before []proactor.StepResult) {
		e.PrepClose(before[0].N)
	})
	results, err := rt.Chain(open, write, shut).Await(context.Background())
	fmt.Println(results[1].N == len(path), results[2].N, err)
	// Output: true 0 <nil>
}

// Fewer bytes than the next step needs are a failure, and it does not run.
func ExampleStep_Full() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	must(peer.SendBytes([]byte("12")).Await(context.Background()))
	results, err := rt.Chain(c.RecvStep(make([]byte, 8)).Full(8), c.SendStep([]byte("thanks"))).Await(context.Background())
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), results[0].N, results[1].Err == futures.ErrCanceled)
	// Output: true 2 true
}

// The file is closed even if a step before the close fails.
func ExampleStep_Always() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	_, err := rt.Chain(f.ReadFullStep(make([]byte, 8), 0), f.CloseStep().Always()).Await(ctx)
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), f.Fd())
	// Output: true -1
}

// A step reads up to the length of the memory; the end of the file fails it.
func ExampleFile_ReadStep() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("few bytes"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	p := make([]byte, 100)
	results, err := rt.Chain(f.ReadStep(p, 4), f.CloseStep()).Await(ctx)
	fmt.Printf("%q %v\n", p[:results[0].N], err)
	// Output: "bytes" <nil>
}

// Part of a file is read and sent to a peer.
func ExampleFile_ReadFullStep() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("0123456789"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	defer f.Close()
	c, peer := peerOf(rt)
	p := make([]byte, 4)
	_, err := rt.Chain(f.ReadFullStep(p, 3), c.SendStep(p)).Await(ctx)
	buf := must(peer.Recv().Await(ctx))
	fmt.Printf("%s %v\n", buf.Bytes(), err)
	buf.Release()
	// Output: 3456 <nil>
}

// The answer is sent when the data that it acknowledges is on the disk.
func ExampleFile_SyncDataStep() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "journal")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	defer f.Close()
	c, peer := peerOf(rt)
	_, err := rt.Chain(f.WriteStep([]byte("a record"), 0), f.SyncDataStep(), c.SendStep([]byte("done"))).Await(ctx)
	buf := must(peer.Recv().Await(ctx))
	fmt.Printf("%s %v\n", buf.Bytes(), err)
	buf.Release()
	// Output: done <nil>
}

// Data and metadata of the file are on the disk, and it is closed.
func ExampleFile_SyncStep() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))

	f := must(rt.Create(name).Await(ctx))
	results, err := rt.Chain(f.WriteStep([]byte("all "), 0), f.WriteStep([]byte("of it"), 4), f.SyncStep(), f.CloseStep()).Await(ctx)
	fmt.Println(results[0].N, results[1].N, err)
	fmt.Printf("%s\n", must(os.ReadFile(name)))
	// Output:
	// 4 5 <nil>
	// all of it
}

// A chain that fails before its close leaves the file open, for another try.
func ExampleFile_CloseStep() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("short"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	p := make([]byte, 8)
	_, err := rt.Chain(f.ReadFullStep(p, 0), f.CloseStep()).Await(ctx)
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), f.Fd() >= 0)
	_, err = rt.Chain(f.ReadFullStep(p[:5], 0), f.CloseStep()).Await(ctx)
	fmt.Println(err, f.Fd())
	// Output:
	// true true
	// <nil> -1
}

// A journal: each record is on the disk when its chain has ended, and the next
// follows it.
func ExampleFile_WriteNextStep() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "journal")
	defer os.RemoveAll(filepath.Dir(name))

	journal := must(rt.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600).Await(ctx))
	defer journal.Close()
	one := rt.Chain(journal.WriteNextStep([]byte("one\n")), journal.SyncDataStep())
	two := rt.Chain(journal.WriteNextStep([]byte("two\n")), journal.SyncDataStep()) // in this order
	must(one.Await(ctx))
	must(two.Await(ctx))
	fmt.Printf("%s", must(os.ReadFile(name)))
	// Output:
	// one
	// two
}

// A read at the cursor, and then a chain that goes on there.
func ExampleFile_ReadNextStep() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("head and the rest"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	head, rest := make([]byte, 5), make([]byte, 100)
	must(f.Read(head).Await(ctx))
	results, err := rt.Chain(f.ReadNextStep(rest), f.CloseStep()).Await(ctx)
	fmt.Printf("%q %v\n", rest[:results[0].N], err)
	// Output: "and the rest" <nil>
}

// Records of known length, one after the other.
func ExampleFile_ReadNextFullStep() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	name := filepath.Join(must(os.MkdirTemp("", "example")), "data")
	defer os.RemoveAll(filepath.Dir(name))
	os.WriteFile(name, []byte("aaabbbcc"), 0o600)

	f := must(rt.Open(name).Await(ctx))
	defer f.Close()
	a, b, c := make([]byte, 3), make([]byte, 3), make([]byte, 3)
	results, err := rt.Chain(f.ReadNextFullStep(a), f.ReadNextFullStep(b), f.ReadNextFullStep(c)).Await(ctx)
	fmt.Printf("%s %s %s: %d bytes, %v\n", a, b, c[:results[2].N], results[2].N, errors.Is(err, io.ErrUnexpectedEOF))
	// Output: aaa bbb cc: 2 bytes, true
}
