// Package filereads compares random reads of a file that is not in the page
// cache: os.File.ReadAt from goroutines, and proactor's File on either backend,
// at depths from 1 to 128.
//
// It is no server that a client loads: the readers run in this process, one kind
// at a time, and are compared by the processor time that the process spent on a
// read, that of the kernel's workers included (they are its threads).
package filereads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// Block is the size of a read, and what it is aligned to.
const Block = 4096

// Options say what is measured.
type Options struct {
	Path     string        // a file of at least Size bytes, made if it is missing
	Size     int64         // bytes that are read of it
	Depths   []int         // reads under way at once
	Duration time.Duration // of each measurement
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
var Readers = []string{"os.File", "io_uring", "epoll"}

// Run measures. Each reader at each depth is measured in each round, and
// reported when it has been.
func Run(ctx context.Context, o Options, report func(round int, s Sample)) error {
	if err := Prepare(o.Path, o.Size); err != nil {
		return err
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
	blocks := o.Size / Block
	if name == "os.File" {
		f, err := os.OpenFile(o.Path, os.O_RDONLY|syscall.O_DIRECT, 0)
		if err != nil {
			return nil, nil, err
		}
		return goroutines(f, blocks), func() { f.Close() }, nil
	}
	backend, err := proactor.ParseBackend(name)
	if err != nil {
		return nil, nil, err
	}
	rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
	if err != nil {
		return nil, nil, err
	}
	f, err := rt.OpenFile(o.Path, os.O_RDONLY|syscall.O_DIRECT, 0).Await(context.Background())
	if err != nil {
		return nil, nil, errors.Join(err, rt.Close())
	}
	return tasks(rt, f, blocks), func() { rt.Close() }, nil
}

// goroutines is what one does with package os: a goroutine for each read.
func goroutines(f *os.File, blocks int64) reader {
	return func(_ context.Context, depth int, stop *atomic.Bool) (uint64, error) {
		counts, failures := make([]uint64, depth), make([]error, depth)
		var group sync.WaitGroup
		for i := range depth {
			group.Go(func() {
				p, random := aligned(), rand.New(rand.NewPCG(uint64(i), 1))
				n := uint64(0)
				for ; !stop.Load() && failures[i] == nil; n++ {
					_, failures[i] = f.ReadAt(p, random.Int64N(blocks)*Block)
				}
				counts[i] = n
			})
		}
		group.Wait()
		return sum(counts), errors.Join(failures...)
	}
}

// tasks is the same with proactor: a task for each read.
func tasks(rt *proactor.Runtime, f *proactor.File, blocks int64) reader {
	return func(ctx context.Context, depth int, stop *atomic.Bool) (uint64, error) {
		counts := make([]uint64, depth)
		all := make([]futures.Future[struct{}], depth)
		for i := range depth {
			all[i] = f.Loop().Go(ctx, func(ctx context.Context) error {
				p, random := aligned(), rand.New(rand.NewPCG(uint64(i), 1))
				n := uint64(0)
				for ; !stop.Load(); n++ {
					if _, err := f.ReadAt(p, random.Int64N(blocks)*Block).Await(ctx); err != nil {
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

// aligned is a buffer that O_DIRECT takes.
func aligned() []byte {
	p := make([]byte, 2*Block)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & (Block - 1))
	return p[skip : skip+Block : skip+Block]
}
