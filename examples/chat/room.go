package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/proactor"
)

// room is what some clients talk in. It belongs to one loop, its home, which puts in
// order what is said on all loops: every member reads the same lines in the same order.
//
// What is said travels in batches: all that the members of one loop say in a turn is one
// buffer. That buffer goes to the home and from there to each loop that has members, and
// is sent to all of them. No receiver has a copy of its own.
type room struct {
	name  string
	home  int    // index of the loop
	parts []part // by loop

	// Of the home:
	present []int               // members by loop
	names   map[string]struct{} // of the members

	members int // guarded by the mutex of rooms
}

// part is a room on one loop, and only that loop touches it.
type part struct {
	room  *room
	index int
	loop  *proactor.Loop
	lines audience // who speaks the line protocol
	web   audience // who speaks WebSocket
	said  []byte   // and not sent yet
}

// audience is a list of clients and their connections, both in the same order.
type audience struct {
	clients []*client
	conns   []*proactor.Conn
}

const (
	// batchLimit is the number of bytes from which a batch does not wait for the end of
	// the turn.
	batchLimit = 32 << 10
	// batchKeeps is up to how many bytes a part keeps its memory for the next batch.
	batchKeeps = 4 << 10
)

func newRoom(name string, home int, loops []*proactor.Loop) *room {
	r := &room{name: name, home: home, names: make(map[string]struct{})}
	r.parts, r.present = make([]part, len(loops)), make([]int, len(loops))
	for i, l := range loops {
		r.parts[i] = part{room: r, index: i, loop: l}
	}
	return r
}

// add adds a client, on its loop.
func (r *room) add(c *client) {
	r.parts[c.on].audience(c).add(c)
	name, on := c.name, c.on
	r.atHome(c.on, func(p *part) {
		r.present[on]++
		r.names[name] = struct{}{}
		p.note(name, " joined ", r.name)
	})
}

// remove is the opposite of add. The others are told why the client went.
func (r *room) remove(c *client, why string) {
	r.parts[c.on].audience(c).remove(c)
	name, on := c.name, c.on
	r.atHome(c.on, func(p *part) {
		r.present[on]--
		delete(r.names, name)
		p.note(name, " left ", r.name, why)
	})
}

// rename tells that a member has another name.
func (r *room) rename(c *client, from, to string) {
	r.atHome(c.on, func(p *part) {
		delete(r.names, from)
		r.names[to] = struct{}{}
		p.note(from, " is now ", to)
	})
}

// who tells a client who is in the room.
func (r *room) who(c *client) {
	r.atHome(c.on, func(p *part) {
		p.flush()
		c.tell("* in " + r.name + ": " + strings.Join(slices.Sorted(maps.Keys(r.names)), " "))
	})
}

// atHome runs fn on the room's home, behind what was said before on the caller's loop.
func (r *room) atHome(on int, fn func(home *part)) {
	home := &r.parts[r.home]
	if on == r.home {
		fn(home)
		return
	}
	r.parts[on].flush()
	home.loop.Do(func() { fn(home) })
}

// say sends a line to all members, behind the name of who says it. It runs on the loop of
// that client.
func (r *room) say(c *client, text []byte) {
	p := &r.parts[c.on]
	p.begin()
	p.said = append(p.said, '<')
	p.said = append(p.said, c.name...)
	p.said = append(p.said, "> "...)
	p.said = append(p.said, text...)
	p.end()
}

// note sends a line that no member has said.
func (p *part) note(words ...string) {
	p.begin()
	p.said = append(p.said, "* "...)
	for _, w := range words {
		p.said = append(p.said, w...)
	}
	p.end()
}

// begin begins a line. The first of a turn has the batch sent behind everything that has
// come in by now.
func (p *part) begin() {
	if len(p.said) == 0 {
		p.loop.Do(p.flush)
	}
}

// end ends a line.
func (p *part) end() {
	p.said = append(p.said, '\n')
	if len(p.said) >= batchLimit {
		p.flush()
	}
}

// flush sends what was said.
func (p *part) flush() {
	if len(p.said) == 0 {
		return
	}
	b := p.loop.Buffer(len(p.said)).Keep()
	copy(b.Bytes(), p.said)
	if p.said = p.said[:0]; cap(p.said) > batchKeeps {
		p.said = nil
	}
	r := p.room
	home := &r.parts[r.home]
	if p == home {
		r.distribute(b)
		return
	}
	sent := home.loop.Do(func() {
		home.flush() // was said before
		r.distribute(b)
	})
	if !sent {
		b.Release()
	}
}

// distribute sends a batch to every loop that has members, in the order of the calls. It
// runs on the home.
func (r *room) distribute(b proactor.Buffer) {
	for i, n := range r.present {
		if n == 0 {
			continue
		}
		p, lease := &r.parts[i], b.Retain().Keep()
		if i == r.home {
			p.deliver(lease)
		} else if !p.loop.Do(func() { p.deliver(lease) }) {
			lease.Release()
		}
	}
	b.Release()
}

// deliver sends a batch to the members on the loop.
func (p *part) deliver(b proactor.Buffer) {
	if len(p.web.conns) > 0 {
		proactor.Broadcast(frames(p.loop, b.Bytes()), p.web.conns...)
	}
	proactor.Broadcast(b, p.lines.conns...)
}

func (p *part) audience(c *client) *audience {
	if c.web {
		return &p.web
	}
	return &p.lines
}

func (a *audience) add(c *client) {
	c.at = len(a.clients)
	a.clients = append(a.clients, c)
	a.conns = append(a.conns, c.conn)
}

func (a *audience) remove(c *client) {
	last := len(a.clients) - 1
	a.clients[c.at], a.conns[c.at] = a.clients[last], a.conns[last]
	a.clients[c.at].at = c.at
	a.clients[last], a.conns[last] = nil, nil
	a.clients, a.conns = a.clients[:last], a.conns[:last]
}
