package program

import (
	"context"
	"net"

	"github.com/goproactor/goproactor/bench/load"
)

// A message of net.Buffers has so many pieces of so many bytes.
const (
	vectorPieces = 64
	vectorPiece  = 1 << 10
)

var _ = register(Program{
	Name:  "net.Buffers",
	About: "64 pieces of 1 KiB written as one net.Buffers, 16 connections",
	Unit:  "request",
	Bulk:  true,
	Listen: func(ln net.Listener, _ Options) error {
		for {
			c, err := ln.Accept()
			if err != nil {
				return err
			}
			go func() {
				defer c.Close()
				writeVectors(c)
			}()
		}
	},
	Handler: func(Options) (Handler, error) {
		return func(_ context.Context, c net.Conn) error { return writeVectors(c) }, nil
	},
	Load:  load.Job{Conns: 16, Window: 1},
	drive: driveRequests([]byte{1}, func(c net.Conn) (int, error) { return readVector(c) }),
})

// writeVectors answers each byte with a message.
func writeVectors(c net.Conn) error {
	request, memory := make([]byte, 1), make([]byte, vectorPiece)
	pieces := make([][]byte, vectorPieces)
	for {
		if _, err := c.Read(request); err != nil {
			return err
		}
		for i := range pieces {
			pieces[i] = memory
		}
		message := net.Buffers(pieces)
		if _, err := message.WriteTo(c); err != nil {
			return err
		}
	}
}

func readVector(c net.Conn) (int, error) {
	const all = vectorPieces * vectorPiece
	return all, discard(c, all, make([]byte, all), func(float64) {})
}
