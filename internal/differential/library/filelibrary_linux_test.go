package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"golang.org/x/sys/unix"
)

// The names that steps use: those in the directory first, which are the only ones that
// are made, renamed or removed.
var (
	localNames  = []string{"a", "b", "c", "d", "d/e", "missing/x", "a/x", tooLong}
	deviceNames = []string{"/dev/full", "/dev/zero", "/dev/null", ""}
)

var tooLong = strings.Repeat("n", 300)

// tree is the directory of a run.
type tree struct{ dir string }

func (t tree) local(i int) string { return filepath.Join(t.dir, localNames[i%len(localNames)]) }

// any may be a device, or the directory itself.
func (t tree) any(i int) string {
	i %= len(localNames) + len(deviceNames)
	switch {
	case i < len(localNames):
		return t.local(i)
	case deviceNames[i-len(localNames)] == "":
		return t.dir
	}
	return deviceNames[i-len(localNames)]
}

// plant makes what programs begin with.
func (t tree) plant() {
	err := errors.Join(os.Mkdir(filepath.Join(t.dir, "d"), 0o755), os.WriteFile(t.local(0), pattern(0, 1000), 0o644))
	if err != nil {
		panic(err)
	}
}

// left is what the directory holds.
func (t tree) left() string {
	var out strings.Builder
	err := filepath.WalkDir(t.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %v", t.hide(path), info.Mode())
		switch {
		case info.Mode().IsRegular():
			p, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %d #%08x", len(p), checksum(p))
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			fmt.Fprintf(&out, " %s", t.hide(to))
		}
		fmt.Fprintln(&out)
		return nil
	})
	if err != nil {
		fmt.Fprintln(&out, t.hide(err.Error()))
	}
	return out.String()
}

func (t tree) hide(s string) string {
	return strings.NewReplacer(t.dir, "$", filepath.Base(t.dir), "$", tooLong, "LONG").Replace(s)
}

// failed has the text of an error, too.
func (t tree) outcome(n int, err error) Outcome {
	o := outcome(n, err)
	if o.Text = ""; err != nil && o.Error != other { // what else there is each says in its own words
		o.Text = t.hide(err.Error())
	}
	return o
}

func (t tree) read(p []byte, n int, err error) Outcome {
	o := t.outcome(n, err)
	o.Sum = checksum(p[:n])
	return o
}

func (t tree) info(i fs.FileInfo, err error) Outcome {
	if err != nil {
		return t.outcome(0, err)
	}
	size := i.Size()
	if !i.Mode().IsRegular() { // of a directory it is the file system's, of a link that of a name
		size = 0
	}
	return Outcome{Text: fmt.Sprintf("%s %d %v", t.hide(i.Name()), size, i.Mode())}
}

// libraryFiles performs steps with File and Runtime.
type libraryFiles struct {
	tree
	ctx   context.Context
	rt    *proactor.Runtime
	files map[int]*proactor.File
}

func newLibraryFiles(ctx context.Context, rt *proactor.Runtime, dir string) *libraryFiles {
	l := &libraryFiles{tree{dir}, ctx, rt, map[int]*proactor.File{}}
	l.plant()
	return l
}

func (l *libraryFiles) end() string {
	for _, f := range l.files {
		if f != nil {
			patiently(l.ctx, f.Close().Await)
		}
	}
	return l.left()
}

// awaiting waits for a future, which begin makes again if it ended with a context.
func awaiting[T any](l *libraryFiles, s *Step, begin func() futures.Future[T], tell func(T, error) Outcome) func() Outcome {
	f := begin()
	if s.Ended && s.Way%2 == 0 {
		f.Cancel()
	}
	return func() Outcome {
		var v T
		var err error
		switch {
		case !s.Ended:
			v, err = patiently(l.ctx, f.Await)
		case s.Way%2 == 0:
			v, err = patiently(l.ctx, f.Await)
		default:
			v, err = f.Await(ended(l.ctx))
		}
		if s.Ended && class(err) == canceled {
			v, err = patiently(l.ctx, begin().Await)
		}
		return tell(v, err)
	}
}

func (l *libraryFiles) begin(s *Step, _ *planned) func() Outcome {
	if s.Verb.ofNames() {
		return l.onNames(s)
	}
	f := l.files[s.On]
	if f == nil {
		return func() Outcome { return Outcome{Text: "no file"} }
	}
	done := func(_ struct{}, err error) Outcome { return l.outcome(0, err) }
	p := pattern(s.ID*31, s.N)
	if s.Verb.reads() {
		clear(p)
	}
	tell := func(n int, err error) Outcome {
		if s.Verb.reads() {
			return l.read(p, n, err)
		}
		return l.outcome(n, err)
	}
	pieces := slices.Collect(slices.Chunk(p, s.N/3+1))
	switch s.Verb {
	case ReadAt:
		return awaiting(l, s, func() futures.Future[int] { return f.ReadAt(p, s.Off) }, tell)
	case WriteAt:
		return awaiting(l, s, func() futures.Future[int] { return f.WriteAt(p, s.Off) }, tell)
	case ReadVector:
		return awaiting(l, s, func() futures.Future[int] { return f.ReadVectorAt(pieces, s.Off) }, tell)
	case WriteVector:
		return awaiting(l, s, func() futures.Future[int] { return f.WriteVectorAt(pieces, s.Off) }, tell)
	case ReadNext:
		return awaiting(l, s, func() futures.Future[int] { return f.Read(p) }, tell)
	case WriteNext:
		return awaiting(l, s, func() futures.Future[int] { return f.Write(p) }, tell)
	case Truncate:
		return awaiting(l, s, func() futures.Future[struct{}] { return f.Truncate(s.Off) }, done)
	case Allocate:
		return awaiting(l, s, func() futures.Future[struct{}] { return f.Allocate(s.Off, int64(s.N)) }, done)
	case Sync:
		return awaiting(l, s, f.Sync, done)
	case Stat:
		return awaiting(l, s, f.Stat, l.info)
	case CloseFile:
		return awaiting(l, s, f.Close, done)
	case AdoptFile:
		return at(l.adopt(s.On, f))
	case Chain:
		return l.chain(s, f)
	}
	panic("no verb of a file")
}

// adopt opens the file's descriptor with package os, and gives it back.
func (l *libraryFiles) adopt(on int, f *proactor.File) error {
	if f.Fd() < 0 {
		return nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var other *os.File
	if err := raw.Control(func(fd uintptr) {
		if n, err := syscall.Dup(int(fd)); err == nil {
			syscall.CloseOnExec(n)
			other = os.NewFile(uintptr(n), f.Name())
		}
	}); err != nil {
		return err
	}
	adopted, err := l.rt.AdoptFile(other)
	if err != nil {
		return err
	}
	if _, err := patiently(l.ctx, f.Close().Await); err != nil {
		return err
	}
	l.files[on] = adopted
	return nil
}

func (l *libraryFiles) onNames(s *Step) func() Outcome {
	done := func(_ struct{}, err error) Outcome { return l.outcome(0, err) }
	name, to := l.local(s.Name), l.local(s.To)
	switch s.Verb {
	case Open:
		open := func() futures.Future[*proactor.File] { return l.rt.OpenFile(l.any(s.Name), s.Flags, 0o640) }
		return awaiting(l, s, open, func(f *proactor.File, err error) Outcome {
			l.files[s.On] = f
			return l.outcome(0, err)
		})
	case StatName:
		return awaiting(l, s, func() futures.Future[fs.FileInfo] { return l.rt.Stat(l.any(s.Name)) }, l.info)
	case LstatName:
		return awaiting(l, s, func() futures.Future[fs.FileInfo] { return l.rt.Lstat(l.any(s.Name)) }, l.info)
	case Remove:
		return awaiting(l, s, func() futures.Future[struct{}] { return l.rt.Remove(name) }, done)
	case Rename:
		return awaiting(l, s, func() futures.Future[struct{}] { return l.rt.Rename(name, to) }, done)
	case Link:
		return awaiting(l, s, func() futures.Future[struct{}] { return l.rt.Link(name, to) }, done)
	case Symlink:
		return awaiting(l, s, func() futures.Future[struct{}] { return l.rt.Symlink(name, to) }, done)
	case Mkdir:
		return awaiting(l, s, func() futures.Future[struct{}] { return l.rt.Mkdir(name, 0o750) }, done)
	}
	panic("no verb of names")
}

// chain performs the steps that chainOf makes as one chain.
func (l *libraryFiles) chain(s *Step, f *proactor.File) func() Outcome {
	var steps []proactor.Step
	c := proactor.NewChainFile(l.local(s.Name), s.Flags, 0o640)
	links := chainOf(s)
	for _, k := range links {
		switch k.verb {
		case Open:
			steps = append(steps, c.OpenStep())
		case CloseFile:
			steps = append(steps, c.CloseStep())
		case Sync:
			steps = append(steps, either(k.named, c.SyncStep, f.SyncStep))
		case WriteAt:
			steps = append(steps, either(k.named, func() proactor.Step { return c.WriteStep(k.p, k.offset) }, func() proactor.Step { return f.WriteStep(k.p, k.offset) }))
		case ReadAt:
			steps = append(steps, either(k.named, func() proactor.Step { return c.ReadStep(k.p, k.offset) }, func() proactor.Step { return f.ReadStep(k.p, k.offset) }))
		case ReadVector: // all of it
			steps = append(steps, either(k.named, func() proactor.Step { return c.ReadFullStep(k.p, k.offset) }, func() proactor.Step { return f.ReadFullStep(k.p, k.offset) }))
		case WriteNext:
			steps = append(steps, f.WriteNextStep(k.p))
		case ReadNext:
			steps = append(steps, f.ReadNextStep(k.p))
		}
	}
	future := l.rt.Chain(steps...)
	return func() Outcome {
		results, err := patiently(l.ctx, future.Await)
		o := outcome(0, err)
		for i, r := range results {
			o.Text += fmt.Sprintf("[%d %s]", linkBytes(links[i], r.N), class(r.Err))
		}
		for _, k := range links {
			o.Sum ^= checksum(k.p)
		}
		return o
	}
}

func either(named bool, one, other func() proactor.Step) proactor.Step {
	if named {
		return one()
	}
	return other()
}

// linkBytes is the number that counts of a step's result: not that of a descriptor.
func linkBytes(k link, n int) int {
	if k.verb == Open {
		return 0
	}
	return n
}

// link is one step of a chain of files.
type link struct {
	verb   Verb
	named  bool // of a file that the chain opens
	p      []byte
	offset int64
}

// chainOf is one of a few chains.
func chainOf(s *Step) []link {
	p, q := pattern(s.ID*31, s.N), make([]byte, s.N/2+1)
	switch s.Way % 6 {
	case 0:
		return []link{{verb: WriteAt, p: p, offset: s.Off}, {verb: Sync}, {verb: ReadVector, p: q, offset: s.Off}}
	case 1:
		return []link{{verb: WriteNext, p: p}, {verb: Sync}, {verb: ReadNext, p: q}}
	case 2:
		return []link{{verb: Open, named: true}, {verb: WriteAt, named: true, p: p, offset: s.Off}, {verb: Sync, named: true}, {verb: CloseFile, named: true}}
	case 3:
		return []link{{verb: Open, named: true}, {verb: ReadAt, named: true, p: q, offset: s.Off}, {verb: CloseFile, named: true}}
	case 4:
		return []link{{verb: ReadVector, p: q, offset: s.Off}, {verb: WriteAt, p: p, offset: 0}}
	}
	return []link{{verb: ReadAt, p: q, offset: s.Off}, {verb: ReadNext, p: make([]byte, 10)}, {verb: WriteNext, p: p}}
}

// standardFiles performs steps with package os, one after the other.
type standardFiles struct {
	tree
	files map[int]*os.File
	line  lane
}

func newStandardFiles(dir string) *standardFiles {
	f := &standardFiles{tree{dir}, map[int]*os.File{}, newLane()}
	f.plant()
	return f
}

func (l *standardFiles) end() string {
	return l.line.do(func() Outcome {
		defer close(l.line)
		for _, f := range l.files {
			if f != nil {
				f.Close()
			}
		}
		return Outcome{Text: l.left()}
	})().Text
}

func (l *standardFiles) begin(s *Step, _ *planned) func() Outcome {
	return l.line.do(func() Outcome {
		if s.Verb.ofNames() {
			return l.onNames(s)
		}
		if f := l.files[s.On]; f != nil {
			return l.onFile(s, f)
		}
		return Outcome{Text: "no file"}
	})
}

func (l *standardFiles) onFile(s *Step, f *os.File) Outcome {
	p := pattern(s.ID*31, s.N)
	if s.Verb.reads() {
		clear(p)
	}
	switch s.Verb {
	case ReadAt, ReadVector:
		n, err := f.ReadAt(p, s.Off)
		return l.read(p, n, err)
	case WriteAt, WriteVector:
		return l.outcome(writeAt(f, p, s.Off))
	case ReadNext:
		n, err := f.Read(p)
		return l.read(p, n, err)
	case WriteNext:
		return l.outcome(f.Write(p))
	case Truncate:
		return l.outcome(0, f.Truncate(s.Off))
	case Allocate:
		return l.outcome(0, allocate(f, s.Off, int64(s.N)))
	case Sync:
		return l.outcome(0, f.Sync())
	case Stat:
		return l.info(f.Stat())
	case CloseFile:
		return l.outcome(0, f.Close())
	case AdoptFile:
		return Outcome{}
	case Chain:
		return l.chain(s, f)
	}
	panic("no verb of a file")
}

// writeAt is WriteAt of package os, which does not count what it has written before an
// error: up to the limit.
func writeAt(f *os.File, p []byte, offset int64) (n int, err error) {
	n, err = f.WriteAt(p, offset)
	if errors.Is(err, syscall.EFBIG) {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			return n, err
		}
		n = int(min(max(int64(limit.Cur)-offset, 0), int64(len(p)))) // no limit is -1
	}
	return n, err
}

// allocate is what package os does not have.
func allocate(f *os.File, offset, size int64) error {
	raw, err := f.SyscallConn()
	if err == nil {
		var errno error
		err = raw.Control(func(fd uintptr) { errno = syscall.Fallocate(int(fd), 0, offset, size) })
		err = errors.Join(err, errno)
	}
	if err == nil {
		return nil
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = errno
	} else {
		err = fs.ErrClosed
	}
	return &fs.PathError{Op: "allocate", Path: f.Name(), Err: err}
}

func (l *standardFiles) onNames(s *Step) Outcome {
	name, to := l.local(s.Name), l.local(s.To)
	switch s.Verb {
	case Open:
		f, err := os.OpenFile(l.any(s.Name), s.Flags, 0o640)
		l.files[s.On] = f
		return l.outcome(0, err)
	case StatName:
		return l.info(os.Stat(l.any(s.Name)))
	case LstatName:
		return l.info(os.Lstat(l.any(s.Name)))
	case Remove:
		return l.outcome(0, os.Remove(name))
	case Rename:
		return l.outcome(0, rename(name, to))
	case Link:
		return l.outcome(0, os.Link(name, to))
	case Symlink:
		return l.outcome(0, os.Symlink(name, to))
	case Mkdir:
		return l.outcome(0, os.Mkdir(name, 0o750))
	}
	panic("no verb of names")
}

// rename is rename(2). That of package os looks first, and replaces no directory.
func rename(from, to string) error {
	if err := syscall.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// chain performs the steps that chainOf makes, one after the other.
func (l *standardFiles) chain(s *Step, f *os.File) Outcome {
	links := chainOf(s)
	var first error
	var opened *os.File
	defer func() {
		if opened != nil {
			opened.Close()
		}
	}()
	o := Outcome{}
	for _, k := range links {
		n, err := 0, error(futures.ErrCanceled)
		if first == nil || k.verb == CloseFile && opened != nil {
			n, err = l.link(s, k, f, &opened)
		}
		if first == nil {
			first = err
		}
		o.Text += fmt.Sprintf("[%d %s]", n, class(err))
	}
	for _, k := range links {
		o.Sum ^= checksum(k.p)
	}
	o.Error = class(first)
	return o
}

func (l *standardFiles) link(s *Step, k link, f *os.File, opened **os.File) (n int, err error) {
	if k.named {
		f = *opened
	}
	switch k.verb {
	case Open:
		*opened, err = os.OpenFile(l.local(s.Name), s.Flags, 0o640)
	case CloseFile:
		err = f.Close()
		*opened = nil
	case Sync:
		err = f.Sync()
	case WriteAt:
		if s.Flags&os.O_APPEND != 0 && k.named {
			return f.Write(k.p)
		}
		n, err = writeAt(f, k.p, k.offset)
	case ReadAt:
		if n, err = f.ReadAt(k.p, k.offset); n > 0 && err == io.EOF {
			err = nil
		}
	case ReadVector:
		if n, err = f.ReadAt(k.p, k.offset); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	case WriteNext:
		n, err = f.Write(k.p)
	case ReadNext:
		n, err = f.Read(k.p)
	}
	return n, err
}

// ofNames says that a verb is for names, and not for an open file.
func (v Verb) ofNames() bool {
	switch v {
	case Open, StatName, LstatName, Remove, Rename, Link, Symlink, Mkdir:
		return true
	}
	return false
}

func (v Verb) reads() bool { return v == ReadAt || v == ReadNext || v == ReadVector }
