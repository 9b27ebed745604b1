package simulation_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goproactor/goproactor/internal/simulation"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// machine is a queue in a bubble, with what its program needs.
type machine struct {
	t *testing.T
	*simulation.Queue
	network *simulation.Network
	next    uint64
	came    []ring.CQE // that nobody has awaited yet
}

// conditions under which everything comes at once and whole.
var conditions = simulation.Conditions{Latency: time.Millisecond, Window: 1000}

// onQueue runs a program on a queue, and returns the violations and what was refused.
func onQueue(t *testing.T, c simulation.Conditions, program func(m *machine)) (violations []string, refused map[ring.Op]int) {
	synctest.Test(t, func(t *testing.T) {
		n := simulation.New(1, c)
		m := &machine{t: t, Queue: n.Open(), network: n}
		program(m)
		require.NoError(t, m.Close())
		require.NoError(t, m.Close(), "closing twice is harmless")
		violations, refused = n.Violations(), n.Unsupported()
	})
	return violations, refused
}

// entry queues an entry and returns its user data.
func (m *machine) entry(prepare func(*ring.SQE)) uint64 {
	m.next++
	sqe := m.Next()
	prepare(sqe)
	sqe.SetUserData(m.next)
	return m.next
}

// await submits, and waits for the next completion of an entry.
func (m *machine) await(userData uint64) (result int32, flags uint32) {
	m.t.Helper()
	for {
		for i, c := range m.came {
			if c.UserData() == userData {
				m.came = slices.Delete(m.came, i, i+1)
				return c.Result(), c.Flags()
			}
		}
		require.NoError(m.t, m.Enter(ring.Forever))
		var some [8]ring.CQE
		m.came = append(m.came, some[:m.Reap(some[:])]...)
	}
}

// final is the result of an entry with one completion.
func (m *machine) final(userData uint64) int32 {
	m.t.Helper()
	result, _ := m.await(userData)
	return result
}

// run is the result of one entry.
func (m *machine) run(prepare func(*ring.SQE)) int32 {
	m.t.Helper()
	result, _ := m.await(m.entry(prepare))
	return result
}

// connect makes a connection over the network.
func (m *machine) connect() (client, server int) {
	fds, address, err := sockets.Listen("tcp", "127.0.0.1:0", 1, 10)
	require.NoError(m.t, err)
	var to sockets.Address
	client, err = sockets.PrepareDial(address, nil, &to)
	require.NoError(m.t, err)
	accept := m.entry(func(e *ring.SQE) { e.PrepAccept(fds[0], unix.SOCK_CLOEXEC) })
	connect := m.entry(func(e *ring.SQE) { e.PrepConnect(client, to.Bytes()) })
	result, _ := m.await(accept)
	require.Positive(m.t, result)
	zero, _ := m.await(connect)
	require.Zero(m.t, zero)
	m.close(fds[0])
	return client, int(result)
}

func (m *machine) close(fd int) {
	require.Zero(m.t, m.run(func(e *ring.SQE) { e.PrepClose(fd) }))
}

// violation runs a program that breaks a rule, and looks for the words of it.
func violation(t *testing.T, words string, program func(m *machine)) {
	t.Helper()
	violations, _ := onQueue(t, conditions, program)
	require.Len(t, violations, 1)
	require.Contains(t, violations[0], words)
}

func TestRulesThatAreKept(t *testing.T) {
	violations, refused := onQueue(t, conditions, func(m *machine) {
		client, server := m.connect()
		p := []byte("012345")
		recv := m.entry(func(e *ring.SQE) { e.PrepRecv(server, p, 0) })
		require.EqualValues(m.t, 3, m.run(func(e *ring.SQE) { e.PrepSend(client, []byte("abc"), 0) }))
		n, _ := m.await(recv)
		require.EqualValues(m.t, 3, n)
		require.Equal(m.t, "abc345", string(p), "what was not received is as it was")
		m.close(client)
		require.Zero(m.t, m.run(func(e *ring.SQE) { e.PrepRecv(server, p, 0) }))
		m.close(server)
		require.Zero(m.t, m.InFlight())
	})
	require.Empty(t, violations)
	require.Empty(t, refused)
}

func TestMemoryOfAReceiveIsTouched(t *testing.T) {
	violation(t, "IORING_OP_RECV was written to", func(m *machine) {
		client, server := m.connect()
		p := make([]byte, 6)
		recv := m.entry(func(e *ring.SQE) { e.PrepRecv(server, p, 0) })
		require.NoError(m.t, m.Enter(0))
		p[5] = 1
		m.run(func(e *ring.SQE) { e.PrepSend(client, []byte("abc"), 0) })
		m.await(recv)
		m.close(client)
		m.close(server)
	})
}

func TestMemoryOfASendIsTouched(t *testing.T) {
	violation(t, "IORING_OP_SEND was changed", func(m *machine) {
		client, server := m.connect()
		p := make([]byte, 1500) // more than there is room for
		send := m.entry(func(e *ring.SQE) { e.PrepSend(client, p, ring.MsgWaitAll) })
		require.NoError(m.t, m.Enter(0))
		p[1400] = 1
		m.run(func(e *ring.SQE) { e.PrepRecv(server, make([]byte, 1500), ring.MsgWaitAll) })
		m.await(send)
		m.close(client)
		m.close(server)
	})
}

func TestProvidedBufferIsTouched(t *testing.T) {
	violation(t, "provided buffer", func(m *machine) {
		client, server := m.connect()
		buffers, err := ring.NewBufferRing(1)
		require.NoError(m.t, err)
		p := make([]byte, 100)
		buffers.Add(p, 7)
		buffers.Publish()
		require.NoError(m.t, m.RegisterBufferRing(1, buffers))
		p[50] = 1
		recv := m.entry(func(e *ring.SQE) { e.PrepMultishotRecv(server, 1, 0) })
		m.run(func(e *ring.SQE) { e.PrepSend(client, []byte("abc"), 0) })
		n, flags := m.await(recv)
		require.EqualValues(m.t, 3, n)
		require.Equal(m.t, ring.CQEFBuffer|ring.CQEFMore|7<<16, flags)
		m.close(client)
		end, _ := m.await(recv)
		require.Zero(m.t, end)
		m.close(server)
		require.NoError(m.t, m.UnregisterBufferRing(1))
	})
}

func TestOperationIsLeft(t *testing.T) {
	violation(t, "IORING_OP_POLL_ADD is in flight on queue 1 when that is closed", func(m *machine) {
		client, server := m.connect()
		m.close(server)
		m.t.Cleanup(func() { sockets.Close(client) })
		m.entry(func(e *ring.SQE) { e.PrepPoll(client, ring.PollPri) })
		require.NoError(m.t, m.Enter(0))
	})
}

func TestSocketIsClosedUnderAnOperation(t *testing.T) {
	violation(t, "is closed while 1 operations are in flight", func(m *machine) {
		client, server := m.connect()
		recv := m.entry(func(e *ring.SQE) { e.PrepRecv(client, make([]byte, 1), 0) })
		m.close(client)
		_, _ = recv, server
		m.close(server)
	})
}

func TestUserDataIsUsedTwice(t *testing.T) {
	violation(t, "has the user data of IORING_OP_RECV", func(m *machine) {
		client, server := m.connect()
		recv := m.entry(func(e *ring.SQE) { e.PrepRecv(client, make([]byte, 1), 0) })
		m.next--
		m.entry((*ring.SQE).PrepNop)
		require.NoError(m.t, m.Enter(0))
		m.close(server)
		m.await(recv)
		m.await(recv)
		m.close(client)
	})
}

func TestUnsupported(t *testing.T) {
	violations, refused := onQueue(t, conditions, func(m *machine) {
		require.EqualValues(m.t, -int32(syscall.EOPNOTSUPP), m.run(func(e *ring.SQE) { e.PrepFsync(0, 0) }))
		require.ErrorIs(m.t, m.RegisterFiles(1), syscall.EOPNOTSUPP)
	})
	require.Empty(t, violations)
	require.Equal(t, map[ring.Op]int{ring.OpFsync: 1}, refused)
}

func TestTimeouts(t *testing.T) {
	violations, _ := onQueue(t, conditions, func(m *machine) {
		client, server := m.connect()
		begun := time.Now()
		hour := ring.NewTimespec(time.Hour)
		require.EqualValues(m.t, -int32(syscall.ETIME), m.run(func(e *ring.SQE) { e.PrepTimeout(&hour, 0, 0) }))
		require.InDelta(m.t, time.Hour, time.Since(begun), float64(time.Millisecond))

		// A link timeout ends the receive before it, which breaks the chain.
		recv := m.entry(func(e *ring.SQE) { e.PrepRecv(client, make([]byte, 1), 0); e.SetFlags(ring.SQELink) })
		limit := m.entry(func(e *ring.SQE) { e.PrepLinkTimeout(&hour, 0); e.SetFlags(ring.SQELink) })
		nop := m.entry((*ring.SQE).PrepNop)
		require.EqualValues(m.t, -int32(syscall.ECANCELED), m.final(recv))
		require.EqualValues(m.t, -int32(syscall.ETIME), m.final(limit))
		require.EqualValues(m.t, -int32(syscall.ECANCELED), m.final(nop))

		// Enter waits no longer than it is told to.
		begun = time.Now()
		require.NoError(m.t, m.Enter(time.Minute))
		require.InDelta(m.t, time.Minute, time.Since(begun), float64(time.Millisecond))
		m.close(client)
		m.close(server)
	})
	require.Empty(t, violations)
}

func TestCancel(t *testing.T) {
	violations, _ := onQueue(t, conditions, func(m *machine) {
		client, server := m.connect()
		recv := m.entry(func(e *ring.SQE) { e.PrepRecv(client, make([]byte, 1), 0) })
		cancel := m.entry(func(e *ring.SQE) { e.PrepCancel(recv, 0) })
		require.EqualValues(m.t, -int32(syscall.ECANCELED), m.final(recv))
		require.EqualValues(m.t, 0, m.final(cancel))
		require.EqualValues(m.t, -int32(syscall.ENOENT), m.run(func(e *ring.SQE) { e.PrepCancel(recv, 0) }))
		require.Zero(m.t, m.run(func(e *ring.SQE) { e.PrepCancelFD(client, ring.CancelAll) }))
		m.close(client)
		m.close(server)
	})
	require.Empty(t, violations)
}

// A reset by connect(2), as the library does it past the queue, reaches the peer.
func TestReset(t *testing.T) {
	violations, _ := onQueue(t, conditions, func(m *machine) {
		client, server := m.connect()
		sockets.Reset(client)
		require.EqualValues(m.t, -int32(syscall.ECONNRESET), m.run(func(e *ring.SQE) { e.PrepRecv(server, make([]byte, 1), 0) }))
		require.Zero(m.t, m.run(func(e *ring.SQE) { e.PrepRecv(server, make([]byte, 1), 0) }))
		require.EqualValues(m.t, -int32(syscall.EPIPE), m.run(func(e *ring.SQE) { e.PrepSend(server, make([]byte, 1), 0) }))
		m.close(client)
		m.close(server)
	})
	require.Empty(t, violations)
}

// Bytes that go through the kernel's socket are found.
func TestBytesPastTheSimulation(t *testing.T) {
	violation(t, "3 bytes went past the simulation", func(m *machine) {
		client, server := m.connect()
		_, err := unix.Write(client, []byte("abc"))
		require.NoError(m.t, err)
		m.close(server)
		m.close(client)
	})
}

func TestStep(t *testing.T) {
	s := simulation.Step{Time: time.Second, Queue: 1, Op: ring.OpRecv, Socket: 2, Result: 3, More: true}
	require.True(t, strings.HasPrefix(s.String(), "1s queue 1 socket 2 IORING_OP_RECV = 3"))
}
