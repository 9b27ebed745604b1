package contestant

import (
	"net"
	"sync"
)

// The baseline: what every Go program does, a goroutine a connection.
//
// io.Copy between two TCP connections would splice through a pipe, two system
// calls a message instead of two and a pipe a connection; for an echo the plain
// loop is faster. The buffer begins at a page, for many idle connections, and
// grows to 64 KiB where messages fill it.
var _ = register(Contestant{
	Name:   Baseline,
	Family: Peer,
	About:  "standard net, a goroutine a connection",
	Serve:  serveNet,

	MultiLoop:     true, // the scheduler has them
	ServeMessages: messagesNet,
})

func serveNet(o Options) error {
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(l.Addr().String())
	room := &netRoom{conns: make(map[net.Conn]bool)}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if o.Broadcast {
			room.open(c)
			go room.serve(c)
		} else {
			go echoNet(c)
		}
	}
}

func echoNet(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
		if n == len(buf) && n < 64<<10 {
			buf = make([]byte, 2*n)
		}
	}
}

// messagesNet is the plain loop, without an allocation a message.
func messagesNet(o Options) error {
	at, err := net.ResolveUDPAddr("udp", o.Addr)
	if err != nil {
		return err
	}
	c, err := net.ListenUDP("udp4", at)
	if err != nil {
		return err
	}
	o.Listening(c.LocalAddr().String())
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		c.WriteToUDPAddrPort(buf[:n], from)
	}
}

// netRoom sends what one connection says to all.
type netRoom struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (r *netRoom) open(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = true
}

func (r *netRoom) serve(c net.Conn) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, c)
		c.Close()
	}()
	buf := make([]byte, 4<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		for other := range r.conns {
			other.Write(buf[:n])
		}
		r.mu.Unlock()
	}
}
