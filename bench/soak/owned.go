package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// partByLibrary sends in each of the ways, reads it back through a Reader, and ends the
// connection with a cancel, a deadline, a reset, or as it should be.
func (c *client) partByLibrary() error {
	network, name := "tcp", oneOf(c.random, "await", "unix", "queue", "callback", "own memory", "reader", "cancels", "deadlines", "move", "detach")
	if name == "unix" {
		network = name
	}
	_, err := c.life.rt.Go(c.ctx, func(ctx context.Context) error {
		conn, err := c.life.rt.Dial(ctx, network, c.world.addresses[name]).Await(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		r := conn.Reader()
		defer r.Release()
		seed, position := c.random.Uint64(), int64(0)
		for way := range 1 + c.random.IntN(5) {
			p := fill(make([]byte, c.upTo(32<<10)), seed, position)
			if err := sendBy(ctx, conn, way, p); err != nil {
				return fmt.Errorf("sending to %q: %w", name, err)
			}
			clear(p)
			if n, err := r.ReadFull(ctx, p); err != nil {
				return fmt.Errorf("%q after %d of %d expected bytes: %w", name, n, len(p), err)
			}
			if err := check(p, seed, position); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			position += int64(len(p))
		}
		if err := c.part(ctx, conn); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		return nil
	}).Await(c.ctx)
	return err
}

func sendBy(ctx context.Context, conn *proactor.Conn, way int, p []byte) (err error) {
	switch way % 4 {
	case 0:
		_, err = conn.SendBytes(p).Await(ctx)
	case 1:
		_, err = conn.SendVector(p[:len(p)/3], p[len(p)/3:]).Await(ctx)
	case 2:
		b := conn.Loop().Buffer(len(p))
		copy(b.Bytes(), p)
		_, err = conn.Queue(b).Await(ctx)
	case 3:
		_, err = conn.SendZeroCopy(p).Await(ctx)
	}
	return err
}

func (c *client) part(ctx context.Context, conn *proactor.Conn) error {
	switch c.random.IntN(5) {
	case 0:
		f := conn.Recv()
		f.Cancel()
		if _, err := f.Await(ctx); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("a canceled receive ended with %w, expected context.Canceled", err)
		}
	case 1:
		conn.SetReadDeadline(time.Now().Add(time.Duration(c.random.IntN(1000)) * time.Microsecond))
		if _, err := conn.Recv().Await(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("a receive with a deadline ended with %w, expected os.ErrDeadlineExceeded", err)
		}
	case 2:
		conn.Abort()
	case 3:
		if _, err := conn.CloseWrite().Await(ctx); err != nil {
			return err
		}
		b, err := conn.Recv().Await(ctx)
		if err == nil {
			return wrongBytes{fmt.Sprintf("%d bytes behind the end of the stream, expected io.EOF", b.Len())}
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("the stream ended with %w, expected io.EOF", err)
		}
	}
	return nil
}

// journal appends records by chains that open, write, sync and close, and reads what is
// there.
func (c *client) journal() error {
	name := filepath.Join(c.world.dir, fmt.Sprintf("journal-%x", c.random.Uint64()))
	defer os.Remove(name)
	f, rt := proactor.NewChainFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600), c.life.rt
	seed, size := c.random.Uint64(), int64(0)
	for range 1 + c.random.IntN(6) {
		record := fill(make([]byte, c.upTo(2000)), seed, size)
		if _, err := rt.Chain(f.OpenStep(), f.WriteStep(record, 0), f.SyncDataStep(), f.CloseStep()).Await(c.ctx); err != nil {
			return err
		}
		size += int64(len(record))
	}
	p := make([]byte, size)
	if _, err := rt.Chain(f.OpenStep(), f.ReadFullStep(p, 0), f.CloseStep()).Await(c.ctx); err != nil {
		return err
	}
	if err := check(p, seed, 0); err != nil {
		return err
	}
	got, err := os.ReadFile(name)
	if err == nil && !bytes.Equal(got, p) {
		err = wrongBytes{fmt.Sprintf("the journal has %d bytes, expected the %d that were written", len(got), size)}
	}
	return err
}
