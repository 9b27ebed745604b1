package program

import (
	"bytes"
	"io"
	"net"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:        "buffers",
	About:       "answers written as one net.Buffers, in pieces of 1 KiB",
	Unit:        "requests",
	Section:     workload.Programs,
	Cells:       []workload.Cell{buffersCell(0, 0, 0, 0)},
	Custom:      buffersCell,
	Contestants: buffersServer().contestants(),
	Baseline:    "buffers-net",
	Drive: workload.Requests{
		Request: func(load.Job) []byte { return []byte{1} },
		Probe: func(conn net.Conn, job load.Job, request []byte) (int, error) {
			return workload.Expect(conn, request, bytes.Repeat([]byte{vectorByte}, job.Size))
		},
	}.Drive,
})

// A message has so many pieces of so many bytes of this value.
const (
	vectorPieces = 64
	vectorPiece  = 1 << 10
	vectorByte   = 'v'
)

func buffersCell(_, conns, window, _ int) workload.Cell {
	return workload.Cell{Workload: "buffers", Size: vectorPieces * vectorPiece, Conns: or(conns, 16), Window: or(window, 1)}
}

func buffersServer() server {
	s := server{name: "buffers", about: "net.Buffers", detached: true}
	s.listen, s.handler = both(writeVectors)
	return s
}

// writeVectors answers each byte with a message.
func writeVectors(c net.Conn) error {
	request, memory := make([]byte, 1), bytes.Repeat([]byte{vectorByte}, vectorPiece)
	pieces := make([][]byte, vectorPieces)
	for {
		if _, err := io.ReadFull(c, request); err != nil {
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
