package program

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = register(Program{
	Name:   "grpc",
	About:  "unary calls, 4 connections, 16 calls on the way on each",
	Unit:   "request",
	Listen: serveGRPC,

	NoCoroutine: "it waits on channels and locks",

	Load:  load.Job{Conns: 4, Window: 16},
	drive: driveGRPC,
})

var _ = register(Program{
	Name:   "grpc-serial",
	About:  "unary calls, one after the other on one connection",
	Unit:   "request",
	Listen: serveGRPC,

	NoCoroutine: "it waits on channels and locks",

	Load:  load.Job{Conns: 1, Window: 1},
	drive: driveGRPC,
})

// serveGRPC serves the health check, a unary call that comes with the library.
func serveGRPC(ln net.Listener, _ Options) error {
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	return s.Serve(ln)
}

func driveGRPC(job load.Job) (load.Result, error) {
	clients := make([]grpc_health_v1.HealthClient, job.Conns)
	for i := range clients {
		c, err := grpc.NewClient(job.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return load.Result{}, err
		}
		defer c.Close()
		clients[i] = grpc_health_v1.NewHealthClient(c)
	}
	return driveWorkers(job, func(ctx context.Context, worker int, count func(float64)) error {
		client := clients[worker%len(clients)]
		for ctx.Err() == nil {
			if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
				return err
			}
			count(1)
		}
		return nil
	})
}
