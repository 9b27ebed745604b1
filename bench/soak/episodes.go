package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
)

// episode is a kind of thing that clients do.
type episode struct {
	name string
	play func(c *client) error
}

var episodes = []episode{
	{"echo by package net", func(c *client) error {
		return c.echo(oneOf(c.random, "await", "unix", "queue", "callback", "own memory", "reader", "move", "detach"), 256<<10)
	}},
	{"echo whose server cancels", func(c *client) error { return c.echo(oneOf(c.random, "cancels", "deadlines"), 32<<10) }},
	{"echo through a forward", func(c *client) error { return c.echo("forward", 1<<20) }},
	{"echo by TLS", (*client).echoTLS},
	{"echo by the library", (*client).echoByLibrary},
	{"ways to part", (*client).partByLibrary},
	{"echo cut off", (*client).cutOff},
	{"connections one after another", (*client).churn},
	{"ranges of a file", (*client).ranges},
	{"a room", (*client).converse},
	{"one who never reads", (*client).neverRead},
	{"datagrams", (*client).datagrams},
	{"a file of its own", (*client).ownFile},
	{"a journal", (*client).journal},
	{"dials that fail", (*client).failingDials},
	{"timers and tasks", (*client).timers},
}

// upTo is a size: small ones are as frequent as large ones.
func (c *client) upTo(most int64) int64 { return 1 + c.random.Int64N(max(1, most>>c.random.IntN(16))) }

// echo sends a stream and reads it back, to its end.
func (c *client) echo(service string, most int64) error {
	conn, err := c.dial(service)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := c.exchange(conn, c.upTo(most)); err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}
	return nil
}

func (c *client) echoTLS() error {
	conn, err := c.dial("tls")
	if err != nil {
		return err
	}
	defer conn.Close()
	return c.exchange(tls.Client(conn, c.world.soak.clientTLS), c.upTo(256<<10))
}

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// exchange writes total bytes and then the end, and reads the same back meanwhile.
func (c *client) exchange(conn net.Conn, total int64) error {
	seed := c.random.Uint64()
	wrote := make(chan error, 1)
	pieces := int(total/256) + 1 + c.random.IntN(32<<10)
	go func() {
		p := make([]byte, pieces)
		for at := int64(0); at < total; {
			n, err := conn.Write(fill(p[:min(int64(len(p)), total-at)], seed, at))
			if err != nil {
				wrote <- err
				return
			}
			at += int64(n)
		}
		wrote <- conn.(halfCloser).CloseWrite()
	}()
	err := readPattern(conn, make([]byte, 16<<10), seed, 0, total)
	if err == nil {
		err = readEnd(conn)
	}
	if err != nil {
		conn.Close()
		<-wrote
		return err
	}
	return <-wrote
}

// echoByLibrary is a client on a loop: in a task, where Await gives way to it.
func (c *client) echoByLibrary() error {
	seed, total := c.random.Uint64(), c.upTo(64<<10)
	address := c.world.addresses[oneOf(c.random, "await", "queue", "callback")]
	_, err := c.life.rt.Go(c.ctx, func(ctx context.Context) error {
		conn, err := c.life.rt.Dial(ctx, "tcp", address).Await(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		sent := conn.SendBytes(fill(make([]byte, total), seed, 0))
		closed := conn.CloseWrite()
		at := int64(0)
		for b, err := range conn.Bufs(ctx) {
			if err != nil {
				return err
			}
			err := check(b.Bytes(), seed, at)
			at += int64(b.Len())
			b.Release()
			if err != nil {
				return err
			}
		}
		if at > total {
			return wrongBytes{fmt.Sprintf("%d bytes came back, expected %d", at, total)}
		}
		if at < total { // a server that ends closes a connection whose bytes come later
			return fmt.Errorf("%d bytes came back, expected %d: %w", at, total, io.ErrUnexpectedEOF)
		}
		if n, err := sent.Await(ctx); err != nil || int64(n) != total {
			return fmt.Errorf("sent %d of %d bytes: %w", n, total, err)
		}
		_, err = closed.Await(ctx)
		return err
	}).Await(c.ctx)
	return err
}

// cutOff leaves in the middle, with a reset or properly.
func (c *client) cutOff() error {
	conn, err := c.dial(oneOf(c.random, "await", "queue", "callback", "own memory", "reader", "move", "detach", "forward", "tls"))
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(fill(make([]byte, c.upTo(64<<10)), 1, 0)); err != nil {
		return err
	}
	if c.random.IntN(2) == 0 {
		return conn.(*net.TCPConn).SetLinger(0)
	}
	return nil
}

func (c *client) churn() error {
	for range 10 {
		conn, err := c.dial(oneOf(c.random, "await", "unix", "callback", "reader", "file", "room"))
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

// ranges asks for parts of the file that is served.
func (c *client) ranges() error {
	conn, err := c.dial("file")
	if err != nil {
		return err
	}
	defer conn.Close()
	p := make([]byte, 16<<10)
	for range 1 + c.random.IntN(4) {
		n := min(c.upTo(2<<20), fileSize)
		offset := c.random.Int64N(fileSize - n + 1)
		if _, err := conn.Write(request(uint64(offset), uint64(n))); err != nil {
			return err
		}
		if err := readPattern(conn, p, fileSeed, offset, n); err != nil {
			return err
		}
	}
	return nil
}

func request(first, second uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, first), second)
}

// converse has several enter a room, of whom one speaks: all hear all of it.
func (c *client) converse() error {
	const members = 4
	id, total := c.random.Uint64(), c.upTo(64<<10)
	var all []net.Conn
	defer func() {
		for _, conn := range all {
			conn.Close()
		}
	}()
	for range members {
		conn, err := c.dial("room")
		if err != nil {
			return err
		}
		all = append(all, conn)
		if _, err := conn.Write(request(id, members)); err != nil {
			return err
		}
	}
	err := each(all, func(conn net.Conn) error {
		var p [1]byte
		if _, err := io.ReadFull(conn, p[:]); err != nil {
			return err
		}
		if p[0] != greeting {
			return wrongBytes{fmt.Sprintf("greeted with %#02x, expected %#02x", p[0], greeting)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	spoke := make(chan error, 1)
	go func() {
		_, err := all[0].Write(fill(make([]byte, total), id, 0))
		spoke <- err
	}()
	err = each(all, func(conn net.Conn) error { return readPattern(conn, make([]byte, 8<<10), id, 0, total) })
	return errors.Join(err, <-spoke)
}

// each does it with all connections at once. The first that fails ends the others: of a
// room whose members came to two runtimes, those of the younger would wait for ever.
func each(all []net.Conn, do func(net.Conn) error) error {
	failures := make([]error, len(all))
	var doing sync.WaitGroup
	for i, conn := range all {
		doing.Go(func() {
			if failures[i] = do(conn); failures[i] != nil {
				for _, conn := range all {
					conn.Close()
				}
			}
		})
	}
	doing.Wait()
	return errors.Join(failures...)
}

// neverRead is sent more than the sockets hold. The service gives it up with a reset,
// which may come before the dial has returned.
func (c *client) neverRead() error {
	conn, err := c.dial("flood")
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	time.Sleep(time.Duration(c.random.Int64N(int64(300 * time.Millisecond))))
	if c.random.IntN(2) == 0 {
		return nil
	}
	return readFlood(conn)
}

// readFlood reads what a flood has left. It ends with a reset.
func readFlood(conn net.Conn) error {
	p := make([]byte, floodPiece)
	for at := int64(0); ; {
		n, err := conn.Read(p)
		for i, b := range p[:n] {
			if want := patternAt(0, (at+int64(i))%floodPiece); b != want {
				return wrongBytes{fmt.Sprintf("byte %d of the flood is %#02x, expected %#02x", at+int64(i), b, want)}
			}
		}
		at += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("after %d bytes of a flood, expected a reset: %w", at, err)
		}
		if err != nil {
			return nil
		}
	}
}

// datagrams sends some and waits for the answer to each. One that is lost is sent again.
func (c *client) datagrams() error {
	conn, err := net.DialUDP("udp4", nil, c.life.packetAddress())
	if err != nil {
		return err
	}
	defer conn.Close()
	p := make([]byte, 2048)
	for i := range 1 + c.random.IntN(8) {
		message := fill(make([]byte, 8+c.random.IntN(1400)), c.random.Uint64(), 0)
		binary.LittleEndian.PutUint64(message, uint64(i))
		if err := askAgain(conn, message, p); err != nil {
			return err
		}
	}
	return nil
}

// askAgain sends message until the answer to it comes. Answers to earlier ones may.
func askAgain(conn *net.UDPConn, message, p []byte) (err error) {
	for range 10 {
		if _, err = conn.Write(message); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		for {
			var n int
			if n, err = conn.Read(p); err != nil {
				break
			}
			if n >= 8 && binary.LittleEndian.Uint64(p) < binary.LittleEndian.Uint64(message) {
				continue
			}
			if !bytes.Equal(p[:n], message) {
				return wrongBytes{fmt.Sprintf("a datagram of %d bytes came back as %d others", len(message), n)}
			}
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return fmt.Errorf("10 datagrams without an answer: %w", err)
}

// ownFile writes a file with chains, reads it in parts and removes it.
func (c *client) ownFile() (err error) {
	rt, ctx := c.life.rt, c.ctx
	name := filepath.Join(c.world.dir, fmt.Sprintf("file-%x", c.random.Uint64()))
	defer os.Remove(name) // if it ends early
	f, err := rt.Create(name).Await(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if _, failed := f.Close().Await(ctx); err == nil {
			err = failed
		}
	}()
	seed, at := c.random.Uint64(), int64(0)
	for range 1 + c.random.IntN(8) {
		p := fill(make([]byte, c.upTo(256<<10)), seed, at)
		results, err := rt.Chain(f.WriteStep(p, at), f.SyncDataStep()).Await(ctx)
		if err != nil {
			return err
		}
		if results[0].N != len(p) {
			return fmt.Errorf("wrote %d bytes, expected %d", results[0].N, len(p))
		}
		at += int64(len(p))
	}
	info, err := rt.Stat(name).Await(ctx)
	if err != nil {
		return err
	}
	if info.Size() != at {
		return fmt.Errorf("the file has %d bytes, expected %d", info.Size(), at)
	}
	p := make([]byte, 4<<10+c.random.IntN(64<<10))
	for from := int64(0); from < at; {
		n, err := f.ReadAt(p, from).Await(ctx)
		if wrong := check(p[:n], seed, from); wrong != nil {
			return wrong
		}
		if from += int64(n); err != nil && (err != io.EOF || from < at) {
			return fmt.Errorf("at byte %d of %d: %w", from, at, err)
		}
	}
	_, err = rt.Remove(name).Await(ctx)
	return err
}

// timers sleeps in many tasks, and cancels half of them.
func (c *client) timers() error {
	var all []futures.Future[struct{}]
	for i := range 20 {
		d := time.Duration(c.random.Int64N(int64(5 * time.Millisecond)))
		if i%2 == 0 {
			d = time.Hour
		}
		all = append(all, c.life.rt.Go(c.ctx, func(ctx context.Context) error {
			_, err := c.life.rt.Sleep(d).Await(ctx)
			return err
		}))
	}
	var failed error
	for i, f := range all {
		if i%2 == 0 {
			f.Cancel()
		}
		_, err := f.Await(c.ctx)
		if i%2 == 0 && errors.Is(err, context.Canceled) {
			err = nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
