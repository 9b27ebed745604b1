package program

import (
	"context"
	"net"

	"github.com/tidwall/redcon"

	"github.com/goproactor/goproactor/bench/load"
)

const (
	redisGet    = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
	redisValue  = "0123456789abcdef"
	redisAnswer = "$16\r\n" + redisValue + "\r\n"
)

var _ = register(Program{
	Name:    "redcon",
	About:   "GET of the Redis protocol, 64 connections",
	Unit:    "request",
	Listen:  serveRedis,
	Handler: handleRedis,
	Load:    load.Job{Conns: 64, Window: 1},
	drive:   driveRequests([]byte(redisGet), expect(redisAnswer)),
})

var _ = register(Program{
	Name:    "redcon-pipelined",
	About:   "the same, 16 requests on the way on each connection",
	Unit:    "request",
	Listen:  serveRedis,
	Handler: handleRedis,
	Load:    load.Job{Conns: 64, Window: 16},
	drive:   driveRequests([]byte(redisGet), expect(redisAnswer)),
})

func serveRedis(ln net.Listener, _ Options) error {
	return redcon.Serve(ln,
		func(c redcon.Conn, cmd redcon.Command) { c.WriteBulkString(redisValue) },
		func(redcon.Conn) bool { return true },
		func(redcon.Conn, error) {})
}

// handleRedis is the loop of redcon's server, which it does not export.
func handleRedis(Options) (Handler, error) {
	return func(_ context.Context, c net.Conn) error {
		in, out := redcon.NewReader(c), redcon.NewWriter(c)
		for {
			commands, err := in.ReadCommands()
			if err != nil {
				return err
			}
			for range commands {
				out.WriteBulkString(redisValue)
			}
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}, nil
}
