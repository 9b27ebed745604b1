package proactortest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// With harmless faults an echo server returns every byte, in order.
func TestHarmlessFaults(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
				proactortest.CheckProcess(t)
				conn := proactortest.Serve(t, echo, proactor.WithBackend(b), proactortest.Faults(seed))
				sent := bytes.Repeat([]byte("0123456789abcdefg"), 10_000)
				go func() {
					conn.Write(sent)
					conn.(*net.TCPConn).CloseWrite()
				}()
				got, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.True(t, bytes.Equal(sent, got))
			})
		}
	})
}

// With errors it returns the first of the bytes, or none, and leaves nothing behind.
func TestErrorFaults(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
				proactortest.CheckProcess(t)
				conn := proactortest.Serve(t, echo, proactor.WithBackend(b), proactortest.Faults(seed, proactortest.AllFaults))
				sent := bytes.Repeat([]byte("0123456789abcdefg"), 10_000)
				go func() {
					conn.Write(sent)
					conn.(*net.TCPConn).CloseWrite()
				}()
				got, _ := io.ReadAll(conn)
				require.True(t, bytes.HasPrefix(sent, got))
			})
		}
	})
}

// The faults of a seed are the same on each runtime.
func TestFaultsOfASeed(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		var all []string
		for range 2 {
			var pieces []string
			rt := proactortest.Start(t, proactor.WithBackend(b), proactortest.Faults(3, proactortest.ShortReads))
			f, err := rt.Create(t.TempDir() + "/file").Await(t.Context())
			require.NoError(t, err)
			_, err = f.WriteAt(make([]byte, 10_000), 0).Await(t.Context())
			require.NoError(t, err)
			for p := make([]byte, 1000); ; {
				n, err := f.Read(p).Await(t.Context())
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				pieces = append(pieces, fmt.Sprint(n))
			}
			_, err = f.Close().Await(context.Background())
			require.NoError(t, err)
			all = append(all, fmt.Sprint(pieces))
		}
		require.Equal(t, all[0], all[1])
		require.NotEqual(t, "[1000 1000 1000 1000 1000 1000 1000 1000 1000 1000]", all[0])
	})
}
