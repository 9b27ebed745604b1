package differential

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// GenerateFiles makes the program of a seed.
func GenerateFiles(seed uint64) *FileProgram {
	return generateFiles(seededDice{rand.New(rand.NewPCG(seed, 0xd1b54a32d192ed03))})
}

// DecodeFiles makes a program of bytes; every string of bytes is one.
func DecodeFiles(b []byte) *FileProgram { return generateFiles(&byteDice{b}) }

func generateFiles(d dice) *FileProgram {
	g := &fileGenerator{generator: generator{dice: d}}
	g.files.Chains = [][]FileEntry{{g.create(0, "a")}} // something to begin with
	for range 4 + g.roll(16) {
		g.files.Chains = append(g.files.Chains, g.linked())
	}
	g.limits()
	return &g.files
}

// fullDevice takes no bytes (full(4)). It has as many zeros as one likes, too, but how many one
// read has depends on signals and on who else wants the processor: it is opened to write.
const fullDevice = "/dev/full"

// limits has writes cut by a limit of the size of files, or refused by a device that
// is full. It comes last: the rest of a seed's program is what it was before there
// were any.
func (g *fileGenerator) limits() {
	g.files.Limit = pick[int64](&g.generator, 0, 0, 0, 0, 1000, 4096, 60500)
	for _, c := range g.files.Chains[1:] {
		for i := range c {
			if c[i].Kind == FileOpen && g.chance(5) {
				c[i].Name, c[i].Flags = fullDevice, unix.O_CLOEXEC|unix.O_WRONLY
			}
		}
	}
}

type fileGenerator struct {
	generator
	files FileProgram
}

// create opens a file that is there afterwards.
func (g *fileGenerator) create(slot int, name string) FileEntry {
	return FileEntry{ID: g.id(), Kind: FileOpen, Slot: slot, Name: name, Flags: unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC, Mode: 0o644}
}

// linked is a single entry, or two to five that are linked. A number that one of
// them closes could be that of what another opens: not both in one chain.
func (g *fileGenerator) linked() (c []FileEntry) {
	n, hard, opens, closes := 1, g.chance(30), false, false
	if g.chance(50) {
		n = 2 + g.roll(4)
	}
	for len(c) < n {
		e := g.fileEntry()
		if e.Kind == FileOpen && closes || e.Kind == FileClose && opens {
			e = FileEntry{ID: e.ID, Kind: NameStat, Name: "a"}
		}
		opens, closes = opens || e.Kind == FileOpen, closes || e.Kind == FileClose
		c = append(c, e)
	}
	for i := range c[:n-1] {
		c[i].Link = ring.SQELink
		if hard {
			c[i].Link = ring.SQEHardLink
		}
	}
	return c
}

// fileKindsLikely are the kinds, the likely more often.
var fileKindsLikely = []FileKind{FileOpen, FileOpen, FileOpen, FileOpen, FileOpen, FileOpen, FileClose, FileRead, FileRead, FileRead,
	FileRead, FileWrite, FileWrite, FileWrite, FileWrite, FileReadVector, FileReadVector, FileWriteVector, FileWriteVector, FileSync,
	FileSync, FileAllocate, FileAllocate, FileTruncate, FileTruncate, FileAdvise, FileStat, NameStat, NameStat, NameRename, NameRename,
	NameRename, NameLink, NameLink, NameSymlink, NameSymlink, NameUnlink, NameUnlink, NameUnlink, NameMkdir, NameMkdir, NameMkdir}

func (g *fileGenerator) fileEntry() FileEntry {
	e := FileEntry{ID: g.id(), Kind: pick(&g.generator, fileKindsLikely...), Slot: pick(&g.generator, 0, 0, 0, 1, 1, 2)}
	switch e.Kind {
	case FileOpen:
		g.open(&e)
	case FileRead, FileWrite, FileReadVector, FileWriteVector:
		e.Size = pick[int64](&g.generator, 0, 1, 7, 100, 1000, 4096, 5000, 70000)
		e.Offset = g.offset()
		e.Pieces = pick(&g.generator, 0, 1, 2, 3, 5)
	case FileSync:
		e.Flags = pick(&g.generator, 0, 0, ring.FsyncDataSync, 8)
	case FileAllocate:
		e.Flags = pick[uint32](&g.generator, 0, 0, 0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE, 0x4000)
		e.Offset = pick[int64](&g.generator, 0, 0, 1, 4096, 10000, -1)
		e.Size = pick[int64](&g.generator, 1, 100, 4096, 100000, 0, -5)
	case FileTruncate:
		e.Size = pick[int64](&g.generator, 0, 1, 50, 4096, 5000, 100000, -1)
	case FileAdvise:
		e.Flags = pick[uint32](&g.generator, unix.FADV_NORMAL, unix.FADV_RANDOM, unix.FADV_SEQUENTIAL, unix.FADV_WILLNEED, unix.FADV_DONTNEED, 99)
		e.Offset, e.Size = pick[int64](&g.generator, 0, 100), pick[int64](&g.generator, 0, 4096)
	case FileStat, NameStat:
		e.Name, e.Flags = g.name(), pick[uint32](&g.generator, 0, unix.AT_SYMLINK_NOFOLLOW)
	case NameRename:
		e.Name, e.Other = g.name(), g.name()
		e.Flags = pick[uint32](&g.generator, 0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE)
	case NameLink:
		e.Name, e.Other, e.Flags = g.name(), g.name(), pick[uint32](&g.generator, 0, 0, unix.AT_SYMLINK_FOLLOW, 1)
	case NameSymlink:
		e.Name, e.Other = g.name(), g.name()
	case NameUnlink:
		e.Name, e.Flags = g.name(), pick[uint32](&g.generator, 0, 0, 0, unix.AT_REMOVEDIR, unix.AT_REMOVEDIR, 1)
	case NameMkdir:
		e.Name, e.Mode = pick(&g.generator, "d", "d", "d/d", g.name()), pick[uint32](&g.generator, 0o700, 0o755)
	}
	return e
}

func (g *fileGenerator) open(e *FileEntry) {
	e.Name = g.name()
	e.Flags = unix.O_CLOEXEC | pick[uint32](&g.generator, unix.O_RDWR|unix.O_CREAT, unix.O_RDWR|unix.O_CREAT, unix.O_RDWR|unix.O_CREAT,
		unix.O_RDWR, unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC,
		unix.O_RDWR|unix.O_CREAT|unix.O_APPEND, unix.O_DIRECTORY, unix.O_PATH, unix.O_RDONLY|unix.O_NOFOLLOW, unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT)
	e.Mode = pick[uint32](&g.generator, 0o644, 0o600, 0o400, 0o755)
}

func (g *fileGenerator) offset() int64 {
	return pick[int64](&g.generator, ring.AtCursor, ring.AtCursor, ring.AtCursor, 0, 0, 0, 1, 50, 4096, 8192, 60000, -2, math.MaxInt64-10)
}

// name is one that may be there or not, or cannot be.
func (g *fileGenerator) name() string {
	if g.chance(5) {
		return pick(&g.generator, "", ".", "d/.", "a/x", "missing/x", strings.Repeat("n", 256), strings.Repeat("n/", 2100), "d/", "a/")
	}
	return pick(&g.generator, "a", "a", "b", "b", "c", "d", "d/a", "d/b", "d/d", "l")
}
