package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goproactor/goproactor/proactor"
)

// server is what all clients share. Its mutexes are held for moments, and never while
// anything waits.
type server struct {
	config
	rt    *proactor.Runtime
	loops []*proactor.Loop
	names names
	rooms rooms
}

func newServer(rt *proactor.Runtime, c config) *server {
	return &server{
		config: c, rt: rt, loops: rt.Loops(),
		names: names{taken: make(map[string]struct{})},
		rooms: rooms{open: make(map[string]*room), loops: rt.Loops()},
	}
}

// names are those of the clients: each has one, and no two have the same.
type names struct {
	mu     sync.Mutex
	taken  map[string]struct{}
	guests int
}

// guest is a name for a client that has not given one.
func (n *names) guest() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		n.guests++
		name := "guest" + strconv.Itoa(n.guests)
		if _, is := n.taken[name]; !is {
			n.taken[name] = struct{}{}
			return name
		}
	}
}

// change gives a client another name. It returns false if that is another's.
func (n *names) change(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, is := n.taken[to]; is {
		return from == to
	}
	delete(n.taken, from)
	n.taken[to] = struct{}{}
	return true
}

func (n *names) release(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.taken, name)
}

// rooms are those that have members.
type rooms struct {
	mu    sync.Mutex
	open  map[string]*room
	loops []*proactor.Loop
	made  int // that have ever been
}

// enter finds or makes a room, and counts a member.
func (all *rooms) enter(name string) *room {
	all.mu.Lock()
	defer all.mu.Unlock()
	r := all.open[name]
	if r == nil {
		r = newRoom(name, all.made%len(all.loops), all.loops)
		all.open[name] = r
		all.made++
	}
	r.members++
	return r
}

// leave is the opposite of enter. A room without members is forgotten.
func (all *rooms) leave(r *room) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if r.members--; r.members == 0 {
		delete(all.open, r.name)
	}
}

// list is the rooms and how many members each has.
func (all *rooms) list() string {
	all.mu.Lock()
	defer all.mu.Unlock()
	var list []string
	for name, r := range all.open {
		list = append(list, fmt.Sprintf("%s (%d)", name, r.members))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
