package migrating

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

// linesOnGnet numbers the lines of each connection.
type linesOnGnet struct {
	gnet.BuiltinEventEngine
	idle time.Duration
}

// gnetLines is the state of a connection.
type gnetLines struct {
	n    int
	idle *time.Timer
}

func (h *linesOnGnet) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&gnetLines{idle: time.AfterFunc(h.idle, func() { c.Close() })})
	return nil, gnet.None
}

func (h *linesOnGnet) OnClose(c gnet.Conn, _ error) gnet.Action {
	c.Context().(*gnetLines).idle.Stop()
	return gnet.None
}

func (h *linesOnGnet) OnTraffic(c gnet.Conn) gnet.Action {
	state := c.Context().(*gnetLines)
	state.idle.Reset(h.idle)
	for {
		p, _ := c.Peek(-1)
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			return gnet.None // what has come is kept
		}
		state.n++
		fmt.Fprintf(c, "%d %s", state.n, p[:end])
		c.Discard(end)
	}
}

// roomOnGnet sends each line to everybody.
type roomOnGnet struct {
	gnet.BuiltinEventEngine
	mu      sync.Mutex
	members map[gnet.Conn]bool
}

func (h *roomOnGnet) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members[c] = true
	return nil, gnet.None
}

func (h *roomOnGnet) OnClose(c gnet.Conn, _ error) gnet.Action {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, c)
	return gnet.None
}

func (h *roomOnGnet) OnTraffic(c gnet.Conn) gnet.Action {
	for {
		p, _ := c.Peek(-1)
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			return gnet.None
		}
		line := bytes.Clone(p[:end])
		c.Discard(end)
		h.mu.Lock()
		for m := range h.members {
			m.AsyncWrite(line, nil) // the member may be of another event loop
		}
		h.mu.Unlock()
	}
}

// serveGnet serves until ctx ends.
func serveGnet(ctx context.Context, addr string, h gnet.EventHandler) error {
	return gnet.Run(&stoppedGnet{h, ctx}, "tcp://"+addr, gnet.WithMulticore(true), gnet.WithLogLevel(logging.ErrorLevel))
}

// stoppedGnet stops the engine when ctx ends.
type stoppedGnet struct {
	gnet.EventHandler
	ctx context.Context
}

func (s *stoppedGnet) OnBoot(e gnet.Engine) gnet.Action {
	context.AfterFunc(s.ctx, func() { e.Stop(context.Background()) })
	return s.EventHandler.OnBoot(e)
}
