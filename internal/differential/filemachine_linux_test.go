package differential

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// FileTrace is what came of a FileProgram on one queue.
type FileTrace struct {
	Chains [][]FileOutcome // in the order in which the entries ended
	Left   []string        // of the directory and of what is open, at the end
}

// FileOutcome is the completion of one entry, with what it brought.
type FileOutcome struct {
	Entry  FileEntry
	Result int32 // 0 for a descriptor
	Flags  uint32
	Data   []byte // that was read
	Stat   string // what is certain of a statx
}

// String is the outcome in one line.
func (o FileOutcome) String() string {
	s := fmt.Sprintf("%v = %d", o.Entry, o.Result)
	if o.Result < 0 {
		s += fmt.Sprintf(" (%v)", syscall.Errno(-o.Result))
	}
	if len(o.Data) > 0 {
		s += " " + digest(o.Data)
	}
	return s + o.Stat
}

// CompareFiles holds b to a; nil when they agree. All is compared: the order in
// which the entries of a chain ended, results, flags, the bytes that were read,
// and what is left.
func CompareFiles(a, b *FileTrace) *Difference {
	for i := range min(len(a.Chains), len(b.Chains)) {
		for j := range max(len(a.Chains[i]), len(b.Chains[i])) {
			switch {
			case j == len(a.Chains[i]):
				return &Difference{i, fmt.Sprintf("nothing, %v", b.Chains[i][j])}
			case j == len(b.Chains[i]):
				return &Difference{i, fmt.Sprintf("%v, nothing", a.Chains[i][j])}
			}
			if x, y := a.Chains[i][j], b.Chains[i][j]; !sameOutcome(&x, &y) {
				return &Difference{i, fmt.Sprintf("%v, %v", x, y)}
			}
		}
	}
	if !slices.Equal(a.Left, b.Left) {
		return &Difference{len(a.Chains), fmt.Sprintf("there is left\n    %s\nand\n    %s", strings.Join(a.Left, "\n    "), strings.Join(b.Left, "\n    "))}
	}
	return nil
}

func sameOutcome(a, b *FileOutcome) bool {
	return a.Entry.ID == b.Entry.ID && a.Result == b.Result && a.Flags == b.Flags && bytes.Equal(a.Data, b.Data) && a.Stat == b.Stat
}

// RunFiles runs a program on a queue of its own, in a directory of its own that
// it makes in parent.
func RunFiles(p *FileProgram, open Open, parent string) (*FileTrace, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := &fileMachine{open: [slots]int{noFile, noFile, noFile}, memory: map[int]*fileMemory{}}
	var err error
	if m.dir, err = os.MkdirTemp(parent, "files"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(m.dir)
	if m.at, err = unix.Open(m.dir, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	m.descriptors = append(m.descriptors, m.at)
	defer m.close()
	if m.queue, err = open(); err != nil {
		return nil, err
	}
	defer m.queue.Close()
	if ended, err := m.runChains(p); err != nil {
		return nil, err
	} else if !ended {
		return &m.trace, nil
	}
	return &m.trace, m.survey()
}

// runChains runs the chains within the limit of the program, which must not meet
// what package testing writes.
func (m *fileMachine) runChains(p *FileProgram) (ended bool, err error) {
	unlimited, err := limitFileSize(p.Limit)
	if err != nil {
		return false, err
	}
	defer unlimited()
	for _, c := range p.Chains {
		if ended, err := m.run(c); err != nil || !ended {
			return ended, err
		}
	}
	return true, nil
}

// limitFileSize sets how large files of this process may grow, and returns what
// undoes that.
func limitFileSize(n int64) (undo func(), err error) {
	if n == 0 {
		return func() {}, nil
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		return nil, err
	}
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(n), Max: before.Max}); err != nil {
		return nil, err
	}
	return func() {
		unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
		signal.Reset(unix.SIGXFSZ)
	}, nil
}

// fileMachine runs one program on one queue.
type fileMachine struct {
	queue       ring.Queue
	dir         string
	at          int                 // dir, opened
	direct      [slots]bool         // opened with O_DIRECT
	open        [slots]int          // what the entries of the next chain name
	descriptors []int               // to be closed at the end
	memory      map[int]*fileMemory // of every entry, for as long as the queue is open
	trace       FileTrace
}

// fileMemory is what an entry points to.
type fileMemory struct {
	bytes       []byte
	vector      []ring.Iovec
	name, other []byte
	stat        unix.Statx_t
}

func (m *fileMachine) close() {
	for _, fd := range m.descriptors {
		unix.Close(fd)
	}
}

// run submits a chain and waits until all of it has ended, but not for ever.
func (m *fileMachine) run(c []FileEntry) (ended bool, err error) {
	if err := m.queue.Reserve(len(c)); err != nil {
		return false, err
	}
	live := map[int]FileEntry{}
	for i, e := range c {
		live[e.ID] = e
		s := m.queue.Next()
		m.prepare(s, &e)
		s.SetUserData(uint64(e.ID))
		if i < len(c)-1 {
			s.SetFlags(e.Link)
		}
	}
	var outcomes []FileOutcome
	for deadline := time.Now().Add(patience); len(live) > 0; {
		if err := m.queue.Enter(10 * time.Millisecond); err != nil {
			return false, err
		}
		var done [16]ring.CQE
		for _, cqe := range done[:m.queue.Reap(done[:])] {
			e, known := live[int(cqe.UserData())]
			if !known {
				e = FileEntry{ID: -int(cqe.UserData())} // of nobody: the other queue has none such
			}
			delete(live, e.ID)
			outcomes = append(outcomes, m.outcome(e, cqe))
		}
		if time.Now().After(deadline) {
			break // what is missing shows in the comparison
		}
	}
	m.trace.Chains = append(m.trace.Chains, outcomes)
	return len(live) == 0, nil
}

// outcome takes what a completion brings.
func (m *fileMachine) outcome(e FileEntry, cqe ring.CQE) FileOutcome {
	o := FileOutcome{Entry: e, Result: cqe.Result(), Flags: cqe.Flags()}
	mem := m.memory[e.ID]
	switch {
	case o.Result < 0, mem == nil:
	case e.Kind == FileOpen:
		m.open[e.Slot], m.direct[e.Slot] = int(o.Result), e.Flags&unix.O_DIRECT != 0
		m.descriptors = append(m.descriptors, int(o.Result))
		o.Result = 0
	case e.Kind == FileClose:
		fd := m.open[e.Slot]
		m.open[e.Slot] = noFile
		m.descriptors = slices.DeleteFunc(m.descriptors, func(n int) bool { return n == fd })
	case e.Kind.reads():
		o.Data = slices.Clone(mem.bytes[:min(int(o.Result), len(mem.bytes))])
	case e.Kind == FileStat, e.Kind == NameStat:
		s := &mem.stat
		o.Stat = fmt.Sprintf(" mode=%#o links=%d", s.Mode, s.Nlink)
		if s.Mode&unix.S_IFMT != unix.S_IFDIR { // of which the size is the file system's business
			o.Stat += fmt.Sprintf(" size=%d", s.Size)
		}
	}
	return o
}

// survey notes what is left.
func (m *fileMachine) survey() error {
	for i, fd := range m.open {
		if at, err := unix.Seek(fd, 0, io.SeekCurrent); err == nil {
			m.trace.Left = append(m.trace.Left, fmt.Sprintf("slot %d: cursor at %d", i, at))
		}
	}
	return filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == m.dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v", strings.TrimPrefix(path, m.dir), info.Mode())
		switch {
		case info.Mode().IsRegular():
			content, err := head(path)
			line += fmt.Sprintf(" links=%d size=%d %s", info.Sys().(*syscall.Stat_t).Nlink, info.Size(), digest(content))
			if err != nil {
				line += " " + err.(*fs.PathError).Err.Error()
			}
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			line += " to " + shortened(to)
		}
		m.trace.Left = append(m.trace.Left, line)
		return nil
	})
}

// head is the content of a file, of one that is mostly a hole the beginning.
func head(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// remember makes the memory of an entry: bytes on a page boundary, for O_DIRECT.
func (m *fileMachine) remember(e *FileEntry) *fileMemory {
	mem := &fileMemory{name: append([]byte(e.Name), 0), other: append([]byte(e.Other), 0)}
	if e.Kind.reads() || e.Kind.writes() {
		const page = 4096
		all := make([]byte, e.Size+page)
		skip := int64(-uintptr(unsafe.Pointer(unsafe.SliceData(all))) & (page - 1))
		mem.bytes = all[skip : skip+e.Size]
		for i := range mem.bytes {
			mem.bytes[i] = byte(e.ID*31 + i*3)
		}
	}
	for i := range e.Pieces {
		part := mem.bytes[len(mem.bytes)*i/e.Pieces : len(mem.bytes)*(i+1)/e.Pieces]
		mem.vector = append(mem.vector, ring.Iovec{Base: unsafe.SliceData(part), Len: uintptr(len(part))})
	}
	m.memory[e.ID] = mem
	return mem
}

// prepare fills a submission entry.
func (m *fileMachine) prepare(s *ring.SQE, e *FileEntry) {
	mem := m.remember(e)
	if e.Offset == ring.AtCursor && m.direct[e.Slot] {
		e.Offset = 0 // see package comment
	}
	fd, name, other := m.open[e.Slot], &mem.name[0], &mem.other[0]
	switch e.Kind {
	case FileOpen:
		s.PrepOpenat(m.at, name, e.Flags, e.Mode)
	case FileClose:
		s.PrepClose(fd)
	case FileRead:
		s.PrepReadAt(fd, mem.bytes, e.Offset)
	case FileWrite:
		s.PrepWriteAt(fd, mem.bytes, e.Offset)
	case FileReadVector:
		s.PrepReadv(fd, mem.vector, e.Offset)
	case FileWriteVector:
		s.PrepWritev(fd, mem.vector, e.Offset)
	case FileSync:
		s.PrepFsync(fd, e.Flags)
	case FileAllocate:
		s.PrepFallocate(fd, e.Flags, e.Offset, e.Size)
	case FileTruncate:
		s.PrepFtruncate(fd, e.Size)
	case FileAdvise:
		s.PrepFadvise(fd, e.Offset, uint32(e.Size), e.Flags)
	default:
		m.prepareNames(s, e, fd, name, other)
	}
}

// prepareNames fills those about names.
func (m *fileMachine) prepareNames(s *ring.SQE, e *FileEntry, fd int, name, other *byte) {
	const mask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_NLINK | unix.STATX_SIZE
	stat := unsafe.Pointer(&m.memory[e.ID].stat)
	switch e.Kind {
	case FileStat:
		s.PrepStatx(fd, other, unix.AT_EMPTY_PATH, mask, stat) // it has none: the empty path
	case NameStat:
		s.PrepStatx(m.at, name, e.Flags, mask, stat)
	case NameRename:
		s.PrepRenameat(m.at, name, m.at, other, e.Flags)
	case NameLink:
		s.PrepLinkat(m.at, name, m.at, other, e.Flags)
	case NameSymlink:
		s.PrepSymlinkat(name, m.at, other)
	case NameUnlink:
		s.PrepUnlinkat(m.at, name, e.Flags)
	case NameMkdir:
		s.PrepMkdirat(m.at, name, e.Mode)
	}
}
