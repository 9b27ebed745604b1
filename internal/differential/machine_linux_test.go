package differential

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Open opens a queue for the calling goroutine.
type Open func() (ring.Queue, error)

// Run runs a program on a queue of its own, on the calling goroutine locked to
// its thread.
func Run(p *Program, open Open) (*Trace, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w, err := newWorld(p)
	if err != nil {
		return nil, err
	}
	defer w.close()
	q, err := open()
	if err != nil {
		return nil, err
	}
	defer q.Close()
	m := &machine{queue: q, world: w, live: map[int]*flight{}}
	for i, g := range p.Groups {
		if err := m.newPool(i, g); err != nil {
			return nil, err
		}
	}
	if err := m.register(p); err != nil {
		return nil, err
	}
	if err := m.fillSlots(p); err != nil {
		return nil, err
	}
	for i := range p.Steps {
		m.step(&p.Steps[i])
	}
	m.finish()
	return &m.trace, m.err
}

// machine runs one program on one queue.
type machine struct {
	queue    ring.Queue
	world    *world
	pools    []*pool
	live     map[int]*flight // entries in flight, by ID
	trace    Trace
	now      *StepTrace
	deadline time.Time
	kept     []any  // memory that entries point to
	arena    []byte // what is left of the registered buffer
	slots    [objects]bool
	err      error
}

// flight is an entry between submission and final completion.
type flight struct {
	entry  Entry
	chain  int   // ID of its first entry, -1 for none
	before []int // IDs of those before it in its chain
	buffer []byte
}

const (
	// patience is how long an entry that must end by itself may take.
	patience = 3 * time.Second
	// shortly is what a short timeout takes.
	shortly = 300 * time.Microsecond
)

func (m *machine) step(s *Step) {
	m.begin()
	m.submit(s.Entries)
	m.rest()
	for _, a := range s.Acts {
		m.now.Acts = append(m.now.Acts, m.perform(a))
		if m.polled(a.Object) || m.waitsForBuffer(a.Object) {
			m.rest() // epoll does not report what is over when it looks
		}
	}
	m.rest()
	m.end()
}

func (m *machine) begin() {
	m.trace.Steps = append(m.trace.Steps, StepTrace{})
	m.now = &m.trace.Steps[len(m.trace.Steps)-1]
	m.deadline = time.Now().Add(patience)
}

func (m *machine) end() {
	for id := range m.live {
		m.now.InFlight = append(m.now.InFlight, id)
	}
	slices.Sort(m.now.InFlight)
	if n := m.queue.InFlight(); n != len(m.live) {
		m.now.Acts = append(m.now.Acts, fmt.Sprintf("InFlight() = %d with %d in flight", n, len(m.live)))
	}
}

func (m *machine) expired() bool { return time.Now().After(m.deadline) }

// submit hands over a batch, but for the chains that are passed over.
func (m *machine) submit(batch []Entry) {
	r := newReferee(m, batch)
	var admitted [][]Entry
	n := 0
	for _, c := range chains(batch) {
		if r.admits(c) {
			admitted = append(admitted, c)
			n += len(c)
			continue
		}
		for _, e := range c {
			m.now.Skipped = append(m.now.Skipped, e.ID)
		}
	}
	if err := m.queue.Reserve(n); err != nil {
		m.err = err
	}
	for _, c := range admitted {
		m.submitChain(c)
	}
	if err := m.queue.Enter(0); err != nil {
		m.err = err
	}
}

func (m *machine) submitChain(c []Entry) {
	var before []int
	for i, e := range c {
		if e.Fixed > Registered && queuetest.LooksEarly() {
			e.Fixed = Unregistered // such a kernel fails the chain, later ones the entry
		}
		f := &flight{entry: e, chain: -1, before: slices.Clone(before)}
		if len(c) > 1 {
			f.chain = c[0].ID
		}
		m.live[e.ID] = f
		s := m.queue.Next()
		m.prepare(s, f)
		s.SetUserData(uint64(e.ID))
		if i < len(c)-1 {
			s.SetFlags(e.Link)
		}
		before = append(before, e.ID)
	}
}

// rest turns the queue until nothing moves any more.
func (m *machine) rest() {
	for quiet := 0; quiet < 2 && m.err == nil; quiet++ {
		m.world.settle()
		var wait time.Duration
		if m.moving() {
			wait = 10 * time.Millisecond
		}
		switch {
		case m.turn(wait) > 0:
			quiet = -1
		case wait == 0:
		case m.expired():
			m.now.Acts = append(m.now.Acts, "waited in vain for what must end by itself")
			m.deadline = time.Now().Add(patience)
			return
		default:
			quiet = -1
		}
	}
	m.world.meet()
}

// turn is one turn of the queue; it returns how many completions it brought.
func (m *machine) turn(wait time.Duration) (n int) {
	if err := m.queue.Enter(wait); err != nil {
		m.err = err
		return 0
	}
	var done [16]ring.CQE
	for {
		k := m.queue.Reap(done[:])
		for _, c := range done[:k] {
			m.note(c)
		}
		if n += k; k < len(done) || n > 10000 {
			return n
		}
	}
}

// moving says that something is in flight that ends by itself.
func (m *machine) moving() bool {
	for _, f := range m.live {
		if (f.endsByItself() || m.isTriedAgain(&f.entry)) && m.started(f) {
			return true
		}
	}
	return false
}

// isTriedAgain says that an entry is for a named pipe whose other end is closed. The
// kernel tries it again in every turn, 128 times, and then leaves it to a worker.
func (m *machine) isTriedAgain(e *Entry) bool {
	return m.world.named && e.pipes() && e.sides() != 0 && m.world.ends[e.Object].peer == closed
}

func (f *flight) endsByItself() bool {
	e := &f.entry
	return e.asynchronous() || (e.Kind == Timeout || e.Kind == LinkTimeout) && e.Short
}

// started says that nothing before f in its chain is in flight, but what it
// limits.
func (m *machine) started(f *flight) bool {
	before := f.before
	if f.entry.Kind == LinkTimeout && len(before) > 0 {
		before = before[:len(before)-1]
	}
	return !slices.ContainsFunc(before, func(id int) bool { return m.live[id] != nil })
}

// note takes a completion into the trace.
func (m *machine) note(cqe ring.CQE) {
	c := Completion{Result: cqe.Result(), Flags: cqe.Flags(), Chain: -1}
	f := m.live[int(cqe.UserData())]
	if f == nil {
		c.Entry.ID = int(cqe.UserData())
		m.now.Completions = append(m.now.Completions, c)
		m.now.Acts = append(m.now.Acts, fmt.Sprintf("#%d completed though not in flight", c.Entry.ID))
		return
	}
	c.Entry, c.Chain = f.entry, f.chain
	m.collect(&c, f)
	if c.final() {
		delete(m.live, f.entry.ID)
	}
	m.now.Completions = append(m.now.Completions, c)
}

// collect takes what a completion brings: bytes, a buffer, a descriptor.
func (m *machine) collect(c *Completion, f *flight) {
	e := &f.entry
	switch {
	case c.Flags&ring.CQEFBuffer != 0:
		if e.Group < len(m.pools) {
			c.Short = int(c.Result) < m.pools[e.Group].room(uint16(c.Flags>>16), e.Size)
			c.Data = m.pools[e.Group].take(uint16(c.Flags>>16), int(max(c.Result, 0)), c.Flags&ring.CQEFBufMore != 0)
		}
	case e.Kind == Recv || e.Kind == Read:
		c.Short = int(c.Result) < e.Size
		c.Data = slices.Clone(f.buffer[:min(max(int(c.Result), 0), len(f.buffer))])
	case (e.Kind == Accept || e.Kind == AcceptMultishot) && c.Result >= 0:
		c.Peer = m.world.accepted(int(c.Result))
		c.Result = 0
	case e.Kind == Close && c.Result == 0:
		if m.slots[e.Object] { // the file has gone from its slot, and now goes
			unix.Close(m.world.ends[e.Object].ours)
		}
		m.world.ends[e.Object].ours = noFile
	}
}

// finish cancels what is in flight, and compares what is left behind.
func (m *machine) finish() {
	for round := 0; m.err == nil && len(m.live) > 0; round++ {
		m.begin()
		if round == 10 {
			m.now.Acts = append(m.now.Acts, "canceling does not end")
			m.end()
			return
		}
		m.submitChain([]Entry{{ID: 10000 + round, Kind: CancelAny}})
		m.rest()
		m.end()
	}
	m.begin()
	m.now.Acts = m.remains()
}

// busy tells which sides of an object entries in flight wait in or will.
func (m *machine) busy(o Object) (s side) {
	for _, f := range m.live {
		if f.entry.hasObject() && f.entry.Object == o {
			s |= f.entry.sides()
		}
	}
	return s
}

func (m *machine) polled(o Object) bool {
	for _, f := range m.live {
		if f.entry.Object == o && f.entry.polls() {
			return true
		}
	}
	return false
}

// waitsForBuffer says that an entry is parked on an object that looks for a buffer
// when it is woken, be it for nothing.
func (m *machine) waitsForBuffer(o Object) bool {
	for _, f := range m.live {
		if f.entry.Object == o && f.entry.hasGroup() {
			return true
		}
	}
	return false
}

// timespec is kept: the kernel reads it when the entry is submitted.
func (m *machine) timespec(e *Entry) *ring.Timespec {
	t := ring.NewTimespec(time.Hour)
	if e.Short {
		t = ring.NewTimespec(shortly)
	}
	m.kept = append(m.kept, &t)
	return &t
}

// memory is a buffer of an entry, filled with bytes that tell whose it is.
func (m *machine) memory(f *flight) []byte {
	f.buffer = m.allocate(&f.entry)
	for i := range f.buffer {
		f.buffer[i] = byte(f.entry.ID*31 + i*3)
	}
	m.kept = append(m.kept, f.buffer)
	return f.buffer
}

// The places of the table of registered buffers.
const (
	arenaPlace  = 0
	absentPlace = 1
)

// register registers memory for the entries of a program that want such.
func (m *machine) register(p *Program) error {
	size := 0
	for _, s := range p.Steps {
		for _, e := range s.Entries {
			if e.Fixed != Unregistered {
				size += e.Size + 1 // an arena of nothing would be no buffer
			}
		}
	}
	if size == 0 {
		return nil
	}
	m.arena = make([]byte, size)
	if err := m.queue.RegisterBuffers(2); err != nil {
		return err
	}
	return m.queue.UpdateBuffer(arenaPlace, m.arena)
}

// fillSlots puts the objects of a program that want it into slots. Entries do not
// name their descriptors then, with which the world looks at them all the same.
func (m *machine) fillSlots(p *Program) error {
	if !slices.Contains(p.Slots[:], true) {
		return nil
	}
	if err := m.queue.RegisterFiles(int(objects)); err != nil {
		return err
	}
	for o, slot := range p.Slots {
		if slot && m.world.ends[o].made {
			m.slots[o] = true
			if _, err := m.queue.UpdateFiles(o, []int32{int32(m.world.ends[o].ours)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *machine) allocate(e *Entry) (p []byte) {
	if e.Fixed != Registered && e.Fixed != Absent {
		return make([]byte, e.Size)
	}
	p, m.arena = m.arena[:e.Size:e.Size], m.arena[e.Size:]
	return p
}

// fix makes a read or write one that names a registered buffer.
func fix(s *ring.SQE, e *Entry) {
	f := (*queueabi.SQE)(s).Entry()
	switch {
	case e.Fixed == Unregistered:
		return
	case ring.Op(f.Opcode) == ring.OpRead:
		f.Opcode = uint8(ring.OpReadFixed)
	default:
		f.Opcode = uint8(ring.OpWriteFixed)
	}
	f.BufGroup = arenaPlace
	if e.Fixed == Absent {
		f.BufGroup = absentPlace
	}
}

func eventValue(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }

func (m *machine) message(f *flight) *ring.Msghdr {
	p := m.memory(f)
	n := max(1, int(f.entry.Count))
	vector := make([]ring.Iovec, n)
	for i := range vector {
		part := p[len(p)*i/n : len(p)*(i+1)/n]
		vector[i] = ring.Iovec{Base: unsafe.SliceData(part), Len: uintptr(len(part))}
	}
	h := &ring.Msghdr{Iov: &vector[0], Iovlen: uintptr(n)}
	m.kept = append(m.kept, vector, h)
	return h
}

// prepare fills a submission entry.
func (m *machine) prepare(s *ring.SQE, f *flight) {
	e := &f.entry
	fd, slot := noFile, false
	if e.hasObject() {
		fd, slot = m.world.ends[e.Object].ours, m.slots[e.Object]
	}
	if slot {
		m.prepareSlot(s, f)
		return
	}
	m.prepareOn(s, f, fd)
}

// prepareSlot fills one that names its object by a slot.
func (m *machine) prepareSlot(s *ring.SQE, f *flight) {
	switch slot := int(f.entry.Object); f.entry.Kind {
	case Close:
		s.PrepCloseDirect(slot)
	case CancelFD:
		s.PrepCancelSlot(slot, f.entry.Flags)
	default:
		m.prepareOn(s, f, slot)
		s.SetFlags(ring.SQEFixedFile)
	}
}

// prepareOn fills one with the descriptor or slot it names.
func (m *machine) prepareOn(s *ring.SQE, f *flight, fd int) {
	e := &f.entry
	switch e.Kind {
	case Nop:
		s.PrepNop()
	case Timeout:
		s.PrepTimeout(m.timespec(e), e.Count, 0)
	case LinkTimeout:
		s.PrepLinkTimeout(m.timespec(e), 0)
	case TimeoutRemove:
		s.PrepTimeoutRemove(uint64(e.Target))
	case PollRemove:
		s.PrepOperation(uint8(ring.OpPollRemove), -1, uint64(e.Target), 0, 0)
	case Cancel:
		s.PrepCancel(uint64(e.Target), e.Flags)
	case CancelFD:
		s.PrepCancelFD(fd, e.Flags)
	case CancelAny:
		s.PrepCancelAny()
	case Unknown:
		s.PrepOperation(200, -1, 0, 0, 0)
	case Close:
		s.PrepClose(fd)
	case Shutdown:
		s.PrepShutdown(fd, int(e.Flags))
	case Poll:
		s.PrepPoll(fd, e.Flags)
	case PollMultishot:
		s.PrepMultishotPoll(fd, e.Flags)
	default:
		m.prepareTransfer(s, f, fd)
	}
	if e.Ioprio != 0 {
		(*queueabi.SQE)(s).Entry().Ioprio |= e.Ioprio
	}
}

// prepareTransfer fills those that move bytes or make connections.
func (m *machine) prepareTransfer(s *ring.SQE, f *flight, fd int) {
	e := &f.entry
	switch e.Kind {
	case Accept:
		s.PrepAccept(fd, unix.SOCK_CLOEXEC)
	case AcceptMultishot:
		s.PrepMultishotAccept(fd, unix.SOCK_CLOEXEC)
	case Connect:
		address := map[Destination][]byte{ToOutside: m.world.toOut, ToListener: m.world.toList, ToRefused: refusedAddress()}[e.To]
		if address == nil {
			address = refusedAddress()
		}
		m.kept = append(m.kept, address)
		s.PrepConnect(fd, address)
	case Recv:
		s.PrepRecv(fd, m.memory(f), e.Flags)
	case RecvProvided:
		s.PrepRecvProvided(fd, uint16(e.Group), e.Flags)
		(*queueabi.SQE)(s).Entry().Len = uint32(e.Size)
	case RecvMultishot:
		s.PrepMultishotRecv(fd, uint16(e.Group), e.Flags)
		(*queueabi.SQE)(s).Entry().Len = uint32(e.Size)
	case RecvMessages:
		h := new(ring.Msghdr)
		m.kept = append(m.kept, h)
		s.PrepMultishotRecvmsg(fd, h, uint16(e.Group), e.Flags)
	case Send:
		s.PrepSend(fd, m.memory(f), e.Flags)
	case Sendmsg:
		s.PrepSendmsg(fd, m.message(f), e.Flags)
	case Read:
		s.PrepRead(fd, m.memory(f))
		fix(s, e)
	case ReadProvided:
		s.PrepRead(fd, nil)
		s.SetFlags(ring.SQEBufferSelect)
		s.SetBufGroup(uint16(e.Group))
		(*queueabi.SQE)(s).Entry().Len = uint32(e.Size)
	case ReadMultishot:
		s.PrepMultishotRead(fd, uint16(e.Group))
	case Write:
		if p := m.memory(f); e.Object == Event && len(p) >= 8 {
			copy(p, eventValue(uint64(max(1, e.Count)))) // of 0 epoll would see nothing
		}
		s.PrepWrite(fd, f.buffer)
		fix(s, e)
	}
}
