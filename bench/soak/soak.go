package soak

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/bench/certificate"
)

// Config is what is asked for.
type Config struct {
	Seed     uint64
	Duration time.Duration
	Places   []Place
	Clients  int                                      // of each place
	Replace  time.Duration                            // about how long a runtime lives
	Progress func(elapsed time.Duration, line string) // every second
	Failed   func(text string)                        // at once; may be nil
}

// soak is one under way.
type soak struct {
	Config
	began     time.Time
	dir       string
	file      *os.File // that is served
	serverTLS *tls.Config
	clientTLS *tls.Config
	dead      *deadEnds
	worlds    []*world

	gate     sync.RWMutex // clients hold it for reading, and pause when it is taken
	most     Sample       // during the warm-up, zero until then
	episodes atomic.Int64
	broken   context.CancelFunc // ends it after too many failures

	mu       sync.Mutex
	tally    map[string]*Tally
	failures []string
}

// maxFailures is after how many it gives up.
const maxFailures = 20

// fileSize is the size of the file that is served.
const fileSize = 4 << 20

// fileSeed is the seed of the file's bytes.
const fileSeed = 7

// Run soaks until the time is up or ctx ends, and reports. The error is of what kept it
// from running; what it found is in the report.
func Run(ctx context.Context, c Config) (*Report, error) {
	before, err := beginning()
	if err != nil {
		return nil, err
	}
	s := &soak{Config: c, began: time.Now(), tally: make(map[string]*Tally)}
	running, stop := context.WithCancel(ctx)
	defer stop()
	s.broken = stop
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	samples := s.run(running)
	replaced := make(map[string]int64)
	for _, w := range s.worlds {
		replaced[w.place.String()] = w.ended.Load()
	}
	s.close()
	s.expectNothing(before)
	return s.report(samples, replaced, ctx.Err() != nil), nil
}

// beginning counts what there is before.
func beginning() (Sample, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // Go keeps an epoll and an eventfd from its first socket on
	if err != nil {
		return Sample{}, err
	}
	if err := ln.Close(); err != nil {
		return Sample{}, err
	}
	return Sample{Goroutines: int64(runtime.NumGoroutine()), Descriptors: descriptors()}, nil
}

func (s *soak) open() (err error) {
	if s.dir, err = os.MkdirTemp("", "soak"); err != nil {
		return err
	}
	own, roots, err := certificate.New()
	if err != nil {
		return err
	}
	s.serverTLS = &tls.Config{Certificates: []tls.Certificate{own}}
	s.clientTLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	if s.file, err = os.Create(filepath.Join(s.dir, "file")); err != nil {
		return err
	}
	if _, err = s.file.Write(fill(make([]byte, fileSize), fileSeed, 0)); err != nil {
		return err
	}
	if s.dead, err = openDeadEnds(s.dir); err != nil {
		return err
	}
	for _, at := range s.Places {
		w, err := s.newWorld(at)
		if err != nil {
			return err
		}
		s.worlds = append(s.worlds, w)
	}
	return nil
}

func (s *soak) close() {
	for _, w := range s.worlds {
		w.close()
		if names, err := os.ReadDir(w.dir); err == nil && len(names) > 0 {
			w.failf("at the end there is the file %s, expected none", names[0].Name())
		}
	}
	s.worlds = nil
	if s.dead != nil {
		s.dead.close()
	}
	if s.file != nil {
		s.file.Close()
	}
	os.RemoveAll(s.dir)
}

// expectNothing compares with what there was at the beginning.
func (s *soak) expectNothing(before Sample) {
	var goroutines, fds int64
	settle(settleLimit, func() bool {
		runtime.GC() // package net keeps pipes for its own splices until they are garbage
		goroutines, fds = int64(runtime.NumGoroutine()), descriptors()
		return goroutines <= before.Goroutines && fds <= before.Descriptors
	})
	if goroutines > before.Goroutines {
		stacks := make([]byte, 1<<20)
		s.fail(fmt.Sprintf("at the end there are %d goroutines, expected %d:\n%s", goroutines, before.Goroutines, stacks[:runtime.Stack(stacks, true)]))
	}
	if fds > before.Descriptors {
		s.fail(fmt.Sprintf("at the end there are %d descriptors, expected %d", fds, before.Descriptors))
	}
}

// run has the clients run, and pause for each sample.
func (s *soak) run(ctx context.Context) (samples []Sample) {
	ctx, stop := context.WithTimeout(ctx, s.Duration)
	defer stop()
	var clients sync.WaitGroup
	for i, w := range s.worlds {
		random := func(n int) *rand.Rand { return rand.New(rand.NewPCG(s.Seed, uint64(i)<<32|uint64(n))) }
		clients.Go(func() { w.keepReplacing(ctx, s.Replace, random(0)) })
		for n := range s.Clients {
			clients.Go(func() { w.beClient(ctx, random(n+1)) })
		}
	}
	every := min(max(s.Duration/16, time.Second), time.Minute)
	sampling := time.NewTicker(every)
	defer sampling.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-second.C:
			s.Progress(time.Since(s.began), s.line(samples))
		case <-sampling.C:
			samples = append(samples, s.pause(samples))
		}
	}
	clients.Wait()
	return samples
}

// pause takes a sample while no client runs.
func (s *soak) pause(samples []Sample) Sample {
	s.gate.Lock()
	defer s.gate.Unlock()
	// The warm-up is a quarter of the samples that there will be.
	if warm := 4; len(samples) == warm {
		for _, early := range samples[:warm] {
			s.most.Goroutines = max(s.most.Goroutines, early.Goroutines)
			s.most.Descriptors = max(s.most.Descriptors, early.Descriptors)
			s.most.InFlight = max(s.most.InFlight, early.InFlight)
		}
	}
	return s.sample(time.Since(s.began))
}

func (s *soak) line(samples []Sample) string {
	text := fmt.Sprintf("%d episodes", s.episodes.Load())
	if len(samples) > 0 {
		last := samples[len(samples)-1]
		text += fmt.Sprintf(", heap %s, resident %s, %d goroutines, %d descriptors", mebibytes(last.Heap), mebibytes(last.Resident), last.Goroutines, last.Descriptors)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return text + fmt.Sprintf(", %d failures", len(s.failures))
}

func (s *soak) fail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) < maxFailures {
		s.failures = append(s.failures, text)
		if s.Failed != nil {
			s.Failed(text)
		}
	}
	if len(s.failures) == maxFailures {
		s.broken()
	}
}
