package program

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// What counts is the proxy alone: its upstream is a process beside the load generator.
var (
	_ = workload.Register(proxy("proxy", "a TCP proxy; the upstream answers requests of 64 bytes with so many",
		[]workload.Cell{quick(proxyCell("proxy", 64, 64, 1)), proxyCell("proxy", 64<<10, 16, 1), proxyCell("proxy", 1<<20, 8, 1)},
		func(job load.Job) []byte { return upstreamRequest(smallest, job.Size) }))
	_ = workload.Register(proxy("upload", "a TCP proxy; the upstream answers requests of so many bytes with 64",
		[]workload.Cell{proxyCell("upload", 1<<20, 8, 1)},
		func(job load.Job) []byte { return upstreamRequest(max(job.Size, smallest), smallest) }))
)

func proxy(name, about string, cells []workload.Cell, request func(load.Job) []byte) workload.Workload {
	return workload.Workload{
		Name:    name,
		About:   about,
		Unit:    "requests",
		Section: workload.Programs,
		Cells:   cells,
		Custom: func(size, conns, window, _ int) workload.Cell {
			return proxyCell(name, or(size, smallest), or(conns, 16), or(window, 1))
		},
		Rated:       true,
		Contestants: slices.Concat(proxyServer.contestants(), []contestant.Contestant{contestant.Fib("fib-proxy", "fib 1.7.0, sending on what comes in", "proxy")}),
		Baseline:    "proxy-net",
		Upstream:    serveUpstream,
		Drive: workload.Requests{
			Request: request,
			Probe: func(conn net.Conn, _ load.Job, request []byte) (int, error) {
				return workload.Expect(conn, request, upstreamAnswer(int(binary.LittleEndian.Uint64(request[8:]))))
			},
		}.Drive,
	}
}

func proxyCell(name string, size, conns, window int) workload.Cell {
	return workload.Cell{Workload: name, Size: size, Conns: conns, Window: window}
}

// A request to the upstream begins with its own length and that of the answer.
const (
	upstreamHeader = 16
	smallest       = 64
)

func upstreamRequest(length, answer int) []byte {
	p := make([]byte, length)
	binary.LittleEndian.PutUint64(p, uint64(length))
	binary.LittleEndian.PutUint64(p[8:], uint64(answer))
	return p
}

func upstreamAnswer(length int) []byte { return bytes.Repeat([]byte{'u'}, length) }

// serveUpstream answers requests.
func serveUpstream(o contestant.Options) error {
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return serveEach(ln, func(c net.Conn) error {
		header := make([]byte, upstreamHeader)
		var rest, answer []byte
		for {
			if _, err := io.ReadFull(c, header); err != nil {
				return err
			}
			length, wanted := binary.LittleEndian.Uint64(header), binary.LittleEndian.Uint64(header[8:])
			if uint64(len(answer)) != wanted || uint64(len(rest)) != length-upstreamHeader {
				answer, rest = upstreamAnswer(int(wanted)), make([]byte, length-upstreamHeader)
			}
			if _, err := io.ReadFull(c, rest); err != nil {
				return err
			}
			if _, err := c.Write(answer); err != nil {
				return err
			}
		}
	})
}

var proxyServer = server{
	name:  "proxy",
	about: "a proxy (io.Copy, or Forward in coroutines)",
	listen: func(ln net.Listener, o contestant.Options) error {
		return serveEach(ln, func(client net.Conn) error {
			up, err := net.Dial("tcp", o.Upstream)
			if err != nil {
				return err
			}
			defer up.Close()
			done := make(chan struct{})
			go func() {
				io.Copy(up, client)
				up.(*net.TCPConn).CloseWrite()
				close(done)
			}()
			io.Copy(client, up)
			client.(*net.TCPConn).CloseWrite()
			<-done
			return nil
		})
	},
	onLoop: func(rt *proactor.Runtime, o contestant.Options) (connHandler, error) {
		return func(ctx context.Context, client *proactor.Conn) error {
			up, err := rt.Dial(ctx, "tcp", o.Upstream).Await(ctx)
			if err != nil {
				return err
			}
			defer up.Close()
			_, err = futures.All(client.Forward(up), up.Forward(client)).Await(ctx)
			return err
		}, nil
	},
}
