package differential

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fileProgram is the program of a seed, or of bytes, without what this kernel's
// ring lacks: it answers EINVAL, and the fallback does it all the same.
func fileProgram(p *FileProgram) *FileProgram {
	if truncates() {
		return p
	}
	for _, c := range p.Chains {
		for i := range c {
			if c[i].Kind == FileTruncate {
				c[i].Kind = FileSync
			}
		}
	}
	return p
}

// truncates says that the kernel's ring does, Linux 6.9.
var truncates = sync.OnceValue(func() bool { return ring.Probe().Supports(ring.OpFtruncate.String()) })

// compareFiles runs a program on both queues. A difference stands only if the
// kernel agrees with itself.
func compareFiles(t testing.TB, p *FileProgram, other Open) (kernel, that *FileTrace, d *Difference) {
	t.Helper()
	run := func(open Open) *FileTrace {
		trace, err := RunFiles(p, open, t.TempDir())
		require.NoError(t, err, "%v", p)
		return trace
	}
	kernel, that = run(openKernel), run(other)
	if d = CompareFiles(kernel, that); d != nil {
		require.Nil(t, CompareFiles(kernel, run(openKernel)), "the kernel disagrees with itself:\n%v", p)
	}
	return kernel, that, d
}

func fileReport(t testing.TB, p *FileProgram, other Open) string {
	small := ShrinkFiles(p, 300, func(p *FileProgram) bool {
		_, _, d := compareFiles(t, p, other)
		return d != nil
	})
	_, _, d := compareFiles(t, small, other)
	return fmt.Sprintf("the queues disagree: %v\n%v", d, small)
}

// On 6.1 an entry that is linked behind the close of its slot still finds the file.
const filesMajor, filesMinor = 6, 12

func TestFilePrograms(t *testing.T) {
	requireKernelOf(t, filesMajor, filesMinor)
	first, n := programs(600)
	found := 0
	for i := range n {
		seed := first + uint64(i)
		p := fileProgram(GenerateFiles(seed))
		_, that, d := compareFiles(t, p, openFallback)
		if *seedFlag != 0 && n == 1 {
			t.Logf("%v\n%v\n%v", p, that.Chains, that.Left)
		}
		if d == nil {
			continue
		}
		t.Errorf("seed %d: %v\n%s\nreplay: go test ./internal/differential -run %s -seed=%d", seed, d, fileReport(t, p, openFallback), t.Name(), seed)
		if found++; found == maxReports {
			t.Fatalf("%d differences in %d programs: that is enough", found, i+1)
		}
	}
}

// TestFileProgramsDoSomething proves that most kinds of entries succeed in some
// programs, and fail in others: else there would be little to compare.
func TestFileProgramsDoSomething(t *testing.T) {
	var good, bad [fileKinds]int
	for seed := range uint64(150) {
		trace, err := RunFiles(GenerateFiles(seed+1), openFallback, t.TempDir())
		require.NoError(t, err)
		for _, o := range slices.Concat(trace.Chains...) {
			if o.Result >= 0 {
				good[o.Entry.Kind]++
			} else if o.Result != -int32(unix.ECANCELED) {
				bad[o.Entry.Kind]++
			}
		}
	}
	for k := range fileKinds {
		require.Positive(t, good[k], "no %v succeeds", k)
		require.Positive(t, bad[k], "no %v fails", k)
	}
}

func FuzzFilePrograms(f *testing.F) {
	requireKernelOf(f, filesMajor, filesMinor)
	f.Add([]byte("a program is a string of choices"))
	f.Add(slices.Repeat([]byte{7, 31, 2, 64, 0, 9, 81, 3}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 400 {
			t.Skip("long enough")
		}
		p := fileProgram(DecodeFiles(b))
		if _, _, d := compareFiles(t, p, openFallback); d != nil {
			t.Error(fileReport(t, p, openFallback))
		}
	})
}

// changed is a fault that does something else instead of an operation.
func changed(op ring.Op, change func(*queueabi.Entry)) func(*faulty) {
	return func(f *faulty) {
		f.onSubmit = func(list []*ring.SQE) {
			for _, e := range list {
				if s := (*queueabi.SQE)(e).Entry(); ring.Op(s.Opcode) == op {
					change(s)
				}
			}
		}
	}
}

// fileFaults are what the comparison must find, each within some programs.
var fileFaults = map[string]func(*faulty){
	"writes a byte too far":     changed(ring.OpWrite, func(s *queueabi.Entry) { s.Off += uint64(min(1, max(0, int64(s.Off)))) }),
	"writes a byte too few":     changed(ring.OpWrite, func(s *queueabi.Entry) { s.Len -= min(1, s.Len) }),
	"leaves the cursor":         changed(ring.OpRead, func(s *queueabi.Entry) { s.Off = uint64(max(0, int64(s.Off))) }),
	"forgets a piece":           changed(ring.OpReadv, func(s *queueabi.Entry) { s.Len -= min(1, s.Len) }),
	"opens what is there":       changed(ring.OpOpenat, func(s *queueabi.Entry) { s.OpFlags &^= unix.O_EXCL }),
	"empties nothing":           changed(ring.OpOpenat, func(s *queueabi.Entry) { s.OpFlags &^= unix.O_TRUNC }),
	"does not append":           changed(ring.OpOpenat, func(s *queueabi.Entry) { s.OpFlags &^= unix.O_APPEND }),
	"gives others rights":       changed(ring.OpOpenat, func(s *queueabi.Entry) { s.Len |= 0o004 }),
	"truncates elsewhere":       changed(ring.OpFtruncate, func(s *queueabi.Entry) { s.Off += uint64(min(1, max(0, int64(s.Off)))) }),
	"allocates and extends":     changed(ring.OpFallocate, func(s *queueabi.Entry) { s.Len &^= unix.FALLOC_FL_KEEP_SIZE }),
	"replaces what is there":    changed(ring.OpRenameat, func(s *queueabi.Entry) { s.OpFlags &^= unix.RENAME_NOREPLACE }),
	"exchanges nothing":         changed(ring.OpRenameat, func(s *queueabi.Entry) { s.OpFlags &^= unix.RENAME_EXCHANGE }),
	"removes directories, too":  changed(ring.OpUnlinkat, func(s *queueabi.Entry) { s.OpFlags &^= unix.AT_REMOVEDIR }),
	"links what a link is":      changed(ring.OpLinkat, func(s *queueabi.Entry) { s.OpFlags &^= unix.AT_SYMLINK_FOLLOW }),
	"follows links":             changed(ring.OpStatx, func(s *queueabi.Entry) { s.OpFlags &^= unix.AT_SYMLINK_NOFOLLOW }),
	"takes any sync":            changed(ring.OpFsync, func(s *queueabi.Entry) { s.OpFlags &= ring.FsyncDataSync }),
	"takes any advice":          changed(ring.OpFadvise, func(s *queueabi.Entry) { s.OpFlags = 0 }),
	"makes what none may enter": changed(ring.OpMkdirat, func(s *queueabi.Entry) { s.Len &^= 0o055 }),
	"breaks hard links": func(f *faulty) {
		f.onSubmit = func(list []*ring.SQE) {
			for _, e := range list {
				if s := (*queueabi.SQE)(e).Entry(); s.Flags&ring.SQEHardLink != 0 {
					s.Flags = s.Flags&^ring.SQEHardLink | ring.SQELink
				}
			}
		}
	},
	"loses one completion": func(f *faulty) {
		n := 0
		f.onReap = mapped(func(*ring.CQE) bool { n++; return n != 5 })
	},
	"takes ENOTDIR for ENOENT": func(f *faulty) {
		f.onReap = mapped(func(c *ring.CQE) bool {
			if c.Result() == -int32(unix.ENOTDIR) {
				*c = ring.CQE(queueabi.NewCQE(c.UserData(), -int32(unix.ENOENT), c.Flags()))
			}
			return true
		})
	},
}

// TestFileFaultsAreFound proves that the test can fail: each fault is found.
func TestFileFaultsAreFound(t *testing.T) {
	requireKernel(t)
	for name, inject := range fileFaults {
		t.Run(name, func(t *testing.T) {
			open := func() (ring.Queue, error) {
				q, err := openKernel()
				f := &faulty{Queue: q}
				inject(f)
				return f, err
			}
			if name == "truncates elsewhere" && !truncates() {
				t.Skip("this kernel's ring has no ftruncate")
			}
			for seed := uint64(1); ; seed++ {
				require.Less(t, seed, uint64(500), "not found")
				p := fileProgram(GenerateFiles(seed))
				if _, _, d := compareFiles(t, p, open); d != nil {
					t.Logf("seed %d: %v", seed, d)
					return
				}
			}
		})
	}
}

// fileRegressions are programs for every class of difference found.
var fileRegressions = map[string]*FileProgram{
	"a read of fewer bytes than asked for breaks its chain": {Chains: [][]FileEntry{
		{{ID: 1, Kind: FileOpen, Name: "a", Flags: unix.O_RDWR | unix.O_CREAT, Mode: 0o600}},
		{{ID: 2, Kind: FileWrite, Size: 100}},
		{{ID: 3, Kind: FileRead, Size: 200, Link: ring.SQELink}, {ID: 4, Kind: NameMkdir, Name: "d", Mode: 0o700}},
		{{ID: 5, Kind: FileRead, Size: 200, Link: ring.SQEHardLink}, {ID: 6, Kind: NameMkdir, Name: "e", Mode: 0o700}}}},
	"what follows a close has no descriptor": {Chains: [][]FileEntry{
		{{ID: 1, Kind: FileOpen, Name: "a", Flags: unix.O_RDWR | unix.O_CREAT, Mode: 0o600}},
		{{ID: 2, Kind: FileClose, Link: ring.SQEHardLink}, {ID: 3, Kind: FileRead, Size: 10, Link: ring.SQEHardLink},
			{ID: 4, Kind: FileSync, Link: ring.SQEHardLink}, {ID: 5, Kind: FileStat}}}},
	"what follows a read at the end of a file moves its cursor once": {Chains: [][]FileEntry{
		{{ID: 1, Kind: FileOpen, Name: "a", Flags: unix.O_RDWR | unix.O_CREAT, Mode: 0o600}},
		{{ID: 2, Kind: FileRead, Size: 1, Offset: ring.AtCursor, Link: ring.SQEHardLink},
			{ID: 3, Kind: FileWriteVector, Size: 1, Pieces: 3, Offset: ring.AtCursor}}}},
	"a vector is cut within a piece by the limit of a file's size": {Limit: 1000, Chains: [][]FileEntry{
		{{ID: 1, Kind: FileOpen, Name: "a", Flags: unix.O_RDWR | unix.O_CREAT, Mode: 0o600}},
		{{ID: 2, Kind: FileWriteVector, Size: 4096, Pieces: 3, Offset: ring.AtCursor}},
		{{ID: 3, Kind: FileWrite, Size: 1, Offset: ring.AtCursor}}}},
	"a device that is full": {Chains: [][]FileEntry{
		{{ID: 1, Kind: FileOpen, Name: fullDevice, Flags: unix.O_RDWR}},
		{{ID: 2, Kind: FileWrite, Size: 10, Offset: ring.AtCursor, Link: ring.SQEHardLink}, {ID: 3, Kind: FileReadVector, Size: 10, Pieces: 3}}}},
	"an append at an offset goes to the end": {Chains: [][]FileEntry{
		{{ID: 1, Kind: FileOpen, Name: "a", Flags: unix.O_RDWR | unix.O_CREAT | unix.O_APPEND, Mode: 0o600}},
		{{ID: 2, Kind: FileWrite, Size: 100, Link: ring.SQELink}, {ID: 3, Kind: FileWrite, Size: 10, Offset: 5, Link: ring.SQELink},
			{ID: 4, Kind: FileWriteVector, Size: 10, Pieces: 3, Offset: ring.AtCursor, Link: ring.SQELink},
			{ID: 5, Kind: FileRead, Size: 1, Offset: ring.AtCursor}}}},
}

func TestFileRegressions(t *testing.T) {
	requireKernel(t)
	for name, p := range fileRegressions {
		t.Run(name, func(t *testing.T) {
			if name == "what follows a close has no descriptor" {
				requireKernelOf(t, filesMajor, filesMinor)
			}
			kernel, other, d := compareFiles(t, p, openFallback)
			require.Nil(t, d, "%v\n%v\n%v", p, kernel, other)
		})
	}
}
