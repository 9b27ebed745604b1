package program

import (
	"context"
	"net"

	"github.com/quic-go/quic-go"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = register(Program{
	Name:    "quic-go",
	About:   "the server sends on one stream",
	Unit:    "MiB",
	Bulk:    true,
	Packets: serveQUIC,

	NoCoroutine: "it waits on channels and locks",

	Load:  load.Job{Conns: 1, Window: 1},
	drive: driveQUIC,
})

func serveQUIC(pc net.PacketConn, _ Options) error {
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
		if _, err := s.Read(request); err != nil {
			return err
		}
		for left := tlsBulk; left > 0; left -= len(memory) {
			if _, err := s.Write(memory); err != nil {
				return err
			}
		}
	}
}

func driveQUIC(job load.Job) (load.Result, error) {
	return driveWorkers(job, func(ctx context.Context, _ int, count func(float64)) error {
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
			if err := discard(s, tlsBulk, memory, count); err != nil {
				return err
			}
		}
		return nil
	})
}
