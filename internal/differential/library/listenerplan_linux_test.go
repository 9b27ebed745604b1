package library

import "slices"

// handles is how many listeners a program may have open.
const handles = 3

// target is an address to listen on or to dial.
type target struct {
	network string
	address string // "DIR" is the directory of the run
	bad     bool   // nobody can listen on it
	special string // made before the program begins: "bound", "file", "stale", "datagram", "full"
	remote  bool   // a dial would wait for another machine
	lookUp  bool   // its service is looked up
}

// The targets of steps. The address of a listener is target -1, and Step.To says of which.
var targets = []target{
	{network: "tcp", address: "127.0.0.1:0"},
	{network: "tcp4", address: "127.0.0.1:0"},
	{network: "unix", address: "DIR/one"},
	{network: "unix", address: "DIR/two"},
	{network: "unixpacket", address: "DIR/one"},
	{network: "unix", address: "@ABSTRACT"},
	{network: "tcp", special: "bound", bad: true},
	{network: "unix", address: "DIR/file", special: "file", bad: true},
	{network: "unix", address: "DIR/stale", special: "stale", bad: true},
	{network: "unix", address: "DIR/datagram", special: "datagram", bad: true},
	{network: "tcp", special: "full", bad: true},
	{network: "unix", address: "DIR", bad: true},
	{network: "unix", address: "DIR/nothing/here", bad: true},
	{network: "unix", address: "DIR/file/here", bad: true},
	{network: "unix", address: "DIR/LONG", bad: true},
	{network: "tcp", address: "192.0.2.1:1", bad: true, remote: true},
	{network: "tcp", address: "127.0.0.1", bad: true},
	{network: "tcp", address: "127.0.0.1:", bad: true},
	{network: "tcp", address: "127.0.0.1:99999", bad: true},
	{network: "tcp", address: "127.0.0.1:-1", bad: true},
	{network: "tcp", address: "127.0.0.1:no service", bad: true, lookUp: true},
	{network: "tcp", address: "127.0.0.1:1:2", bad: true},
	{network: "tcp", address: "[::1", bad: true},
	{network: "tcp4", address: "[::1]:1", bad: true},
	{network: "tcp6", address: "127.0.0.1:1", bad: true},
	{network: "bogus", address: "127.0.0.1:1", bad: true},
	{network: "", address: "127.0.0.1:1", bad: true},
	{network: "TCP", address: "", bad: true},
}

// How a dial fails before it connects.
const (
	plainDial = iota
	expiredContext
	expiredTimeout
	localInUse           // the address of the listener that is dialed
	localOfAnother       // an address of another network
	localOfAnotherIP     // of another family
	localNowhere         // no address of this machine
	dialFailures     = 7 // how many there are
)

// handle is a listener as the plan sees it.
type handle struct {
	open, was  bool
	target     int
	acceptsEnd bool // its deadline is over
	queue      int  // connections that no Accept has taken
	waiting    []waiting
}

type listenerPlan struct {
	program *Program
	plan    []planned
	handles [handles]handle
	dialing []waiting
	now     *planned
	done    bool // by Shutdown
}

func planListeners(p *Program) []planned {
	l := &listenerPlan{program: p, plan: make([]planned, len(p.Steps))}
	for i := range p.Steps {
		l.now = &l.plan[i]
		l.now.skip = !l.perform(i, &p.Steps[i])
	}
	return l.plan
}

// asNet says that the listeners are used as those of package net.
func (p *Program) asNet() bool { return p.NetConn && !p.Task }

var (
	afterShutdown  = &rule{[]string{closed}, "package net has no Shutdown: the class of the error is compared, not its text"}
	acceptCanceled = &rule{[]string{canceled}, "package net has no cancel of an Accept: the class of the error is compared, not its text"}
)

func (l *listenerPlan) ends(s *Step, r *rule) bool {
	l.now.after, l.now.rule = append(l.now.after, s.ID), r
	return true
}

func (l *listenerPlan) perform(i int, s *Step) bool {
	h := &l.handles[s.On]
	switch s.Verb {
	case Listen:
		return l.listenStep(s, h)
	case Dial:
		return l.dialStep(i, s)
	case Accept:
		return l.acceptStep(i, s, h)
	case Close:
		if !h.was {
			return false
		}
		r := closeAgain
		if h.open || l.program.asNet() {
			r = nil
		}
		l.closeHandle(h)
		return l.ends(s, r)
	case EndReads, MoveDeadlines:
		if !h.was || !l.program.asNet() {
			return false
		}
		if h.open {
			h.acceptsEnd = s.Verb == EndReads
			if h.acceptsEnd {
				l.settle(h, nil)
			}
		}
		return l.ends(s, nil)
	case Cancel:
		return l.cancelStep(s)
	case Shutdown:
		if l.program.Task || l.done {
			return false
		}
		l.done = true
		for i := range l.handles {
			l.closeHandle(&l.handles[i])
		}
		for _, w := range l.dialing {
			l.plan[w.index].rule = afterShutdown
			l.now.after = append(l.now.after, w.id)
		}
		l.dialing = nil
		return l.ends(s, nil)
	}
	return false
}

// settle ends the Accepts that wait.
func (l *listenerPlan) settle(h *handle, r *rule) {
	for _, w := range h.waiting {
		l.plan[w.index].rule = r
		l.now.after = append(l.now.after, w.id)
	}
	h.waiting = nil
}

func (l *listenerPlan) closeHandle(h *handle) {
	h.open = false
	l.settle(h, nil)
}

// inUse says that a target is the address of an open listener.
func (l *listenerPlan) inUse(address string) bool {
	return slices.ContainsFunc(l.handles[:], func(h handle) bool {
		return h.open && h.target >= 0 && targets[h.target].address == address
	})
}

func (l *listenerPlan) listenStep(s *Step, h *handle) bool {
	if h.open {
		return false
	}
	if s.Name < 0 { // the address of another, which is in use
		other := &l.handles[s.To]
		return other.open && !l.done && l.ends(s, nil)
	}
	t := targets[s.Name]
	switch {
	case l.done:
		return !t.bad && l.ends(s, afterShutdown)
	case t.special == "full": // is for dials
		return false
	case t.bad, t.network != "tcp" && t.network != "tcp4" && l.inUse(t.address):
	default:
		*h = handle{open: true, was: true, target: s.Name}
	}
	return l.ends(s, nil)
}

func (l *listenerPlan) dialStep(i int, s *Step) bool {
	var to *handle
	var t target
	if s.Name < 0 {
		if to = &l.handles[s.To]; !to.was {
			return false
		}
		t = targets[to.target]
	} else {
		t = targets[s.Name]
	}
	if to == nil || !to.open { // a path may be another listener's
		for h := range l.handles {
			if o := &l.handles[h]; o.open && t.network == targets[o.target].network && t.address == targets[o.target].address && t.network[0] != 't' {
				to = o
			}
		}
	}
	fails := s.Flags != plainDial || s.Ended
	switch {
	case s.Flags == localInUse && (s.Name >= 0 || !to.open):
		return false // there is no such address
	case fails && t.lookUp: // two reasons, of which either may be found first
		return false
	case l.done:
		return !t.bad && !fails && l.ends(s, afterShutdown)
	case t.remote && !fails:
		return false
	case t.special == "full" && !fails:
		l.dialing = append(l.dialing, waiting{index: i, id: s.ID})
		return true
	case fails || to == nil || !to.open:
	case len(to.waiting) > 1: // which of them gets the connection is chance
		return false
	case len(to.waiting) > 0:
		l.now.after = append(l.now.after, to.waiting[0].id)
		to.waiting = to.waiting[1:]
	default:
		to.queue++
	}
	return l.ends(s, nil)
}

func (l *listenerPlan) acceptStep(i int, s *Step, h *handle) bool {
	switch {
	case !h.was:
		return false
	case !h.open || h.acceptsEnd:
		return !s.Ended && l.ends(s, nil)
	case h.queue > 0:
		h.queue--
		return l.ends(s, nil)
	case s.Ended:
		l.now.ended = true
		return !l.program.asNet() && l.ends(s, acceptCanceled)
	}
	h.waiting = append(h.waiting, waiting{index: i, id: s.ID})
	return true
}

func (l *listenerPlan) cancelStep(s *Step) bool {
	is := func(w waiting) bool { return w.id == s.Target }
	if i := slices.IndexFunc(l.dialing, is); i >= 0 {
		l.now.after = append(l.now.after, s.Target)
		l.dialing = slices.Delete(l.dialing, i, i+1)
		return l.ends(s, nil)
	}
	for h := range l.handles {
		me := &l.handles[h]
		if i := slices.IndexFunc(me.waiting, is); i >= 0 && len(me.waiting) == 1 && !l.program.asNet() {
			l.plan[me.waiting[i].index].rule = acceptCanceled
			l.now.after = append(l.now.after, s.Target)
			me.waiting = nil
			return l.ends(s, nil)
		}
	}
	return false
}
