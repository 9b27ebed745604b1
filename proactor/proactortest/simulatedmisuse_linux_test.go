package proactortest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// What a program does wrong fails its test, which says how to run it again.
func TestSimulatedMisuse(t *testing.T) {
	for want, misuse := range map[string]func(context.Context, *proactor.Conn){
		"memory of IORING_OP_SEND was changed before its completion": func(ctx context.Context, c *proactor.Conn) {
			p := make([]byte, 1_500) // more than the network takes at once
			sent := c.SendBytes(p)
			c.Loop().Runtime().Sleep(1).Await(ctx)
			p[1_499] = 1
			sent.Await(ctx)
		},
		"memory of IORING_OP_RECV was written to before its completion": func(ctx context.Context, c *proactor.Conn) {
			p := make([]byte, 30_000)
			received := c.RecvInto(p)
			c.Loop().Runtime().Sleep(1).Await(ctx)
			p[29_999] = 1
			c.SendBytes([]byte("hello")).Await(ctx)
			received.Await(ctx)
		},
		"IORING_OP_OPENAT is not simulated": func(ctx context.Context, c *proactor.Conn) {
			c.Loop().Runtime().Open("file").Await(ctx)
		},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failure, log := attempt(t, func(t testing.TB) {
					s := proactortest.Simulate(t, 1)
					s.SetConditions(proactortest.Conditions{Latency: time.Millisecond, Window: 1_000})
					rt := startSimulated(t, s)
					address := simulatedServer(t, rt, echoEverything)
					rt.Go(context.Background(), func(ctx context.Context) error {
						c, err := dialSimulated(ctx, rt, address)
						if err != nil {
							return err
						}
						defer c.Close()
						misuse(ctx, c)
						return nil
					}).Await(t.Context())
				})
				require.Contains(t, failure, want)
				require.Contains(t, log, "again: go test -run '^TestSimulatedMisuse$/")
			})
		})
	}
}

// Outside of a bubble latencies take real time.
func TestSimulatedInRealTime(t *testing.T) {
	proactortest.CheckProcess(t)
	s := proactortest.Simulate(t, 1)
	s.SetConditions(proactortest.Conditions{Window: 1000})
	rt := startSimulated(t, s)
	address := simulatedServer(t, rt, echoEverything)
	_, err := rt.Go(context.Background(), echoClient(rt, address, numbered(5_000, 1))).Await(t.Context())
	require.NoError(t, err)
}
