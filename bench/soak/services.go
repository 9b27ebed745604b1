package soak

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// service is what a listener does with its connections. All but flood send back what
// comes in, or what it asks for.
type service struct {
	name    string
	network string
	handle  func(l *life, ctx context.Context, c *proactor.Conn) error // as a task
	onConn  func(l *life, c *proactor.Conn)                            // or as callbacks
}

var services = []service{
	{name: "await", network: "tcp", handle: echoAwait},
	{name: "unix", network: "unix", handle: echoAwait},
	{name: "queue", network: "tcp", handle: echoQueue},
	{name: "callback", network: "tcp", onConn: echoCallback},
	{name: "own memory", network: "tcp", handle: echoOwnMemory},
	{name: "reader", network: "tcp", handle: echoReader},
	{name: "cancels", network: "tcp", handle: echoCancels},
	{name: "deadlines", network: "tcp", handle: echoDeadlines},
	{name: "move", network: "tcp", handle: echoMove},
	{name: "detach", network: "tcp", handle: echoDetach},
	{name: "tls", network: "tcp", handle: echoTLS},
	{name: "forward", network: "tcp", handle: forward},
	{name: "file", network: "tcp", handle: sendFile},
	{name: "room", network: "tcp", handle: room},
	{name: "flood", network: "tcp", handle: flood},
}

func echoAwait(_ *life, ctx context.Context, c *proactor.Conn) error {
	for {
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
}

func echoQueue(_ *life, ctx context.Context, c *proactor.Conn) error {
	for b, err := range c.Bufs(ctx) {
		if err != nil {
			return err
		}
		if _, err := c.Queue(b).Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

func echoCallback(_ *life, c *proactor.Conn) {
	c.OnRecv(func(b proactor.Buffer, err error) {
		if err != nil {
			c.Close()
			return
		}
		c.Queue(b)
	})
}

// echoOwnMemory receives into its own memory and sends from there in each of the ways.
func echoOwnMemory(_ *life, ctx context.Context, c *proactor.Conn) error {
	p := make([]byte, 16<<10)
	for i := 0; ; i++ {
		n, err := c.RecvInto(p).Await(ctx)
		if err != nil {
			return err
		}
		switch i % 3 {
		case 0:
			_, err = c.SendBytes(p[:n]).Await(ctx)
		case 1:
			_, err = c.SendVector(p[:n/2], p[n/2:n]).Await(ctx)
		case 2:
			_, err = c.SendZeroCopy(p[:n]).Await(ctx)
		}
		if err != nil {
			return err
		}
		clear(p[:n]) // what the kernel would still send from here is seen
	}
}

// echoReader reads through a Reader and writes through a Writer.
func echoReader(_ *life, ctx context.Context, c *proactor.Conn) error {
	r, w := c.Reader(), c.Writer()
	defer r.Release()
	defer w.Release()
	for {
		p, err := r.Peek(ctx, 1)
		if err != nil {
			return err
		}
		if n := r.Buffered(); n > 1 {
			if p, err = r.Peek(ctx, min(n, 8<<10)); err != nil {
				return err
			}
		}
		w.Write(p)
		r.Discard(len(p))
		if _, err := w.Flush().Await(ctx); err != nil {
			return err
		}
	}
}

// echoCancels cancels receives at random: nothing is lost by that.
func echoCancels(_ *life, ctx context.Context, c *proactor.Conn) error {
	for i := 0; ; i++ {
		f := c.Recv()
		if rand.IntN(3) > 0 && i < 1000 {
			f.Cancel()
		}
		b, err := f.Await(ctx)
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
}

// echoDeadlines has receives end at deadlines, and goes on.
func echoDeadlines(_ *life, ctx context.Context, c *proactor.Conn) error {
	for {
		c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(2000)) * time.Microsecond))
		b, err := c.Recv().Await(ctx)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
}

// echoMove moves its connection to another loop for each message.
func echoMove(l *life, ctx context.Context, c *proactor.Conn) error {
	defer func() { c.Close() }()
	loops := l.rt.Loops()
	for i := 0; ; i++ {
		moved, err := c.Move(loops[i%len(loops)]).Await(ctx)
		if err != nil {
			return err
		}
		c = moved
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
}

// echoDetach leaves the connection to a goroutine.
func echoDetach(l *life, ctx context.Context, c *proactor.Conn) error {
	conn, err := c.Detach()
	if err != nil {
		return err
	}
	l.goroutines.Go(func() {
		defer conn.Close()
		io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}, make([]byte, 8<<10))
	})
	return nil
}

func echoTLS(l *life, ctx context.Context, c *proactor.Conn) error {
	conn := tls.Server(c.NetConn(ctx), l.world.soak.serverTLS)
	p := make([]byte, 8<<10)
	for {
		n, err := conn.Read(p)
		if err == io.EOF {
			return conn.CloseWrite()
		}
		if err != nil {
			return err
		}
		if _, err := conn.Write(p[:n]); err != nil {
			return err
		}
	}
}

// forward is a proxy to the echo.
func forward(l *life, ctx context.Context, c *proactor.Conn) error {
	to, err := l.rt.Dial(ctx, "tcp", l.world.addresses["await"]).Await(ctx)
	if err != nil {
		return err
	}
	defer to.Close()
	up, down := c.Forward(to), to.Forward(c)
	_, err = up.Await(ctx)
	if err != nil {
		to.Abort()
	}
	if _, failed := down.Await(ctx); err == nil {
		err = failed
	}
	return err
}

// requestSize is the length of a request: two numbers, such as a range of the file.
const requestSize = 16

// sendFile answers requests, some from a file of the library, some from an os.File.
func sendFile(l *life, ctx context.Context, c *proactor.Conn) error {
	r := c.Reader()
	defer r.Release()
	var request [requestSize]byte
	for {
		if _, err := r.ReadFull(ctx, request[:]); err != nil {
			return err
		}
		offset, n := int64(binary.LittleEndian.Uint64(request[:])), int64(binary.LittleEndian.Uint64(request[8:]))
		if offset%2 == 0 {
			if _, err := c.SendFile(l.world.soak.file, offset, n).Await(ctx); err != nil {
				return err
			}
			continue
		}
		f, err := l.rt.Open(l.world.soak.file.Name()).Await(ctx)
		if err != nil {
			return err
		}
		_, err = c.SendFile(f, offset, n).Await(ctx)
		f.Close()
		if err != nil {
			return err
		}
	}
}

// rooms are the connections that hear what any of their room says.
type rooms struct {
	mu      sync.Mutex
	members map[uint64][]*proactor.Conn
}

// join returns the members when there are as many as there will be.
func (r *rooms) join(id uint64, want int, c *proactor.Conn) []*proactor.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[id] = append(r.members[id], c)
	if len(r.members[id]) < want {
		return nil
	}
	return r.members[id]
}

func (r *rooms) of(id uint64) []*proactor.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[id]
}

func (r *rooms) leave(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, id)
}

// greeting is the first byte that the members of a room get.
const greeting = 'G'

func room(l *life, ctx context.Context, c *proactor.Conn) error {
	r := c.Reader()
	defer r.Release()
	var header [requestSize]byte
	if _, err := r.ReadFull(ctx, header[:]); err != nil {
		return err
	}
	id := binary.LittleEndian.Uint64(header[:])
	defer l.rooms.leave(id)
	if all := l.rooms.join(id, int(binary.LittleEndian.Uint64(header[8:])), c); all != nil {
		b := c.Loop().Buffer(1)
		b.Bytes()[0] = greeting
		proactor.Broadcast(b, all...)
	}
	for b, err := range c.Bufs(ctx) { // the Reader has nothing left: clients wait for the greeting
		if err != nil {
			return err
		}
		proactor.Broadcast(b, l.rooms.of(id)...)
	}
	return nil
}

// floodPiece is how many bytes a flood has before they come again.
const floodPiece = 64 << 10

// flood sends without end to those who do not read, until a deadline.
func flood(_ *life, ctx context.Context, c *proactor.Conn) error {
	c.SetWriteDeadline(time.Now().Add(time.Duration(1+rand.IntN(200)) * time.Millisecond))
	p := fill(make([]byte, floodPiece), 0, 0)
	for {
		if _, err := c.SendBytes(p).Await(ctx); err != nil {
			c.Abort()
			return fmt.Errorf("to one who does not read: %w", err)
		}
	}
}

// echoMessages answers datagrams.
func echoMessages(c *proactor.PacketConn) {
	c.OnMessage(func(m proactor.Message, err error) {
		if err == nil {
			c.Reply(m)
		}
	})
}
