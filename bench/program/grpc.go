package program

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:        "grpc",
	About:       "unary calls of gRPC; 16 deep, 16 are on the way on each connection",
	Unit:        "requests",
	Section:     workload.Programs,
	Cells:       []workload.Cell{grpcCell(0, 4, 16, 0), grpcCell(0, 1, 1, 0)},
	Custom:      grpcCell,
	Contestants: grpcServer.contestants(),
	Baseline:    "grpc-net",
	Drive:       driveGRPC,
})

// An answer of the health check is two bytes before it is framed.
func grpcCell(_, conns, window, _ int) workload.Cell {
	return workload.Cell{Workload: "grpc", Size: 2, Conns: or(conns, 4), Window: or(window, 1)}
}

// grpcServer serves the health check, a unary call that comes with the library. It cannot
// run in a coroutine: it waits on channels and locks.
var grpcServer = server{
	name:     "grpc",
	about:    "grpc-go",
	detached: true,
	listen: func(ln net.Listener, _ contestant.Options) error {
		s := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(s, health.NewServer())
		return s.Serve(ln)
	},
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
	return driveWorkers(job, func(ctx context.Context, worker int, done *tally) error {
		client := clients[worker%len(clients)]
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
				return err
			}
			done.took(began)
		}
		return nil
	})
}
