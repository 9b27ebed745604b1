package program

import (
	"context"
	"io"
	"net"

	"github.com/quic-go/quic-go"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:        "quic",
	About:       "quic-go, the server sends on one stream",
	Unit:        "MiB",
	Section:     workload.Programs,
	Cells:       []workload.Cell{bulkCell("quic", 1)},
	Custom:      customBulk("quic", 1),
	Contestants: quicServer.contestants(),
	Baseline:    "quic-net",
	Drive:       driveQUIC,
})

// quicServer cannot run in a coroutine: quic-go waits on channels and locks.
var quicServer = server{
	name:     "quic",
	about:    "quic-go",
	detached: true,
	packets: func(pc net.PacketConn, _ contestant.Options) error {
		config, err := serverTLS()
		if err != nil {
			return err
		}
		ln, err := quic.Listen(pc, config, nil)
		if err != nil {
			return err
		}
		for {
			c, err := ln.Accept(context.Background())
			if err != nil {
				return err
			}
			go sendOnStreams(c)
		}
	},
}

// sendOnStreams sends on each stream so much for each byte that it receives.
func sendOnStreams(c *quic.Conn) error {
	for {
		s, err := c.AcceptStream(context.Background())
		if err != nil {
			return err
		}
		go sendOnStream(s)
	}
}

func sendOnStream(s *quic.Stream) error {
	defer s.Close()
	request, memory := make([]byte, 1), make([]byte, 64<<10)
	for {
		if _, err := io.ReadFull(s, request); err != nil {
			return err
		}
		for left := bulk; left > 0; left -= len(memory) {
			if _, err := s.Write(memory); err != nil {
				return err
			}
		}
	}
}

func driveQUIC(job load.Job) (load.Result, error) {
	return driveWorkers(job, func(ctx context.Context, _ int, done *tally) error {
		c, err := quic.DialAddr(ctx, job.Addr, clientTLS(), nil)
		if err != nil {
			return err
		}
		defer c.CloseWithError(0, "")
		s, err := c.OpenStreamSync(ctx)
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { s.CancelRead(0) })()
		memory := make([]byte, 64<<10)
		for ctx.Err() == nil {
			if _, err := s.Write(memory[:1]); err != nil {
				return err
			}
			if err := discard(s, bulk, memory, done); err != nil {
				return err
			}
		}
		return nil
	})
}
