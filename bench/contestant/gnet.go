package contestant

import (
	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

// One event loop with its own listener (SO_REUSEPORT), as gnet's own benchmarks
// run it; without it a second loop accepts. Everything else is its default,
// TCP_NODELAY and 64 KiB read buffers among it. LockOSThread is left off:
// with one processor it changes nothing but the cost of a hand-over.
var (
	_ = register(Contestant{
		Name:   "gnet-lt",
		Family: Peer,
		About:  "gnet 2.9.8, level-triggered, one event loop",
		Serve:  func(o Options) error { return serveGnet(o, "tcp", false) },

		ServeMessages: func(o Options) error { return serveGnet(o, "udp", false) },
		DropsOnEOF:    true,
		MultiLoop:     true,
	})
	_ = register(Contestant{
		Name:       "gnet-et",
		Family:     Peer,
		About:      "gnet 2.9.8, edge-triggered, one event loop",
		Serve:      func(o Options) error { return serveGnet(o, "tcp", true) },
		DropsOnEOF: true,
		MultiLoop:  true,
	})
)

func serveGnet(o Options, network string, edge bool) error {
	addr, err := FreeAddr(o.Addr)
	if err != nil {
		return err
	}
	return gnet.Run(&gnetHandler{Options: o, addr: addr, conns: make(map[gnet.Conn]bool)}, network+"://"+addr,
		gnet.WithNumEventLoop(max(o.Loops, 1)),
		gnet.WithReusePort(true),
		gnet.WithEdgeTriggeredIO(edge),
		gnet.WithLogLevel(logging.ErrorLevel))
}

type gnetHandler struct {
	gnet.BuiltinEventEngine
	Options
	addr  string
	conns map[gnet.Conn]bool // of the one event loop; kept for broadcasts only
}

// OnBoot comes after the listeners are bound.
func (h *gnetHandler) OnBoot(gnet.Engine) gnet.Action {
	h.Listening(h.addr)
	return gnet.None
}

func (h *gnetHandler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	if h.Broadcast {
		h.conns[c] = true
	}
	return nil, gnet.None
}

func (h *gnetHandler) OnClose(c gnet.Conn, _ error) gnet.Action {
	delete(h.conns, c)
	return gnet.None
}

func (h *gnetHandler) OnTraffic(c gnet.Conn) gnet.Action {
	p, _ := c.Next(-1)
	if !h.Broadcast {
		c.Write(p)
		return gnet.None
	}
	for other := range h.conns {
		other.Write(p)
	}
	return gnet.None
}
