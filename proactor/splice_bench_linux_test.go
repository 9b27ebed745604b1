package proactor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkFileToSocket sends 16 MiB of the page cache over loopback TCP, to a peer
// of this process: by SendFile, by splices with pipes of several sizes, and by the
// sendfile(2) of package net. The processor time is that of both ends and of the
// kernel's workers.
func BenchmarkFileToSocket(b *testing.B) {
	const size = 16 << 20
	f, err := os.CreateTemp(b.TempDir(), "file")
	require.NoError(b, err)
	defer f.Close()
	_, err = f.Write(make([]byte, size))
	require.NoError(b, err)
	measure := func(name string, send func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			start := cpuTime()
			for b.Loop() {
				require.NoError(b, send())
			}
			spent := cpuTime() - start
			b.ReportMetric(float64(size)*float64(b.N)/1e6/spent.Seconds(), "MB/cpu-s")
		})
	}
	for _, backend := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
		if err != nil {
			b.Log(err)
			continue
		}
		ln := must(rt.Listen("tcp", "127.0.0.1:0"))
		drain(b, ln.Addr())
		c := must(ln.Accept().Await(b.Context()))
		measure(fmt.Sprint(backend, "/SendFile"), func() error {
			_, err := c.SendFile(f, 0, size).Await(context.Background())
			return err
		})
		for _, piece := range []int{64 << 10, 256 << 10, 1 << 20} {
			s := newFileSplicer(b, rt, int(f.Fd()), piece)
			measure(fmt.Sprintf("%v/splice %dK", backend, piece>>10), func() error { return s.send(size) })
		}
		require.NoError(b, rt.Close())
	}
	c := connected(b)
	measure("net", func() error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := c.ReadFrom(f)
		return err
	})
}

// drain reads all that comes from an address.
func drain(b *testing.B, addr net.Addr) {
	peer := must(net.Dial("tcp", addr.String()))
	b.Cleanup(func() { peer.Close() })
	go func() {
		for p := make([]byte, 1<<20); ; {
			if _, err := peer.Read(p); err != nil {
				return
			}
		}
	}()
}

// connected is a connection of package net whose peer reads all the time.
func connected(b *testing.B) *net.TCPConn {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	drain(b, ln.Addr())
	c := must(ln.Accept())
	b.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// fileSplicer sends a file by splices, one piece being read while another is sent.
type fileSplicer struct {
	loop         *proactor.Loop
	file, socket int
	r, w         int
	piece        int
}

func newFileSplicer(b *testing.B, rt *proactor.Runtime, file, piece int) *fileSplicer {
	s := &fileSplicer{loop: rt.Loops()[0], file: file, piece: piece}
	s.r, s.w = emptyPipe(b)
	_, err := unix.FcntlInt(uintptr(s.w), unix.F_SETPIPE_SZ, piece)
	require.NoError(b, err)
	socket := must(connected(b).File())
	b.Cleanup(func() { socket.Close() })
	s.socket = int(socket.Fd())
	return s
}

func (s *fileSplicer) send(size int) error {
	read := s.loop.Go(context.Background(), func(ctx context.Context) error {
		for off := 0; off < size; {
			n, err := s.loop.Splice(proactor.AtCursor(s.w), proactor.AtOffset(s.file, int64(off)), min(s.piece, size-off)).Await(ctx)
			if err != nil {
				return err
			}
			off += n
		}
		return nil
	})
	sent := s.loop.Go(context.Background(), func(ctx context.Context) error {
		for left := size; left > 0; {
			n, err := s.loop.Splice(proactor.AtCursor(s.socket), proactor.AtCursor(s.r), min(s.piece, left)).Await(ctx)
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	})
	_, err := futures.All(read, sent).Await(context.Background())
	return err
}
