package proactor_test

import (
	"bufio"
	"context"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// BenchmarkLines reads lines that the kernel has already: with a Reader, and with a
// bufio.Reader over the connection as a net.Conn.
func BenchmarkLines(b *testing.B) {
	const each = 4096
	batch := []byte(strings.Repeat(strings.Repeat("x", 62)+"\r\n", each))
	read := map[string]func(ctx context.Context, c *proactor.Conn, n int) error{
		"Reader": func(ctx context.Context, c *proactor.Conn, n int) error {
			r := c.Reader()
			for range n {
				if _, err := r.ReadSlice(ctx, '\n'); err != nil {
					return err
				}
			}
			return nil
		},
		"bufio": func(ctx context.Context, c *proactor.Conn, n int) error {
			r := bufio.NewReaderSize(c.NetConn(ctx), 32<<10)
			for range n {
				if _, err := r.ReadSlice('\n'); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for _, name := range []string{"Reader", "bufio"} {
		benchTask(b, name, int64(len(batch)), func(ctx context.Context, b *testing.B, c *proactor.Conn, peer rawConn) error {
			b.Cleanup(background(func() {
				for range b.N {
					peer.write(b, batch)
				}
			}))
			return read[name](ctx, c, each*b.N)
		})
	}
}

// BenchmarkReplies writes replies and flushes them every few: with a Writer, and with a
// bufio.Writer over the connection as a net.Conn.
func BenchmarkReplies(b *testing.B) {
	const each, few = 4096, 16
	reply := strings.Repeat("x", 62) + "\r\n"
	write := map[string]func(ctx context.Context, c *proactor.Conn, n int) error{
		"Writer": func(ctx context.Context, c *proactor.Conn, n int) error {
			w := c.Writer()
			for i := range n {
				w.WriteString(reply)
				if i%few == few-1 {
					if _, err := w.Flush().Await(ctx); err != nil {
						return err
					}
				}
			}
			return nil
		},
		"bufio": func(ctx context.Context, c *proactor.Conn, n int) error {
			w := bufio.NewWriter(c.NetConn(ctx))
			for i := range n {
				w.WriteString(reply)
				if i%few == few-1 {
					if err := w.Flush(); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	for _, name := range []string{"Writer", "bufio"} {
		benchTask(b, name, int64(each*len(reply)), func(ctx context.Context, b *testing.B, c *proactor.Conn, peer rawConn) error {
			b.Cleanup(background(func() {
				p := make([]byte, 64<<10)
				for left := each * len(reply) * b.N; left > 0; {
					n := min(left, len(p))
					peer.read(b, p[:n])
					left -= n
				}
			}))
			return write[name](ctx, c, each*b.N)
		})
	}
}

// background runs fn on a goroutine, and returns what waits for it.
func background(fn func()) (wait func()) {
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	return func() { <-done }
}

// benchTask measures a task that has a connection, on each backend.
func benchTask(b *testing.B, name string, bytes int64, task func(ctx context.Context, b *testing.B, c *proactor.Conn, peer rawConn) error) {
	for _, backend := range backends {
		b.Run(backend.String()+"/"+name, func(b *testing.B) {
			requireBackend(b, backend)
			rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
			require.NoError(b, err)
			b.Cleanup(func() { rt.Close() })
			ln, err := rt.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			defer ln.Close()
			f := ln.Accept()
			peer := rawDial(b, ln.Addr())
			c, err := f.Await(b.Context())
			require.NoError(b, err)
			b.SetBytes(bytes)
			b.ReportAllocs()
			b.ResetTimer()
			_, err = c.Loop().Go(b.Context(), func(ctx context.Context) error { return task(ctx, b, c, peer) }).Await(context.Background())
			require.NoError(b, err)
		})
	}
}
