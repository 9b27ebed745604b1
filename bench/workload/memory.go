package workload

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/process"
)

var _ = Register(Workload{
	Name:    "memory",
	About:   "connections that have echoed one message and are silent since: what each costs the server in resident memory",
	Unit:    "connections",
	Section: Idle,
	Cells:   []Cell{memoryCell(0, 0, 0, 0)},
	Custom:  memoryCell,
	Static:  true,
	Drive:   driveMemory,
})

func memoryCell(size, conns, _, idle int) Cell {
	return Cell{Workload: "memory", Size: def(size, 64), Conns: def(max(conns, idle), 10000), Window: 1}
}

// driveMemory opens connections, each with an echo. What the server had before, with a first connection, is not counted.
func driveMemory(job load.Job) (load.Result, error) {
	to, err := netip.ParseAddrPort(job.Addr)
	if err != nil {
		return load.Result{}, err
	}
	message, answer := pattern(2 * job.Size)[:job.Size], make([]byte, job.Size)
	var opened []*os.File
	defer func() {
		for _, conn := range opened {
			conn.Close()
		}
	}()
	open := func(count int) error {
		first := len(opened)
		for range count {
			fd, err := load.Dial(to, load.Source(len(opened)/20000))
			if err != nil {
				return err
			}
			opened = append(opened, os.NewFile(uintptr(fd), ""))
		}
		for _, conn := range opened[first:] {
			if _, err := conn.Write(message); err != nil {
				return err
			}
		}
		for _, conn := range opened[first:] {
			if _, err := io.ReadFull(conn, answer); err != nil {
				return err
			}
		}
		return nil
	}
	if err := open(1); err != nil {
		return load.Result{}, err
	}
	before, err := settledRSS(job.PID)
	if err != nil {
		return load.Result{}, err
	}
	began := time.Now()
	const atOnce = 100
	for left := job.Conns; left > 0; left -= min(left, atOnce) {
		if err := open(min(left, atOnce)); err != nil {
			return load.Result{}, fmt.Errorf("connection %d of %d: %w", len(opened), job.Conns, err)
		}
	}
	elapsed := time.Since(began)
	after, err := settledRSS(job.PID)
	if err != nil {
		return load.Result{}, err
	}
	return load.Result{
		Requests: float64(job.Conns),
		Elapsed:  elapsed,
		RSS:      after,
		PerConn:  max((after-before)/int64(job.Conns), 1),
	}, nil
}

// settledRSS is the server's resident memory once two looks at it agree.
func settledRSS(pid int) (int64, error) {
	last := int64(-1)
	for range 20 {
		rss, err := process.RSS(pid)
		if err != nil || rss == last {
			return rss, err
		}
		last = rss
		time.Sleep(50 * time.Millisecond)
	}
	return last, nil
}
