package program

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = register(Program{
	Name:      "net/http-file",
	About:     "http.ServeFile of 1 GiB from the page cache",
	Unit:      "MiB",
	Bulk:      true,
	NeedsFile: true,
	Listen: func(ln net.Listener, o Options) error {
		return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, o.File)
		}))
	},
	NoCoroutine: "as net/http",
	Load:        load.Job{Conns: 1, Window: 1},
	drive:       driveFile,
})

var _ = register(Program{
	Name:      "fasthttp-file",
	About:     "SendFile of fasthttp, 1 GiB from the page cache",
	Unit:      "MiB",
	Bulk:      true,
	NeedsFile: true,
	Listen:    func(ln net.Listener, o Options) error { return fastFileServer(o).Serve(ln) },
	Handler: func(o Options) (Handler, error) {
		s := fastFileServer(o)
		return func(_ context.Context, c net.Conn) error { return s.ServeConn(c) }, nil
	},
	Load:  load.Job{Conns: 1, Window: 1},
	drive: driveFile,
})

func fastFileServer(o Options) *fasthttp.Server {
	return &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) { c.SendFile(o.File) }}
}

// driveFile fetches the file again and again.
func driveFile(job load.Job) (load.Result, error) {
	return driveWorkers(job, func(ctx context.Context, _ int, count func(float64)) error {
		c, err := net.Dial("tcp", job.Addr)
		if err != nil {
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		in, memory := bufio.NewReaderSize(c, 4<<10), make([]byte, 256<<10)
		for ctx.Err() == nil {
			if _, err := c.Write([]byte(helloRequest)); err != nil {
				return err
			}
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				return err
			}
			if answer.StatusCode != http.StatusOK {
				return errors.New(answer.Status)
			}
			if err := discard(answer.Body, answer.ContentLength, memory, count); err != nil {
				return err
			}
			answer.Body.Close()
		}
		return nil
	})
}
