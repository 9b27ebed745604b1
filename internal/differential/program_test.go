package differential

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/ring"
)

// Program is what both queues run: groups of provided buffers, and steps.
type Program struct {
	Groups []Group
	Steps  []Step
	Slots  [objects]bool // the objects that entries name by a slot; its number is the object's

	Named   bool // its pipes have names (fifo(7))
	Packets bool // its datagram sockets are SOCK_SEQPACKET
}

// Group is a buffer group; its number is its place in the program.
type Group struct {
	Count, Size int
	Incremental bool
}

// Step is one batch of entries, then acts of the peers, then rest.
type Step struct {
	Entries []Entry
	Acts    []Act
}

// Object is a descriptor that entries name, with whoever is at its other end.
type Object uint8

// The objects of a program's world. Those not mentioned are not made.
const (
	UnixA     Object = iota // one end of a stream socket pair, the peer has the other
	UnixB                   // another
	TCPA                    // the same over loopback TCP
	TCPB                    // another
	Datagram                // one end of a datagram socket pair
	LoopLeft                // a stream socket pair, entries have both ends
	LoopRight               // its other end
	PipeOut                 // the end of a pipe to read from
	PipeIn                  // the end of another pipe to write to
	Event                   // an eventfd
	Listener                // a TCP listener
	DialA                   // a TCP socket to connect
	DialB                   // another
	ConnA                   // the accepted connection of the first client
	ConnB                   // of the second
	ConnC                   // of the third
	NoFile                  // a number that stands for no file
	Negative                // the number -1
	objects
)

var objectNames = [objects]string{"unixA", "unixB", "tcpA", "tcpB", "datagram", "loopL", "loopR", "pipeOut", "pipeIn",
	"event", "listener", "dialA", "dialB", "connA", "connB", "connC", "noFile", "negative"}

func (o Object) String() string { return objectNames[o] }

func (o Object) tcp() bool {
	return o == TCPA || o == TCPB || o >= DialA && o <= ConnC
}

// hasSlot says that a program may put an object into a slot when it begins: those
// that are there then.
func (o Object) hasSlot() bool { return o <= DialB }

// partner is the other end, of objects of which entries have both.
func (o Object) partner() (Object, bool) {
	switch o {
	case LoopLeft:
		return LoopRight, true
	case LoopRight:
		return LoopLeft, true
	}
	return 0, false
}

// Kind is what an entry asks for.
type Kind uint8

// The kinds of entries.
const (
	Nop Kind = iota
	Accept
	AcceptMultishot
	Connect
	Recv
	RecvProvided
	RecvMultishot
	RecvMessages // a multishot, too; only in programs written by hand
	Send
	Sendmsg
	Shutdown
	Close
	Read
	ReadProvided
	Write
	Poll
	PollMultishot
	PollRemove
	Timeout
	TimeoutRemove
	LinkTimeout
	Cancel
	CancelFD
	CancelAny
	Unknown
	ReadMultishot
	kinds
)

var kindNames = [kinds]string{"nop", "accept", "accept-multishot", "connect", "recv", "recv-provided", "recv-multishot", "recv-messages",
	"send", "sendmsg", "shutdown", "close", "read", "read-provided", "write", "poll", "poll-multishot", "poll-remove",
	"timeout", "timeout-remove", "link-timeout", "cancel", "cancel-fd", "cancel-any", "unknown-opcode", "read-multishot"}

func (k Kind) String() string { return kindNames[k] }

// Entry is one submission entry with symbols for descriptors and memory.
type Entry struct {
	ID     int // its user data; stays when a program is shrunk
	Kind   Kind
	Object Object
	Size   int    // bytes
	Group  int    // of provided buffers
	Target int    // ID of what a cancel or remove looks for
	Flags  uint32 // of the operation: MSG_*, poll mask, cancel flags, what to shut down
	Ioprio uint16 // RecvSendPollFirst
	Link   uint8  // SQELink, SQEHardLink or 0
	Count  uint32 // of a timeout; of a write to an eventfd, what to add; of a sendmsg, vectors
	To     Destination
	Short  bool // of a timeout: it passes within the step, else never
	Fixed  Registration
}

// Registration says which registered buffer a read or write names.
type Registration uint8

// The registrations.
const (
	Unregistered Registration = iota // none: it is a plain read or write
	Registered                       // the one that its memory lies within
	Outside                          // one that its memory does not lie within
	Absent                           // one that was never registered
	registrations
)

var registrationNames = [registrations]string{"", "registered", "outside of its registered buffer", "without its registered buffer"}

func (r Registration) String() string { return registrationNames[r] }

// Destination is where a connect goes.
type Destination uint8

// The destinations.
const (
	ToOutside  Destination = iota // somebody who listens and accepts
	ToListener                    // the program's own listener
	ToRefused                     // a port where nobody listens
)

var destinationNames = [...]string{"outside", "listener", "refused"}

func (d Destination) String() string { return destinationNames[d] }

// side says which queue of its descriptor an entry waits in.
type side uint8

const (
	readSide side = 1 << iota
	writeSide
)

func (e *Entry) sides() side {
	switch e.Kind {
	case Accept, AcceptMultishot, Recv, RecvProvided, RecvMultishot, RecvMessages, Read, ReadProvided, ReadMultishot:
		return readSide
	case Send, Sendmsg, Write:
		return writeSide
	case Connect:
		return readSide | writeSide
	}
	return 0
}

func (e *Entry) pipes() bool { return e.hasObject() && (e.Object == PipeOut || e.Object == PipeIn) }

func (e *Entry) hasObject() bool {
	switch e.Kind {
	case Nop, PollRemove, Timeout, TimeoutRemove, LinkTimeout, Cancel, CancelAny, Unknown:
		return false
	}
	return true
}

func (e *Entry) hasGroup() bool {
	return e.Kind == RecvProvided || e.Kind == RecvMultishot || e.Kind == RecvMessages || e.Kind == ReadProvided || e.Kind == ReadMultishot
}

// asynchronous entries are performed by a worker of the kernel's, or wait for
// the network: they end by themselves, but when is not known.
func (e *Entry) asynchronous() bool {
	return e.Kind == Shutdown || e.Kind == Connect || e.Kind == Write && e.Object == Event
}

// deferred entries are performed, in part, when Enter is about to return, past
// others of the batch: what polls first and is ready, and what a multishot
// reports after its first completion.
func (e *Entry) deferred() bool {
	return e.Ioprio != 0 || e.Kind == PollMultishot || e.Kind == RecvMultishot || e.Kind == RecvMessages || e.Kind == ReadMultishot || e.Kind == AcceptMultishot
}

func (e *Entry) polls() bool { return e.Kind == Poll || e.Kind == PollMultishot }

func (e *Entry) counts() bool { return e.Kind == Timeout && e.Count > 0 }

func (e *Entry) cancels() bool {
	switch e.Kind {
	case Cancel, CancelFD, CancelAny, PollRemove, TimeoutRemove:
		return true
	}
	return false
}

// flagName is a flag with the name it is printed by.
type flagName struct {
	bit  uint32
	name string
}

var (
	messageFlags = []flagName{{ring.MsgWaitAll, "WAITALL"}, {ring.MsgPeek, "PEEK"}, {ring.MsgDontWait, "DONTWAIT"}}
	pollFlags    = []flagName{{ring.PollIn, "IN"}, {ring.PollOut, "OUT"}, {ring.PollRDHup, "RDHUP"}, {ring.PollErr, "ERR"}, {ring.PollHup, "HUP"}}
	cancelFlags  = []flagName{{ring.CancelAll, "ALL"}}
	linkFlags    = []flagName{{uint32(ring.SQELink), "LINK"}, {uint32(ring.SQEHardLink), "HARDLINK"}}
)

func flagString(flags uint32, names []flagName) string {
	var s []string
	for _, n := range names {
		if flags&n.bit != 0 {
			s = append(s, n.name)
			flags &^= n.bit
		}
	}
	if flags != 0 {
		s = append(s, fmt.Sprintf("%#x", flags))
	}
	return strings.Join(s, "|")
}

// String is the entry in one line.
func (e Entry) String() string {
	words := []string{fmt.Sprintf("#%d", e.ID), e.Kind.String()}
	if e.hasObject() {
		words = append(words, e.Object.String())
	}
	if e.hasGroup() {
		words = append(words, fmt.Sprintf("group=%d", e.Group))
	}
	words = append(words, e.operands()...)
	if e.Count != 0 {
		words = append(words, fmt.Sprintf("count=%d", e.Count))
	}
	if e.Ioprio != 0 {
		words = append(words, "POLL_FIRST")
	}
	words = append(words, flagString(uint32(e.Link), linkFlags))
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}

// operands are what the kind of an entry takes.
func (e *Entry) operands() []string {
	size := fmt.Sprintf("%dB", e.Size)
	target := fmt.Sprintf("target=#%d", e.Target)
	switch e.Kind {
	case Recv, Send, Sendmsg, RecvProvided, RecvMultishot, RecvMessages:
		return []string{size, flagString(e.Flags, messageFlags)}
	case Read, Write, ReadProvided:
		return []string{size, e.Fixed.String()}
	case Poll, PollMultishot:
		return []string{flagString(e.Flags, pollFlags)}
	case Shutdown:
		return []string{[...]string{"RD", "WR", "RDWR", "how=3"}[e.Flags&3]}
	case Cancel:
		return []string{flagString(e.Flags, cancelFlags), target}
	case CancelFD:
		return []string{flagString(e.Flags, cancelFlags)}
	case PollRemove, TimeoutRemove:
		return []string{target}
	case Connect:
		return []string{"to=" + e.To.String()}
	case Timeout, LinkTimeout:
		if e.Short {
			return []string{"short"}
		}
		return []string{"long"}
	}
	return nil
}

// Verb is what somebody outside does.
type Verb uint8

// The verbs.
const (
	PeerWrites   Verb = iota // N bytes
	PeerReads                // up to N bytes
	PeerDrains               // reads until everything waiting to be sent is
	PeerCloses               // its end
	PeerShuts                // N as in shutdown(2)
	PeerResets               // closes with a reset, on TCP
	PeerConnects             // one more client to the listener
	Refill                   // provides the N buffers longest consumed again
	verbs
)

var verbNames = [verbs]string{"peer writes", "peer reads", "peer drains", "peer closes", "peer shuts", "peer resets", "client connects", "refill"}

// Act is something done from outside the queue.
type Act struct {
	Verb   Verb
	Object Object
	Group  int
	N      int
}

// String is the act in one line.
func (a Act) String() string {
	switch a.Verb {
	case Refill:
		return fmt.Sprintf("refill group=%d n=%d", a.Group, a.N)
	case PeerConnects:
		return "client connects"
	case PeerCloses, PeerResets, PeerDrains:
		return fmt.Sprintf("%v: %s", a.Object, verbNames[a.Verb])
	}
	return fmt.Sprintf("%v: %s %d", a.Object, verbNames[a.Verb], a.N)
}

// String is the program, a line for each entry and act.
func (p *Program) String() string {
	var b strings.Builder
	for i, g := range p.Groups {
		fmt.Fprintf(&b, "group %d: %d buffers of %d bytes", i, g.Count, g.Size)
		if g.Incremental {
			b.WriteString(", incremental")
		}
		b.WriteByte('\n')
	}
	if p.Named {
		b.WriteString("named pipes\n")
	}
	if p.Packets {
		b.WriteString("SOCK_SEQPACKET\n")
	}
	for o, slot := range p.Slots {
		if slot && p.uses()[o] {
			fmt.Fprintf(&b, "%v in a slot\n", Object(o))
		}
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "step %d\n", i)
		for _, e := range s.Entries {
			fmt.Fprintf(&b, "    %v\n", e)
		}
		for _, a := range s.Acts {
			fmt.Fprintf(&b, "    %v\n", a)
		}
	}
	return b.String()
}

// uses tells which objects a program needs.
func (p *Program) uses() (used [objects]bool) {
	for _, s := range p.Steps {
		for _, e := range s.Entries {
			if e.hasObject() {
				used[e.Object] = true
			}
			if e.Kind == Connect && e.To == ToListener {
				used[Listener] = true
			}
		}
		for _, a := range s.Acts {
			switch a.Verb {
			case PeerConnects:
				used[Listener] = true
			case Refill:
			default:
				used[a.Object] = true
			}
		}
	}
	return used
}

// chains cuts a batch into its chains.
func chains(batch []Entry) (list [][]Entry) {
	start := 0
	for i := range batch {
		if batch[i].Link == 0 || i == len(batch)-1 {
			list = append(list, batch[start:i+1])
			start = i + 1
		}
	}
	return list
}
