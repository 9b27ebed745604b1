package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

// netChat is the server of package net that -compare measures beside ours. It has what
// the comparison needs: /join, lines, and the limit for those who do not read. It is
// written as one would who cares for speed: a goroutine reads, another writes all that
// has gathered by one call (net.Buffers), and a line is one slice for all receivers.
type netChat struct {
	mu     sync.Mutex
	rooms  map[string]*netRoom
	guests int
}

type netRoom struct {
	mu      sync.Mutex
	members map[*netClient]struct{}
}

type netClient struct {
	net.Conn
	name   string
	room   *netRoom
	mu     sync.Mutex
	queue  [][]byte
	queued int // bytes
	wake   chan struct{}
	ended  bool
}

// serveNet serves until the process is ended.
func serveNet() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on tcp %s backend=net loops=1\n", ln.Addr())
	srv := &netChat{rooms: make(map[string]*netRoom)}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go srv.serve(conn)
	}
}

func (srv *netChat) serve(conn net.Conn) {
	srv.mu.Lock()
	srv.guests++
	c := &netClient{Conn: conn, name: "guest" + strconv.Itoa(srv.guests), wake: make(chan struct{}, 1)}
	srv.mu.Unlock()
	go c.write()
	defer c.leave()
	c.send([]byte("* you are " + c.name + ": " + help + "\n"))
	in := bufio.NewReaderSize(conn, 1<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		line = printable(bytes.TrimSpace(line))
		switch {
		case len(line) == 0:
		case bytes.HasPrefix(line, []byte("/join ")):
			c.join(srv, string(line[len("/join "):]))
		case c.room != nil:
			said := make([]byte, 0, len(line)+len(c.name)+4)
			said = append(append(append(said, '<'), c.name...), "> "...)
			c.room.send(append(append(said, line...), '\n'))
		}
	}
}

func (c *netClient) join(srv *netChat, name string) {
	srv.mu.Lock()
	r := srv.rooms[name]
	if r == nil {
		r = &netRoom{members: make(map[*netClient]struct{})}
		srv.rooms[name] = r
	}
	srv.mu.Unlock()
	r.mu.Lock()
	r.members[c] = struct{}{}
	r.mu.Unlock()
	c.room = r
	r.send([]byte("* " + c.name + " joined " + name + "\n"))
}

func (c *netClient) leave() {
	c.Close()
	if r := c.room; r != nil {
		r.mu.Lock()
		delete(r.members, c)
		r.mu.Unlock()
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.signal()
}

// send gives a line to all members, all lines in one order.
func (r *netRoom) send(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		c.send(line)
	}
}

func (c *netClient) send(line []byte) {
	c.mu.Lock()
	first := len(c.queue) == 0
	c.queue = append(c.queue, line)
	c.queued += len(line)
	tooSlow := c.queued > compareQueue
	c.mu.Unlock()
	if tooSlow {
		c.Close()
	}
	if first {
		c.signal()
	}
}

func (c *netClient) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what has gathered.
func (c *netClient) write() {
	var spare [][]byte
	for range c.wake {
		c.mu.Lock()
		lines, ended := c.queue, c.ended
		c.queue, c.queued = spare[:0], 0
		c.mu.Unlock()
		if ended {
			return
		}
		out := net.Buffers(lines)
		if _, err := out.WriteTo(c.Conn); err != nil {
			c.Close()
			return
		}
		clear(lines)
		spare = lines
	}
}
