package program

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:        "tls",
	About:       "messages sent over crypto/tls and received back",
	Unit:        "messages",
	Section:     workload.Programs,
	Cells:       []workload.Cell{tlsCell(64, 64, 1, 0), tlsCell(16<<10, 16, 1, 0)},
	Custom:      tlsCell,
	Contestants: tlsServer("tls", "an echo over crypto/tls", echoBytes).contestants(),
	Baseline:    "tls-net",
	Drive: driveTLS(func(ctx context.Context, c net.Conn, size int, done *tally) error {
		message := bytes.Repeat([]byte{'m'}, size)
		for ctx.Err() == nil {
			began := time.Now()
			if err := roundTrip(c, message); err != nil {
				return err
			}
			done.took(began)
		}
		return nil
	}),
})

func tlsCell(size, conns, _, _ int) workload.Cell {
	return workload.Cell{Workload: "tls", Size: or(size, 64), Conns: or(conns, 64), Window: 1}
}

var _ = workload.Register(workload.Workload{
	Name:        "tls-send",
	About:       "the server sends over crypto/tls",
	Unit:        "MiB",
	Section:     workload.Programs,
	Cells:       []workload.Cell{bulkCell("tls-send", 4)},
	Custom:      customBulk("tls-send", 4),
	Contestants: tlsServer("tls-send", "crypto/tls, sending", sendBulk).contestants(),
	Baseline:    "tls-send-net",
	Drive:       driveTLS(askForBulk),
})

var _ = workload.Register(workload.Workload{
	Name:        "tls-receive",
	About:       "the server receives over crypto/tls",
	Unit:        "MiB",
	Section:     workload.Programs,
	Cells:       []workload.Cell{bulkCell("tls-receive", 4)},
	Custom:      customBulk("tls-receive", 4),
	Contestants: tlsServer("tls-receive", "crypto/tls, receiving", receiveBulk).contestants(),
	Baseline:    "tls-receive-net",
	Drive: driveTLS(func(ctx context.Context, c net.Conn, _ int, done *tally) error {
		memory := make([]byte, 64<<10)
		for ctx.Err() == nil {
			n, err := c.Write(memory)
			if err != nil {
				return err
			}
			done.count(float64(n) / mebibyte)
		}
		return nil
	}),
})

// bulk is how much is moved at a time.
const bulk = 16 * mebibyte

func bulkCell(name string, conns int) workload.Cell {
	return workload.Cell{Workload: name, Size: bulk, Conns: conns, Window: 1}
}

func customBulk(name string, usual int) func(size, conns, window, idle int) workload.Cell {
	return func(_, conns, _, _ int) workload.Cell { return bulkCell(name, or(conns, usual)) }
}

func tlsServer(name, about string, serve func(net.Conn) error) server {
	return server{
		name:     name,
		about:    about,
		detached: true,
		listen: func(ln net.Listener, _ contestant.Options) error {
			config, err := serverTLS()
			if err != nil {
				return err
			}
			return serveEach(tls.NewListener(ln, config), serve)
		},
		handler: func(contestant.Options) (handler, error) {
			config, err := serverTLS()
			if err != nil {
				return nil, err
			}
			return func(_ context.Context, c net.Conn) error { return serve(tls.Server(c, config)) }, nil
		},
	}
}

// echoBytes sends back what comes in.
func echoBytes(c net.Conn) error {
	memory := make([]byte, 16<<10) // a record of TLS has no more
	for {
		n, err := c.Read(memory)
		if err != nil {
			return err
		}
		if _, err := c.Write(memory[:n]); err != nil {
			return err
		}
	}
}

// sendBulk sends so much for each byte that it receives.
func sendBulk(c net.Conn) error {
	request, memory := make([]byte, 1), make([]byte, 64<<10)
	for {
		if _, err := io.ReadFull(c, request); err != nil {
			return err
		}
		for left := bulk; left > 0; left -= len(memory) {
			if _, err := c.Write(memory); err != nil {
				return err
			}
		}
	}
}

func receiveBulk(c net.Conn) error {
	memory := make([]byte, 64<<10)
	for {
		if _, err := c.Read(memory); err != nil {
			return err
		}
	}
}

// driveTLS shakes hands before anything is measured, then has each connection move bytes.
func driveTLS(move func(ctx context.Context, c net.Conn, size int, done *tally) error) func(load.Job) (load.Result, error) {
	return func(job load.Job) (load.Result, error) {
		conns := make([]*tls.Conn, job.Turn())
		for i := range conns {
			c, err := tls.Dial("tcp", job.Addr, clientTLS())
			if err != nil {
				return load.Result{}, err
			}
			defer c.NetConn().Close()
			conns[i] = c
		}
		return driveWorkers(job, func(ctx context.Context, worker int, done *tally) error {
			c := conns[worker]
			defer context.AfterFunc(ctx, func() { c.NetConn().Close() })()
			return move(ctx, c, job.Size, done)
		})
	}
}

func askForBulk(ctx context.Context, c net.Conn, _ int, done *tally) error {
	memory := make([]byte, 64<<10)
	for ctx.Err() == nil {
		if _, err := c.Write(memory[:1]); err != nil {
			return err
		}
		if err := discard(c, bulk, memory, done); err != nil {
			return err
		}
	}
	return nil
}

// roundTrip sends a message and receives it back.
func roundTrip(c net.Conn, message []byte) error {
	answer, written := make([]byte, len(message)), make(chan error, 1)
	write := func() {
		_, err := c.Write(message)
		written <- err
	}
	if len(message) <= 16<<10 { // it fits the memory of the sockets
		write()
	} else {
		go write()
	}
	_, err := io.ReadFull(c, answer)
	if err == nil && !bytes.Equal(answer, message) {
		err = errors.New("what came back differs from what was sent")
	}
	return errors.Join(err, <-written)
}
