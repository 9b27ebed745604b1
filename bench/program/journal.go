package program

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

var _ = workload.Register(workload.Workload{
	Name:        "journal",
	About:       "records appended to a file and synced before they are answered; those that come meanwhile go together (group commit)",
	Unit:        "records",
	Section:     workload.Programs,
	Cells:       []workload.Cell{journalCell(0, 1, 1, 0), journalCell(0, 64, 1, 0)},
	Custom:      journalCell,
	Rated:       true,
	Contestants: journalServer.contestants(),
	Baseline:    "journal-net",
	Prepare:     func(string) error { return nil },
	Drive: workload.Requests{
		Request: func(job load.Job) []byte {
			p := make([]byte, max(job.Size, recordHeader))
			binary.LittleEndian.PutUint32(p, uint32(len(p)))
			return p
		},
		Probe: func(conn net.Conn, _ load.Job, request []byte) (int, error) {
			return workload.Expect(conn, request, []byte{recordKept})
		},
	}.Drive,
})

func journalCell(size, conns, window, _ int) workload.Cell {
	return workload.Cell{Workload: "journal", Size: or(size, 128), Conns: or(conns, 64), Window: or(window, 1)}
}

// A record begins with its length, and is answered by one byte.
const (
	recordHeader = 4
	recordKept   = '+'
)

var journalServer = server{
	name:  "journal",
	about: "a journal",
	listen: func(ln net.Listener, o contestant.Options) error {
		f, err := os.Create(journalFile(o))
		if err != nil {
			return err
		}
		j := &fileJournal{file: f, group: newFileGroup()}
		return serveEach(ln, j.serve)
	},
	onLoop: func(rt *proactor.Runtime, o contestant.Options) (connHandler, error) {
		f, err := rt.Create(journalFile(o)).Await(context.Background())
		if err != nil {
			return nil, err
		}
		j := &loopJournal{rt: rt, file: f, group: newLoopGroup()}
		return j.serve, nil
	},
}

func journalFile(o contestant.Options) string { return filepath.Join(o.Dir, "journal") }

var errRecord = errors.New("a record that is shorter than its header")

// fileJournal is on os.File, for goroutines. Who finds nobody writing writes.
type fileJournal struct {
	file *os.File

	mu      sync.Mutex
	group   *fileGroup // is being filled
	writing bool
}

// fileGroup is the records that are written together.
type fileGroup struct {
	data []byte
	done chan struct{} // closed when they are on the disk, or err is set
	err  error
}

func newFileGroup() *fileGroup { return &fileGroup{done: make(chan struct{})} }

func (j *fileJournal) serve(c net.Conn) error {
	in, header, record := bufio.NewReader(c), make([]byte, recordHeader), []byte(nil)
	for {
		if _, err := io.ReadFull(in, header); err != nil {
			return err
		}
		size := int(binary.LittleEndian.Uint32(header))
		if size < recordHeader {
			return errRecord
		}
		if cap(record) < size {
			record = make([]byte, size)
		}
		record = append(record[:0], header...)[:size]
		if _, err := io.ReadFull(in, record[recordHeader:]); err != nil {
			return err
		}
		if err := j.append(record); err != nil {
			return err
		}
		if _, err := c.Write([]byte{recordKept}); err != nil {
			return err
		}
	}
}

// append returns when the record is on the disk.
func (j *fileJournal) append(record []byte) error {
	j.mu.Lock()
	g := j.group
	g.data = append(g.data, record...)
	first := !j.writing
	j.writing = true
	j.mu.Unlock()
	if first {
		j.write()
	}
	<-g.done
	return g.err
}

// write writes the group. If there is another one then, that is for a goroutine of its own:
// the caller has somebody to answer.
func (j *fileJournal) write() {
	j.mu.Lock()
	g := j.group
	j.group = newFileGroup()
	j.mu.Unlock()
	if _, g.err = j.file.Write(g.data); g.err == nil {
		g.err = j.file.Sync()
	}
	close(g.done)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.writing = len(j.group.data) > 0; j.writing {
		go j.write()
	}
}

// loopJournal is on File of this library. The one loop alone touches it.
type loopJournal struct {
	rt      *proactor.Runtime
	file    *proactor.File
	group   *loopGroup // is being filled
	writing bool
}

// loopGroup likewise.
type loopGroup struct {
	data []byte
	done *futures.Promise[struct{}]
}

func newLoopGroup() *loopGroup { return &loopGroup{done: futures.NewPromise[struct{}]()} }

func (j *loopJournal) serve(ctx context.Context, c *proactor.Conn) error {
	in := c.Reader()
	for {
		header, err := in.Peek(ctx, recordHeader)
		if err != nil {
			return err
		}
		size := int(binary.LittleEndian.Uint32(header))
		if size < recordHeader {
			return errRecord
		}
		record, err := in.Peek(ctx, size)
		if err != nil {
			return err
		}
		g := j.group
		g.data = append(g.data, record...)
		in.Discard(size)
		j.write()
		if _, err := g.done.Future().Await(ctx); err != nil {
			return err
		}
		if _, err := c.SendBytes([]byte{recordKept}).Await(ctx); err != nil {
			return err
		}
	}
}

// write writes the group, unless one is being written: a write and a sync as one chain.
func (j *loopJournal) write() {
	if j.writing || len(j.group.data) == 0 {
		return
	}
	g := j.group
	j.writing, j.group = true, newLoopGroup()
	j.rt.Chain(j.file.WriteNextStep(g.data), j.file.SyncStep()).Then(func(_ []proactor.StepResult, err error) {
		j.writing = false
		g.done.Settle(struct{}{}, err)
		j.write()
	})
}
