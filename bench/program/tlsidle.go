package program

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/process"
	"github.com/goproactor/goproactor/bench/workload"
)

// So many connections that the memory which a server takes once, such as its receive
// buffers, does not count.
var _ = workload.Register(workload.Workload{
	Name:        "tls-idle",
	About:       "connections of crypto/tls that have echoed one message and are silent since: what each costs in resident memory",
	Unit:        "connections",
	Section:     workload.Programs,
	Cells:       []workload.Cell{tlsIdleCell(64, 0, 0, 0), tlsIdleCell(64<<10, 0, 0, 0)},
	Custom:      tlsIdleCell,
	Static:      true,
	Connect:     2 * time.Millisecond,
	Contestants: tlsServer("tls-idle", "crypto/tls", echoOrCollect).contestants(),
	Baseline:    "tls-idle-net",
	Drive:       driveTLSIdle,
})

func tlsIdleCell(size, conns, _, idle int) workload.Cell {
	return workload.Cell{Workload: "tls-idle", Size: or(size, 64), Conns: or(max(conns, idle), 2000), Window: 1}
}

// collect asks the server to collect its garbage, of which handshakes leave much.
const collect = 'G'

// echoOrCollect has a small buffer: it is crypto/tls that is measured.
func echoOrCollect(c net.Conn) error {
	memory := make([]byte, 512)
	for {
		n, err := c.Read(memory)
		if err != nil {
			return err
		}
		if memory[0] == collect {
			debug.FreeOSMemory()
		}
		if _, err := c.Write(memory[:n]); err != nil {
			return err
		}
	}
}

func driveTLSIdle(job load.Job) (load.Result, error) {
	asks, err := tls.Dial("tcp", job.Addr, clientTLS())
	if err != nil {
		return load.Result{}, err
	}
	defer asks.Close()
	message := make([]byte, job.Size)
	for range 20 { // what is for all connections is not one's
		if err := roundTrip(asks, message); err != nil {
			return load.Result{}, err
		}
	}
	before, err := collectedRSS(asks, job.PID)
	if err != nil {
		return load.Result{}, err
	}
	began := time.Now()
	for i := range job.Conns {
		c, err := tls.Dial("tcp", job.Addr, clientTLS())
		if err != nil {
			return load.Result{}, fmt.Errorf("connection %d of %d: %w", i+1, job.Conns, err)
		}
		defer c.Close()
		if err := roundTrip(c, message); err != nil {
			return load.Result{}, err
		}
	}
	elapsed := time.Since(began)
	after, err := collectedRSS(asks, job.PID)
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

// collectedRSS is the server's resident memory once it has collected its garbage.
func collectedRSS(asks net.Conn, pid int) (int64, error) {
	for range 3 { // what a pool holds goes with the second collection
		if err := roundTrip(asks, []byte{collect}); err != nil {
			return 0, err
		}
	}
	return process.RSS(pid)
}
