package proactor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceLocal(t *testing.T) { conform(t, local) }

// socketPair is a connection of ours, and its peer in the hands of net.
func socketPair(t *testing.T, rt *proactor.Runtime, network string) (*proactor.Conn, *net.UnixConn) {
	t.Helper()
	kind := unix.SOCK_STREAM
	if network == "unixpacket" {
		kind = unix.SOCK_SEQPACKET
	}
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	ours, theirs := os.NewFile(uintptr(p[0]), "ours"), os.NewFile(uintptr(p[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	c, err := rt.FileConn(ours)
	require.NoError(t, err)
	peer, err := net.FileConn(theirs)
	require.NoError(t, err)
	t.Cleanup(func() { peer.Close() })
	return c, peer.(*net.UnixConn)
}

// bothWays shows something from a goroutine and from a task of the loop.
func bothWays(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, show func(ctx context.Context)) {
	t.Helper()
	show(t.Context())
	inTask(t, rt, c, show)
}

func fileNamed(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "passed"))
	require.NoError(t, err)
	_, err = f.WriteString(content)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func contentOf(t *testing.T, f *os.File) string {
	t.Helper()
	p := make([]byte, 100)
	n, err := f.ReadAt(p, 0)
	require.True(t, err == nil || err == io.EOF, "%v", err)
	return string(p[:n])
}

// receivers are the ways to receive a message of at most size bytes.
func receivers(c *proactor.Conn, size int) map[string]func(context.Context) (int, error) {
	p := make([]byte, size)
	return map[string]func(context.Context) (int, error){
		"Recv": func(ctx context.Context) (int, error) {
			b, err := c.Recv().Await(ctx)
			n := b.Len()
			b.Release()
			return n, err
		},
		"RecvInto": func(ctx context.Context) (int, error) { return c.RecvInto(p).Await(ctx) },
		"RecvFiles": func(ctx context.Context) (int, error) {
			r, err := c.RecvFiles(p, 1).Await(ctx)
			return r.N, err
		},
	}
}

// passed sends a descriptor so many times in one message, and receives most of them.
func passed(t *testing.T, one, other *proactor.Conn, f *os.File, sent, most int) {
	t.Helper()
	_, err := one.SendFiles([]byte("x"), slices.Repeat([]*os.File{f}, sent)...).Await(t.Context())
	require.NoError(t, err)
	r, err := other.RecvFiles(make([]byte, 1), most).Await(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Files, min(sent, most))
	require.Equal(t, sent > most, r.Cut, "%d sent, %d asked for", sent, most)
	for _, f := range r.Files {
		require.NoError(t, f.Close())
	}
}

var local = []behaviour{
	{name: "seqpacket keeps the boundaries of messages", show: func(t *testing.T, rt *proactor.Runtime) {
		name := abstractName(t.Name())
		ln, err := rt.Listen("unixpacket", name)
		require.NoError(t, err)
		defer ln.Close()
		require.Equal(t, "unixpacket", ln.Addr().Network())
		peer, err := net.Dial("unixpacket", name)
		require.NoError(t, err)
		defer peer.Close()
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, name, c.LocalAddr().String())
		bothWays(t, rt, c, func(ctx context.Context) {
			const n = 50
			for i := range n { // all there before the first receive
				wrote(t, peer, fmt.Sprintf("message %d", i))
			}
			p := make([]byte, 100)
			for i := range n {
				if i%3 == 0 {
					got, err := c.RecvInto(p).Await(ctx)
					require.NoError(t, err)
					require.Equal(t, fmt.Sprintf("message %d", i), string(p[:got]))
					continue
				}
				require.Equal(t, fmt.Sprintf("message %d", i), received(t, ctx, c))
			}
			for i := range n { // queued together
				c.SendBytes(fmt.Appendf(nil, "answer %d", i))
			}
			got, err := c.SendVector([]byte("one "), nil, []byte("message")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 11, got)
			for i := range n {
				got, err := peer.Read(p)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("answer %d", i), string(p[:got]))
			}
			got, err = peer.Read(p)
			require.NoError(t, err)
			require.Equal(t, "one message", string(p[:got]))
		})
		require.NoError(t, peer.Close())
		_, err = c.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err)
		closedDown(t, c)
	}},
	{name: "messages of any size, empty ones too, leave the next to be received", opts: []proactor.Option{proactor.WithBuffers(256, 16)}, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := socketPair(t, rt, "unixpacket")
		sizes := []int{3, 0, 0, 255, 256, 257, 0, 5000, 1, 0, 2}
		p := make([]byte, 8000)
		bothWays(t, rt, c, func(ctx context.Context) {
			for name, receive := range receivers(c, 256) {
				for _, size := range sizes {
					wrote(t, peer, string(make([]byte, size)))
				}
				for i, size := range sizes {
					n, err := receive(ctx)
					if err == nil || name == "RecvInto" {
						require.Equal(t, min(size, 256), n, "%s, message %d", name, i)
					}
					if size > 256 {
						require.ErrorIs(t, err, syscall.EMSGSIZE, "%s, message %d", name, i)
					} else {
						require.NoError(t, err, "%s, message %d", name, i)
					}
				}
			}
			for _, size := range sizes {
				n, err := c.SendBytes(make([]byte, size)).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, size, n)
				n, err = peer.Read(p)
				require.Equal(t, size, n)
				require.Equal(t, size == 0, err == io.EOF, "which is what package net says of an empty message")
			}
			wrote(t, peer, "")
			results, err := rt.Chain(c.RecvStep(p), c.SendStep(make([]byte, 16<<20))).Await(ctx)
			require.ErrorIs(t, err, syscall.EMSGSIZE)
			require.Equal(t, count(0), results[0])
			_, err = c.SendBytes(make([]byte, 16<<20)).Await(ctx)
			require.ErrorIs(t, err, syscall.EMSGSIZE)
			_, err = c.Send(proactor.Buffer{}).Await(ctx)
			require.NoError(t, err)
			_, err = c.SendBytes([]byte("next")).Await(ctx)
			require.NoError(t, err)
			n, _ := peer.Read(p)
			require.Zero(t, n)
			n, err = peer.Read(p)
			require.NoError(t, err)
			require.Equal(t, "next", string(p[:n]))
		})
		wrote(t, peer, "")
		wrote(t, peer, "last")
		require.NoError(t, peer.Close())
		b, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		require.Zero(t, b.Len())
		b.Release()
		require.Equal(t, "last", received(t, t.Context(), c))
		_, err = c.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err)
		closedDown(t, c)
	}},
	{name: "a handler takes messages of any size", opts: []proactor.Option{proactor.WithBuffers(256, 16)}, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := socketPair(t, rt, "unixpacket")
		var seen []string
		ended := make(chan error, 1)
		c.OnRecv(func(b proactor.Buffer, err error) {
			switch {
			case errors.Is(err, syscall.EMSGSIZE):
				seen = append(seen, "too large")
			case err != nil:
				ended <- err
			default:
				seen = append(seen, string(b.Bytes()))
				b.Release()
			}
		})
		for _, s := range []string{"one", "", strings.Repeat("x", 300), "", "two"} {
			wrote(t, peer, s)
		}
		require.NoError(t, peer.Close())
		require.Equal(t, io.EOF, <-ended)
		require.Equal(t, []string{"one", "", "too large", "", "two"}, seen)
		closedDown(t, c)
	}},
	{name: "a message cut short is an error", opts: []proactor.Option{proactor.WithBuffers(256, 16)}, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := socketPair(t, rt, "unixpacket")
		bothWays(t, rt, c, func(ctx context.Context) {
			p := make([]byte, 4)
			for taken := range 2 {
				if taken == 1 { // by a receive into a buffer that nobody waits for any more
					f := c.Recv()
					_, err := rt.Sleep(0).Await(ctx)
					require.NoError(t, err)
					f.Cancel()
					_, err = f.Await(ctx)
					require.ErrorIs(t, err, futures.ErrCanceled)
				}
				wrote(t, peer, "too long")
				wrote(t, peer, "next")
				n, err := c.RecvInto(p).Await(ctx)
				require.ErrorIs(t, err, syscall.EMSGSIZE)
				require.Equal(t, "too ", string(p[:n]))
				n, err = c.RecvInto(p).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "next", string(p[:n]))
			}
		})
		big := strings.Repeat("b", 1000)
		wrote(t, peer, big)
		p := make([]byte, 2000)
		n, err := c.RecvInto(p).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, big, string(p[:n]))
		wrote(t, peer, big)
		_, err = c.Recv().Await(t.Context())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
	}},
	{name: "a net.Conn cuts a message as package net does", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := socketPair(t, rt, "unixpacket")
		bothWays(t, rt, c, func(ctx context.Context) {
			ours := c.NetConn(ctx)
			p := make([]byte, 4)
			for _, end := range []struct{ from, to net.Conn }{{peer, ours}, {ours, peer}} {
				wrote(t, end.from, "too long")
				wrote(t, end.from, "next")
				for _, want := range []string{"too ", "next"} {
					n, err := end.to.Read(p)
					require.NoError(t, err)
					require.Equal(t, want, string(p[:n]))
				}
			}
		})
	}},
	{name: "SocketPair", without: faultqueue.ShortReads | faultqueue.ShortWrites, show: func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"unix", "unixpacket"} {
			one, other, err := rt.SocketPair(network)
			require.NoError(t, err)
			bothWays(t, rt, one, func(ctx context.Context) {
				for range 10 {
					_, err := one.SendBytes([]byte("ping")).Await(ctx)
					require.NoError(t, err)
					require.Equal(t, "ping", received(t, ctx, other))
					_, err = other.SendBytes([]byte("pong")).Await(ctx)
					require.NoError(t, err)
					require.Equal(t, "pong", received(t, ctx, one))
				}
			})
			closedDown(t, one)
			_, err = other.Recv().Await(t.Context())
			require.Equal(t, io.EOF, err)
			closedDown(t, other)
		}
		_, _, err := rt.SocketPair("tcp")
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
	}},
	{name: "descriptors travel", without: faultqueue.ShortReads | faultqueue.ShortWrites, show: func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"unix", "unixpacket"} {
			one, other, err := rt.SocketPair(network)
			require.NoError(t, err)
			bothWays(t, rt, one, func(ctx context.Context) {
				f, g := fileNamed(t, "first"), fileNamed(t, "second")
				before, sent, after := one.SendBytes([]byte("before")), one.SendFiles([]byte("with"), f, g), one.SendBytes([]byte("after"))
				require.NoError(t, f.Close())
				require.NoError(t, g.Close())
				p := make([]byte, 100)
				var text string
				var files []*os.File
				for len(text) < len("beforewithafter") {
					r, err := other.RecvFiles(p, 2).Await(ctx)
					require.NoError(t, err)
					require.False(t, r.Cut)
					if len(r.Files) > 0 {
						require.True(t, strings.HasSuffix(string(p[:r.N]), "with"), "%q", p[:r.N])
					}
					text += string(p[:r.N])
					files = append(files, r.Files...)
				}
				require.Equal(t, "beforewithafter", text)
				require.Len(t, files, 2)
				require.Equal(t, "first", contentOf(t, files[0]))
				require.Equal(t, "second", contentOf(t, files[1]))
				for _, f := range files {
					flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
					require.NoError(t, err)
					require.NotZero(t, flags&unix.FD_CLOEXEC)
					f.Close()
				}
				_, err := after.Await(ctx)
				require.NoError(t, err)
				_, _ = before, sent
			})
			closedDown(t, one)
			_, err = other.RecvFiles(make([]byte, 1), 1).Await(t.Context())
			require.Equal(t, io.EOF, err)
			closedDown(t, other)
		}
	}},
	{name: "descriptors nobody takes are closed", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		f := fileNamed(t, "unwanted")
		send := func() {
			_, err := one.SendFiles([]byte("x"), f, f, f).Await(t.Context())
			require.NoError(t, err)
		}
		there := openDescriptors(t)
		send()
		require.Equal(t, "x", received(t, t.Context(), other), "Recv takes the data only")
		require.LessOrEqual(t, openDescriptors(t), there)
		send()
		r, err := other.RecvFiles(make([]byte, 1), 1).Await(t.Context())
		require.NoError(t, err)
		require.True(t, r.Cut)
		for _, f := range r.Files {
			f.Close()
		}
		require.LessOrEqual(t, openDescriptors(t), there)
		for range 200 { // cancels that race with the files
			f := other.RecvFiles(make([]byte, 1), 3)
			go f.Cancel()
			send()
			r, err := f.Await(t.Context())
			if err != nil {
				require.ErrorIs(t, err, futures.ErrCanceled)
				r, err = other.RecvFiles(make([]byte, 1), 3).Await(t.Context())
				require.NoError(t, err)
			}
			require.Len(t, r.Files, 3)
			for _, f := range r.Files {
				f.Close()
			}
		}
		require.LessOrEqual(t, openDescriptors(t), there)
		send() // on its way when both ends close
		closedDown(t, one)
		closedDown(t, other)
	}},
	{name: "a descriptor of the sender's process is closed", show: func(t *testing.T, rt *proactor.Runtime) {
		there := openDescriptors(t)
		one, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		requirePidfd(t, passProcesses(other))
		f := fileNamed(t, "x")
		before := openDescriptors(t)
		for sent := range 4 {
			passed(t, one, other, f, sent, 10)
			require.LessOrEqual(t, openDescriptors(t), before)
		}
		closedDown(t, one)
		closedDown(t, other)
		require.NoError(t, f.Close())
		require.LessOrEqual(t, openDescriptors(t), there)
	}},
	{name: "descriptors come though the program has asked for credentials, too", show: func(t *testing.T, rt *proactor.Runtime) {
		there := openDescriptors(t)
		one, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		passCredentials(t, other)
		passProcesses(other) // Linux 6.5; the credentials come on any
		f := fileNamed(t, "x")
		before := openDescriptors(t)
		for most := range 5 {
			for sent := range most + 20 {
				passed(t, one, other, f, sent, most)
				require.LessOrEqual(t, openDescriptors(t), before)
			}
		}
		closedDown(t, one)
		closedDown(t, other)
		require.NoError(t, f.Close())
		require.LessOrEqual(t, openDescriptors(t), there)
	}},
	{name: "no more descriptors come than were asked for", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		f := fileNamed(t, "x")
		for most := range 6 {
			for _, sent := range []int{most, most + 1, most + 2} {
				passed(t, one, other, f, sent, most)
			}
		}
	}},
	{name: "SendFiles and RecvFiles refuse nonsense", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		f := fileNamed(t, "x")
		ctx := t.Context()
		_, err = one.SendFiles(nil, f).Await(ctx)
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = one.SendFiles([]byte("x"), make([]*os.File, 300)...).Await(ctx)
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = other.RecvFiles(nil, 1).Await(ctx)
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = other.RecvFiles(make([]byte, 1), -1).Await(ctx)
		require.ErrorIs(t, err, syscall.EINVAL)
		require.NoError(t, f.Close())
		_, err = one.SendFiles([]byte("x"), f).Await(ctx)
		require.ErrorIs(t, err, os.ErrClosed)
		c, _ := accepted(t, rt)
		_, err = c.SendFiles([]byte("x"), os.Stdin).Await(ctx)
		require.ErrorIs(t, err, syscall.ENOTSUP)
		closedDown(t, one)
		_, err = one.SendFiles([]byte("x"), os.Stdin).Await(ctx)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = one.RecvFiles(make([]byte, 1), 1).Await(ctx)
		require.ErrorIs(t, err, net.ErrClosed)
	}},
	{name: "peer credentials", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := socketPair(t, rt, "unix")
		cred, err := c.PeerCredentials()
		require.NoError(t, err)
		require.Equal(t, proactor.Credentials{PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid()}, cred)
		closedDown(t, c)
		_, err = c.PeerCredentials()
		require.ErrorIs(t, err, net.ErrClosed)
		c, _ = accepted(t, rt)
		_, err = c.PeerCredentials()
		require.ErrorIs(t, err, syscall.ENOTSUP)
	}},
	{name: "pipes", show: func(t *testing.T, rt *proactor.Runtime) {
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		require.Equal(t, "pipe", r.LocalAddr().Network())
		bothWays(t, rt, r, func(ctx context.Context) {
			for i := range 20 {
				f := r.Recv()
				_, err := w.SendBytes(fmt.Appendf(nil, "%d", i)).Await(ctx)
				require.NoError(t, err)
				b, err := f.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(i), string(b.Bytes()))
				b.Release()
			}
			p := make([]byte, 8)
			f := r.RecvInto(p)
			_, err := w.SendVector([]byte("in"), []byte("to")).Await(ctx)
			require.NoError(t, err)
			n, err := f.Await(ctx)
			require.NoError(t, err)
			got := string(p[:n])
			if n < 4 {
				n, err = r.RecvInto(p).Await(ctx)
				require.NoError(t, err)
				got += string(p[:n])
			}
			require.Equal(t, "into", got)
			f = r.RecvInto(p)
			f.Cancel()
			_, err = f.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
		})
		big := bytes.Repeat([]byte("0123456789"), 100_000) // many times what a pipe holds
		sent := w.SendBytes(big)
		require.Equal(t, string(big), receivedAll(t, t.Context(), r, len(big)))
		n, err := sent.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(big), n)
		closedDown(t, w)
		_, err = r.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err)
		closedDown(t, r)

		r, w, err = rt.Pipe()
		require.NoError(t, err)
		_, err = r.SendBytes([]byte("wrong end")).Await(t.Context())
		require.ErrorIs(t, err, syscall.EBADF)
		closedDown(t, r)
		_, err = w.SendBytes([]byte("x")).Await(t.Context())
		require.ErrorIs(t, err, syscall.EPIPE)
		closedDown(t, w)
	}},
	{name: "a pipe's send and receive end with their deadlines and with Close", show: func(t *testing.T, rt *proactor.Runtime) {
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		require.NoError(t, r.SetReadDeadline(soon()))
		_, err = r.Recv().Await(t.Context())
		timedOut(t, err)
		require.NoError(t, w.SetWriteDeadline(soon()))
		n, err := w.SendBytes(make([]byte, 1<<20)).Await(t.Context())
		timedOut(t, err)
		require.Less(t, n, 1<<20)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		receivedAll(t, t.Context(), r, n)
		f := r.Recv()
		require.NoError(t, r.Close())
		_, err = f.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
	}},
	{name: "Shutdown ends those who read from a pipe", show: func(t *testing.T, rt *proactor.Runtime) {
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		f := r.Recv()
		f.Then(func(proactor.Buffer, error) { r.Close(); w.Close() })
		_, err = f.Await(shutDown(t, rt))
		require.Equal(t, io.EOF, err)
	}},
	{name: "FileConn refuses what is no stream", show: func(t *testing.T, rt *proactor.Runtime) {
		f := fileNamed(t, "regular")
		_, err := rt.FileConn(f)
		require.ErrorIs(t, err, syscall.ENOTSUP)
		require.ErrorAs(t, err, new(*net.OpError))
		dir, err := os.Open(t.TempDir())
		require.NoError(t, err)
		defer dir.Close()
		_, err = rt.FileConn(dir)
		require.ErrorIs(t, err, syscall.ENOTSUP)
		require.NoError(t, f.Close())
		_, err = rt.FileConn(f)
		require.ErrorIs(t, err, os.ErrClosed)
		for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
			fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			if kind == unix.SOCK_STREAM {
				require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{}))
				require.NoError(t, unix.Listen(fd, 1))
			}
			s := os.NewFile(uintptr(fd), "socket")
			_, err = rt.FileConn(s)
			require.ErrorIs(t, err, syscall.ENOTSUP)
			require.NoError(t, s.Close())
		}
		require.NoError(t, rt.Close())
		p, q, err := os.Pipe()
		require.NoError(t, err)
		defer p.Close()
		defer q.Close()
		_, err = rt.FileConn(p)
		require.Error(t, err)
		_, _, err = rt.Pipe()
		require.Error(t, err)
	}},
	{name: "a descriptor made non-blocking behind our back", without: faultqueue.ShortReads | faultqueue.ShortWrites, show: func(t *testing.T, rt *proactor.Runtime) {
		p, q, err := os.Pipe()
		require.NoError(t, err)
		defer p.Close()
		defer q.Close()
		c, err := rt.FileConn(p)
		require.NoError(t, err)
		raw, err := p.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) { require.NoError(t, unix.SetNonblock(int(fd), true)) }))
		bothWays(t, rt, c, func(ctx context.Context) {
			for _, into := range []bool{false, true} {
				turns := rt.Stats().Total().Submitted
				f, g := futures.Future[proactor.Buffer]{}, futures.Future[int]{}
				mem := make([]byte, 8)
				if into {
					g = c.RecvInto(mem)
				} else {
					f = c.Recv()
				}
				_, err := rt.Sleep(5 * time.Millisecond).Await(ctx)
				require.NoError(t, err)
				require.Less(t, rt.Stats().Total().Submitted-turns, uint64(200), "it spins")
				_, err = q.WriteString("late")
				require.NoError(t, err)
				if into {
					n, err := g.Await(ctx)
					require.NoError(t, err)
					require.Equal(t, "late", string(mem[:n]))
					continue
				}
				b, err := f.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "late", string(b.Bytes()))
				b.Release()
			}
		})
	}},
	{name: "Poll", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt) // for its loop
		fd := eventfd(t)
		bothWays(t, rt, c, func(ctx context.Context) {
			events, err := rt.Poll(fd, proactor.Writable).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, proactor.Writable, events)
			f := rt.Poll(fd, proactor.Readable)
			signalEvent(t, fd)
			events, err = f.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, proactor.Readable, events&proactor.Readable)
			require.EqualValues(t, 1, eventCount(t, fd))

			f = rt.Poll(fd, proactor.Readable)
			f.Cancel()
			_, err = f.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err = rt.Poll(fd, proactor.Readable).Await(short)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = rt.Poll(1<<20, proactor.Readable).Await(ctx)
			require.ErrorIs(t, err, syscall.EBADF)
			_, err = rt.Poll(-1, proactor.Readable).Await(ctx)
			require.ErrorIs(t, err, syscall.EBADF)
		})
		f := rt.Poll(fd, proactor.Readable)
		stream := rt.PollAll(fd, proactor.Readable)
		require.NoError(t, rt.Close())
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = stream.Next().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = rt.Poll(fd, proactor.Readable).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = rt.PollAll(fd, proactor.Readable).Next().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "PollAll", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		fd := eventfd(t)
		bothWays(t, rt, c, func(ctx context.Context) {
			p := rt.PollAll(fd, proactor.Readable)
			for range 50 {
				signalEvent(t, fd)
				events, err := p.Next().Await(ctx)
				require.NoError(t, err)
				require.Equal(t, proactor.Readable, events&proactor.Readable)
				require.EqualValues(t, 1, eventCount(t, fd))
			}
			_, err := p.Stop().Await(ctx)
			require.NoError(t, err)
			_, err = p.Stop().Await(ctx)
			require.NoError(t, err)
			for _, err := range p.All(ctx) {
				require.NoError(t, err)
			}
		})
		p := rt.PollAll(-1, proactor.Readable)
		_, err := p.Next().Await(t.Context())
		require.ErrorIs(t, err, syscall.EBADF)
		_, err = p.Stop().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "timerfd", show: func(t *testing.T, rt *proactor.Runtime) {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
		require.NoError(t, err)
		f := os.NewFile(uintptr(fd), "timerfd")
		defer f.Close()
		every := unix.NsecToTimespec(int64(time.Millisecond))
		require.NoError(t, unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil))
		_, err = rt.Poll(fd, proactor.Readable).Await(t.Context())
		require.NoError(t, err)
		c, err := rt.FileConn(f)
		require.NoError(t, err)
		for range 3 {
			b, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			require.Positive(t, binary.NativeEndian.Uint64(b.Bytes()))
			b.Release()
		}
		closedDown(t, c)
	}},
	{name: "signalfd", show: func(t *testing.T, rt *proactor.Runtime) {
		// A signal that every thread but the loop's may take never gets to the
		// descriptor: so it is blocked on, and sent to, the loop's own thread, whose
		// pending signals are what a poll or read there sees.
		l := rt.Loops()[0]
		onLoop := func(fn func()) { doOnLoop(t, l, fn) }
		var set, old unix.Sigset_t
		set.Val[0] = 1 << (unix.SIGUSR2 - 1)
		var f *os.File
		raise := func() { require.NoError(t, unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGUSR2)) }
		var waits futures.Future[proactor.Events]
		var c *proactor.Conn
		onLoop(func() {
			require.NoError(t, unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old))
			fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC)
			require.NoError(t, err)
			f = os.NewFile(uintptr(fd), "signalfd")
			waits = l.Poll(fd, proactor.Readable)
		})
		onLoop(raise)
		events, err := waits.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, proactor.Readable, events&proactor.Readable)
		onLoop(func() {
			var err error
			c, err = rt.FileConn(f)
			require.NoError(t, err)
		})
		for range 3 {
			b, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, 128, b.Len(), "struct signalfd_siginfo")
			require.EqualValues(t, unix.SIGUSR2, binary.NativeEndian.Uint32(b.Bytes()))
			b.Release()
			onLoop(raise)
		}
		b, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		b.Release()
		closedDown(t, c)
		onLoop(func() { require.NoError(t, unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)) })
		require.NoError(t, f.Close())
	}},
	{name: "inotify", show: func(t *testing.T, rt *proactor.Runtime) {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		require.NoError(t, err)
		f := os.NewFile(uintptr(fd), "inotify")
		defer f.Close()
		dir := t.TempDir()
		_, err = unix.InotifyAddWatch(fd, dir, unix.IN_CREATE)
		require.NoError(t, err)
		waits := rt.Poll(fd, proactor.Readable)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
		events, err := waits.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, proactor.Readable, events&proactor.Readable)
		c, err := rt.FileConn(f)
		require.NoError(t, err)
		b, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		require.Contains(t, string(b.Bytes()), "new\x00")
		b.Release()
		closedDown(t, c)
	}},
	{name: "abstract names", show: func(t *testing.T, rt *proactor.Runtime) {
		name := abstractName("abstract-" + t.Name())
		ln, err := rt.Listen("unix", name)
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- ln.Serve(context.Background(), echo) }()
		_, err = rt.Listen("unix", name)
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				c, err := net.Dial("unix", name)
				if err == nil {
					err = errors.Join(roundTrip(c, 100_000, 'a'), c.Close())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.NoError(t, ln.Close())
		require.ErrorIs(t, <-served, proactor.ErrClosed)
		_, err = net.Dial("unix", name)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}},
}

func eventfd(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func signalEvent(t *testing.T, fd int) {
	t.Helper()
	_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1))
	require.NoError(t, err)
}

func eventCount(t *testing.T, fd int) uint64 {
	t.Helper()
	p := make([]byte, 8)
	_, err := unix.Read(fd, p)
	require.NoError(t, err)
	return binary.NativeEndian.Uint64(p)
}

// requirePidfd skips the test where the kernel adds no descriptors of processes.
func requirePidfd(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, syscall.ENOPROTOOPT) {
		t.Skip("SO_PASSPIDFD needs Linux 6.5")
	}
	require.NoError(t, err)
}
