package proactor_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestConformanceCloseAnywhere closes each thing twice on goroutines, in tasks and
// in callbacks, of its own loop and of another, all at once. Nothing may hang or
// panic, and all of it ends.
func TestConformanceCloseAnywhere(t *testing.T) { conform(t, closedAnywhere) }

var closedAnywhere = []behaviour{
	{name: "Listener", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		waiting := ln.Accept()
		closeAnywhere(t, rt, func(context.Context) { ln.Close() })
		_, err = waiting.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "Conn", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		waiting := c.Recv()
		closeAnywhere(t, rt, func(context.Context) { c.Close() })
		_, err := waiting.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "NetConn", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		sending := c.SendBytes(make([]byte, stuffed)) // drains while others close
		closeAnywhere(t, rt, func(ctx context.Context) { c.NetConn(ctx).Close() })
		c.Abort()
		_, err := sending.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "PacketConn", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp4", "127.0.0.1:0")
		waiting := c.Recv()
		closeAnywhere(t, rt, func(context.Context) { c.Close() })
		_, err := waiting.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "NetPacketConn", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp4", "127.0.0.1:0")
		closeAnywhere(t, rt, func(ctx context.Context) { c.NetPacketConn(ctx).Close() })
		_, err := c.Closed().Await(t.Context())
		require.NoError(t, err)
		again := packetConn(t, rt, "udp4", c.LocalAddr().String())
		require.NoError(t, again.NetPacketConn(t.Context()).Close())
		packetConn(t, rt, "udp4", c.LocalAddr().String()) // free as soon as Close has returned
	}},
	{name: "File", show: func(t *testing.T, rt *proactor.Runtime) {
		f, err := rt.Create(filepath.Join(t.TempDir(), "f")).Await(t.Context())
		require.NoError(t, err)
		closeAnywhere(t, rt, func(ctx context.Context) { f.Close() })
		_, err = f.Close().Await(t.Context())
		require.ErrorIs(t, err, os.ErrClosed)
	}},
	{name: "Runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		accepted(t, rt)
		closeAnywhere(t, rt, func(ctx context.Context) { rt.Close() })
		require.NoError(t, rt.Close())
	}},
	{name: "Runtime with Shutdown", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		c.OnRecv(func(b proactor.Buffer, err error) {
			if err != nil {
				c.Close()
			}
			b.Release()
		})
		closeAnywhere(t, rt, func(ctx context.Context) { rt.Shutdown(context.Background()) })
		require.NoError(t, rt.Close())
	}},
}

// closeAnywhere calls end twice each everywhere.
func closeAnywhere(t *testing.T, rt *proactor.Runtime, end func(ctx context.Context)) {
	t.Helper()
	twice := func(ctx context.Context) { end(ctx); end(ctx) }
	var all sync.WaitGroup
	for _, l := range rt.Loops() {
		all.Go(func() { twice(t.Context()) })
		all.Add(2)
		if !l.Do(func() { defer all.Done(); twice(t.Context()) }) {
			all.Done()
		}
		l.Go(t.Context(), func(ctx context.Context) error { twice(ctx); return nil }).
			Then(func(struct{}, error) { all.Done() })
	}
	bounded(t, "Close", all.Wait)
}
