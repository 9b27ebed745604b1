// Package filereads compares random reads of a file past the page cache, or in it:
// os.File.ReadAt from goroutines, and proactor's File on either backend, into
// memory that is registered with the loop's queue and into memory that is not, at
// depths from 1 to 128.
//
// It is no server that a client loads: the readers run in this process, one kind
// at a time, and are compared by the processor time that the process spent on a
// read, that of the kernel's workers included (they are its threads).
package filereads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// Alignment is what offset and memory of a read are multiples of, at least.
const Alignment = 4096

// Options say what is measured.
type Options struct {
	Path     string        // a file of at least Size bytes, made if it is missing
	Size     int64         // bytes that are read of it
	Block    int           // bytes of a read, a multiple of Alignment
	Depths   []int         // reads under way at once
	Duration time.Duration // of each measurement
	Cached   bool          // through the page cache, which has all of it, instead of O_DIRECT
	Rounds   int           // in each, the readers take turns
}

// Sample is one measurement.
type Sample struct {
	Reader string
	Depth  int
	Reads  uint64
	Wall   time.Duration
	CPU    time.Duration
}

// PerCPUSecond is the reads done per second of processor time.
func (s Sample) PerCPUSecond() float64 { return float64(s.Reads) / s.CPU.Seconds() }

// Readers are their names, the one to compare with first.
var Readers = []string{"os.File", "io_uring", "io_uring" + registered, "epoll", "epoll" + registered}

// registered ends the name of a reader into registered memory.
const registered = " registered"

// Unregistered is the reader that differs from the named one in nothing but where
// it reads into; ok is false if that one reads into no registered memory.
func Unregistered(name string) (other string, ok bool) { return strings.CutSuffix(name, registered) }

// flags are those that the file is opened with.
func (o *Options) flags() int {
	if o.Cached {
		return os.O_RDONLY
	}
	return os.O_RDONLY | syscall.O_DIRECT
}

// Run measures. Each reader at each depth is measured in each round, and
// reported when it has been.
func Run(ctx context.Context, o Options, report func(round int, s Sample)) error {
	if err := Prepare(o.Path, o.Size); err != nil {
		return err
	}
	if o.Cached {
		if err := warm(o.Path, o.Size); err != nil {
			return err
		}
	}
	for round := range o.Rounds {
		for _, depth := range o.Depths {
			for i := range Readers {
				name := Readers[(i+round)%len(Readers)]
				s, err := measure(ctx, name, depth, o)
				if err != nil {
					return fmt.Errorf("%s, %d deep: %w", name, depth, err)
				}
				report(round, s)
			}
		}
	}
	return nil
}

// Prepare writes the file, unless there is one that is long enough.
func Prepare(path string, size int64) error {
	if info, err := os.Stat(path); err == nil && info.Size() >= size {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	p := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{})
	for at := int64(0); at < size; at += int64(len(p)) {
		random.Read(p)
		if _, err := f.Write(p); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(f.Sync(), f.Close())
}

// random is the offset of a block.
func (o *Options) random(r *rand.Rand) int64 {
	return r.Int64N(o.Size/int64(o.Block)) * int64(o.Block)
}

// warm brings what is read of the file into the page cache.
func warm(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, f, size)
	return errors.Join(err, f.Close())
}

// reader performs reads until stop, depth of them at once, and counts them.
type reader func(ctx context.Context, depth int, stop *atomic.Bool) (uint64, error)

func measure(ctx context.Context, name string, depth int, o Options) (s Sample, err error) {
	read, closeReader, err := openReader(name, o)
	if err != nil {
		return s, err
	}
	defer closeReader()
	s = Sample{Reader: name, Depth: depth}
	var stop atomic.Bool
	timer := time.AfterFunc(o.Duration, func() { stop.Store(true) })
	defer timer.Stop()
	unwatch := context.AfterFunc(ctx, func() { stop.Store(true) })
	defer unwatch()
	start, before := time.Now(), processorTime()
	s.Reads, err = read(context.Background(), depth, &stop)
	s.Wall, s.CPU = time.Since(start), processorTime()-before
	return s, errors.Join(err, ctx.Err())
}

func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func openReader(name string, o Options) (reader, func(), error) {
	if name == "os.File" {
		f, err := os.OpenFile(o.Path, o.flags(), 0)
		if err != nil {
			return nil, nil, err
		}
		return goroutines(f, o), func() { f.Close() }, nil
	}
	plain, isRegistered := Unregistered(name)
	backend, err := proactor.ParseBackend(plain)
	if err != nil {
		return nil, nil, err
	}
	rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
	if err != nil {
		return nil, nil, err
	}
	f, err := rt.OpenFile(o.Path, o.flags(), 0).Await(context.Background())
	if err != nil {
		return nil, nil, errors.Join(err, rt.Close())
	}
	return tasks(f, o, isRegistered), func() { rt.Close() }, nil
}

// goroutines is what one does with package os: a goroutine for each read.
func goroutines(f *os.File, o Options) reader {
	return func(_ context.Context, depth int, stop *atomic.Bool) (uint64, error) {
		counts, failures := make([]uint64, depth), make([]error, depth)
		var group sync.WaitGroup
		for i := range depth {
			group.Go(func() {
				p, random := aligned(o.Block), rand.New(rand.NewPCG(uint64(i), 1))
				n := uint64(0)
				for ; !stop.Load() && failures[i] == nil; n++ {
					_, failures[i] = f.ReadAt(p, o.random(random))
				}
				counts[i] = n
			})
		}
		group.Wait()
		return sum(counts), errors.Join(failures...)
	}
}

// tasks is the same with proactor: a task for each read.
func tasks(f *proactor.File, o Options, registered bool) reader {
	return func(ctx context.Context, depth int, stop *atomic.Bool) (uint64, error) {
		memory, err := buffers(ctx, f.Loop(), depth, o.Block, registered)
		if err != nil {
			return 0, err
		}
		counts := make([]uint64, depth)
		all := make([]futures.Future[struct{}], depth)
		for i := range depth {
			all[i] = f.Loop().Go(ctx, func(ctx context.Context) error {
				p, random := memory[i], rand.New(rand.NewPCG(uint64(i), 1))
				n := uint64(0)
				for ; !stop.Load(); n++ {
					if _, err := f.ReadAt(p, o.random(random)).Await(ctx); err != nil {
						return err
					}
				}
				counts[i] = n
				return nil
			})
		}
		for _, f := range all {
			if _, err := f.Await(ctx); err != nil {
				return 0, err
			}
		}
		return sum(counts), nil
	}
}

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// buffers are what the tasks of a loop read into, registered with its queue or not.
func buffers(ctx context.Context, l *proactor.Loop, n, size int, registered bool) (list [][]byte, err error) {
	if !registered {
		for range n {
			list = append(list, aligned(size))
		}
		return list, nil
	}
	m, err := l.AlignedMemory(n * size).Await(ctx)
	if err == nil {
		err = m.Refusal()
	}
	if err != nil {
		return nil, err
	}
	for i := range n {
		list = append(list, m.Bytes()[i*size:(i+1)*size:(i+1)*size])
	}
	return list, nil
}

// aligned is a buffer that O_DIRECT takes.
func aligned(size int) []byte {
	p := make([]byte, size+Alignment)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & (Alignment - 1))
	return p[skip : skip+size : skip+size]
}
