package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goproactor/goproactor/proactor"
)

// nameLimit is the maximum length of a name of a client or room, in bytes.
const nameLimit = 32

const help = "/nick NAME, /join ROOM, /leave, /who, /rooms, /quit; everything else is said in the room"

// client is somebody who is connected. Only its loop touches it.
type client struct {
	srv  *server
	conn *proactor.Conn
	on   int // index of the loop
	web  bool
	name string
	room *room // nil in none
	at   int   // place in the room's audience
	pace pace
	gone bool // has said /quit
}

// enter makes a client of a connection, and greets it.
func (srv *server) enter(conn *proactor.Conn, web bool) *client {
	c := &client{srv: srv, conn: conn, on: slices.Index(srv.loops, conn.Loop()), web: web, name: srv.names.guest()}
	conn.SetIdleTimeout(srv.idle)
	conn.SetQueueLimit(srv.queueLimit, proactor.QueueDrop)
	c.tell("* you are " + c.name + ": " + help)
	return c
}

// leave ends a client because of err, the error of its connection.
func (c *client) leave(err error) {
	why := ""
	switch {
	case errors.Is(err, proactor.ErrSlowConsumer):
		why = ": did not keep up"
	case errors.Is(err, proactor.ErrIdle):
		why = ": idle"
	}
	c.leaveRoom(why)
	c.srv.names.release(c.name)
}

func (c *client) leaveRoom(why string) {
	if r := c.room; r != nil {
		c.room = nil
		r.remove(c, why)
		c.srv.rooms.leave(r)
	}
}

// obey does what a line says, and waits while the client says too much.
func (c *client) obey(ctx context.Context, line []byte) error {
	line = printable(bytes.TrimSpace(line))
	switch {
	case len(line) == 0:
	case line[0] == '/':
		c.command(string(line))
	case c.room == nil:
		c.tell("! you are in no room: /join ROOM")
	default:
		c.room.say(c, line)
	}
	if d := c.pace.delay(c.srv.rate); d > 0 {
		_, err := c.srv.rt.Sleep(d).Await(ctx)
		return err
	}
	return nil
}

func (c *client) command(line string) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "/nick":
		c.rename(rest)
	case "/join":
		c.join(rest)
	case "/leave":
		if c.room == nil {
			c.tell("! you are in no room: /join ROOM")
			return
		}
		c.tell("* you left " + c.room.name)
		c.leaveRoom("")
	case "/who":
		if c.room == nil {
			c.tell("! you are in no room: /join ROOM")
			return
		}
		c.room.who(c)
	case "/rooms":
		c.tell("* rooms: " + c.srv.rooms.list())
	case "/help":
		c.tell("* " + help)
	case "/quit":
		c.tell("* goodbye")
		c.gone = true
	default:
		c.tell("! no such command: " + help)
	}
}

func (c *client) rename(name string) {
	switch from := c.name; {
	case !validName(name):
		c.tell(invalidName)
	case !c.srv.names.change(from, name):
		c.tell("! the name " + name + " is taken")
	default:
		c.name = name
		if c.room != nil {
			c.room.rename(c, from, name)
		} else {
			c.tell("* you are " + name)
		}
	}
}

func (c *client) join(name string) {
	if !validName(name) {
		c.tell(invalidName)
		return
	}
	if c.room != nil && c.room.name == name {
		c.tell("! you are in " + name + " already")
		return
	}
	c.leaveRoom("")
	c.room = c.srv.rooms.enter(name)
	c.room.add(c)
}

var invalidName = fmt.Sprintf("! a name has 1 to %d bytes: letters, digits, - and _", nameLimit)

func validName(name string) bool {
	return name != "" && len(name) <= nameLimit && !strings.ContainsFunc(name, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	})
}

// tell sends a line to this client alone. Any loop may call it.
func (c *client) tell(line string) {
	n := len(line) + 1
	b := c.conn.Loop().Buffer(n)
	copy(b.Bytes(), line)
	b.Bytes()[n-1] = '\n'
	if c.web {
		f := frames(c.conn.Loop(), b.Bytes())
		b.Release()
		b = f
	}
	c.conn.Queue(b)
}

// printable returns text without what a terminal would obey, or a browser refuse:
// control characters, and bytes that are not UTF-8.
func printable(text []byte) []byte {
	for _, b := range text {
		if b < ' ' || b > '~' {
			return bytes.Map(func(r rune) rune {
				if unicode.IsControl(r) {
					return unicode.ReplacementChar
				}
				return r
			}, text)
		}
	}
	return text
}

// pace limits how much a client may say: it is not read from while it is too fast, and
// cannot flood the queues of the others.
type pace struct {
	credit float64 // lines that it may say at once
	last   time.Time
}

// delay counts a line. It returns how long to wait before the next, if rate lines a
// second are allowed, and as many at once.
func (p *pace) delay(rate float64) time.Duration {
	if rate == 0 {
		return 0
	}
	now := time.Now()
	if p.last.IsZero() {
		p.credit = max(1, rate)
	} else {
		p.credit = min(max(1, rate), p.credit+now.Sub(p.last).Seconds()*rate)
	}
	p.last = now
	p.credit--
	if p.credit >= 0 {
		return 0
	}
	return time.Duration(-p.credit / rate * float64(time.Second))
}
