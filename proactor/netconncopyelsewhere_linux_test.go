package proactor_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestCopyBetweenLoops(t *testing.T) {
	conform(t, copyingElsewhere)
}

var copyingElsewhere = []behaviour{
	{name: "from a goroutine and from tasks of either loop", opts: []proactor.Option{proactor.WithLoops(2)}, show: func(t *testing.T, rt *proactor.Runtime) {
		loops := rt.Loops()
		content := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
		for _, loop := range []*proactor.Loop{nil, loops[0], loops[1]} {
			for _, ends := range [][2]int{{0, 0}, {0, 1}, {1, 0}} {
				from, source := acceptedOn(t, rt, ends[0])
				to, sink := acceptedOn(t, rt, ends[1])
				go func() {
					source.Write(content)
					source.CloseWrite()
				}()
				came := make(chan []byte, 1)
				go func() {
					b, _ := io.ReadAll(sink)
					came <- b
				}()
				var moved int64
				copied := func(ctx context.Context) (err error) {
					moved, err = io.Copy(to.NetConn(ctx), from.NetConn(ctx))
					return err
				}
				if loop == nil {
					require.NoError(t, copied(t.Context()))
				} else {
					require.NoError(t, errorOf(loop.Go(t.Context(), copied).Await(t.Context())))
				}
				require.EqualValues(t, len(content), moved)
				require.NoError(t, errorOf(to.CloseWrite().Await(t.Context())))
				require.True(t, bytes.Equal(content, <-came))
				from.Abort()
				to.Abort()
			}
		}
	}},
	{name: "after the runtime has ended", show: func(t *testing.T, rt *proactor.Runtime) {
		from, _ := accepted(t, rt)
		to, _ := accepted(t, rt)
		require.NoError(t, rt.Close())
		_, err := io.Copy(to.NetConn(t.Context()), from.NetConn(t.Context()))
		require.ErrorIs(t, err, net.ErrClosed)
	}},
}
