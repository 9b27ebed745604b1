package differential

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// FileProgram is entries on files and names in a directory of its own: chains,
// each submitted when the one before has ended, so that what comes of them is
// certain.
type FileProgram struct {
	Chains [][]FileEntry
	Limit  int64 // how large files may grow (RLIMIT_FSIZE), 0 for no limit
}

// FileKind is what an entry asks for.
type FileKind uint8

// The kinds of entries.
const (
	FileOpen FileKind = iota
	FileClose
	FileRead
	FileWrite
	FileReadVector
	FileWriteVector
	FileSync
	FileAllocate
	FileTruncate
	FileAdvise
	FileStat // of what is open
	NameStat
	NameRename
	NameLink
	NameSymlink
	NameUnlink
	NameMkdir
	fileKinds
)

var fileKindNames = [fileKinds]string{"open", "close", "read", "write", "readv", "writev", "fsync", "fallocate", "ftruncate",
	"fadvise", "statx", "statx-name", "rename", "link", "symlink", "unlink", "mkdir"}

func (k FileKind) String() string { return fileKindNames[k] }

// slots is how many files a program has open.
const slots = 3

// FileEntry is one submission entry with symbols for descriptors and memory.
type FileEntry struct {
	ID     int // its user data; stays when a program is shrunk
	Kind   FileKind
	Slot   int    // of what is open; where an open puts it
	Name   string // in the program's directory
	Other  string // the second name
	Offset int64
	Size   int64
	Pieces int    // of a vector
	Flags  uint32 // of the operation
	Mode   uint32
	Link   uint8 // SQELink, SQEHardLink or 0
}

// named says that an entry is about names.
func (k FileKind) named() bool { return k == FileOpen || k >= NameStat }

func (k FileKind) reads() bool  { return k == FileRead || k == FileReadVector }
func (k FileKind) writes() bool { return k == FileWrite || k == FileWriteVector }

var openFlags = []flagName{{unix.O_WRONLY, "WRONLY"}, {unix.O_RDWR, "RDWR"}, {unix.O_CREAT, "CREAT"}, {unix.O_EXCL, "EXCL"},
	{unix.O_TRUNC, "TRUNC"}, {unix.O_APPEND, "APPEND"}, {unix.O_DIRECTORY, "DIRECTORY"}, {unix.O_NOFOLLOW, "NOFOLLOW"},
	{unix.O_PATH, "PATH"}, {unix.O_DIRECT, "DIRECT"}, {unix.O_CLOEXEC, "CLOEXEC"}}

// String is the entry in one line.
func (e FileEntry) String() string {
	words := []string{fmt.Sprintf("#%d", e.ID), e.Kind.String()}
	if !e.Kind.named() || e.Kind == FileOpen {
		words = append(words, fmt.Sprintf("slot=%d", e.Slot))
	}
	if e.Kind.named() {
		words = append(words, shortened(e.Name))
	}
	if e.Kind == NameRename || e.Kind == NameLink || e.Kind == NameSymlink {
		words = append(words, shortened(e.Other))
	}
	words = append(words, e.operands()...)
	words = append(words, flagString(uint32(e.Link), linkFlags))
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}

func shortened(name string) string {
	if len(name) > 20 {
		return fmt.Sprintf("%q… (%d bytes)", name[:10], len(name))
	}
	return fmt.Sprintf("%q", name)
}

func (e *FileEntry) operands() []string {
	at := fmt.Sprintf("at=%d", e.Offset)
	if e.Offset == ring.AtCursor {
		at = "at=cursor"
	}
	size := fmt.Sprintf("%dB", e.Size)
	flags := fmt.Sprintf("flags=%#x", e.Flags)
	switch e.Kind {
	case FileRead, FileWrite:
		return []string{size, at}
	case FileReadVector, FileWriteVector:
		return []string{size, at, fmt.Sprintf("pieces=%d", e.Pieces)}
	case FileAllocate, FileAdvise:
		return []string{size, at, flags}
	case FileTruncate:
		return []string{size}
	case FileOpen:
		return []string{flagString(e.Flags, openFlags), fmt.Sprintf("%#o", e.Mode)}
	case NameMkdir:
		return []string{fmt.Sprintf("%#o", e.Mode)}
	case FileSync, NameStat, NameRename, NameLink, NameUnlink:
		return []string{flags}
	}
	return nil
}

// String is the program, a line for each entry.
func (p *FileProgram) String() string {
	var b strings.Builder
	if p.Limit > 0 {
		fmt.Fprintf(&b, "files of up to %d bytes\n", p.Limit)
	}
	for i, c := range p.Chains {
		fmt.Fprintf(&b, "chain %d\n", i)
		for _, e := range c {
			fmt.Fprintf(&b, "    %v\n", e)
		}
	}
	return b.String()
}

// ShrinkFiles makes a program smaller as long as it fails: chains and entries
// go. It asks fails at most limit times.
func ShrinkFiles(p *FileProgram, limit int, fails func(*FileProgram) bool) *FileProgram {
	for again := true; again; {
		again = false
		try := func(edit func([][]FileEntry) [][]FileEntry) {
			if limit--; limit < 0 {
				return
			}
			if small := (&FileProgram{Chains: edit(cloneChains(p.Chains)), Limit: p.Limit}); fails(small) {
				p, again = small, true
			}
		}
		for n := max(1, len(p.Chains)/2); n > 0; n /= 2 {
			for i := len(p.Chains) - n; i >= 0; i-- {
				if i+n <= len(p.Chains) {
					try(func(c [][]FileEntry) [][]FileEntry { return cut(c, i, n) })
				}
			}
		}
		for i := range p.Chains {
			for j := len(p.Chains[i]) - 1; j >= 0 && len(p.Chains[i]) > 1; j-- {
				if j < len(p.Chains[i]) {
					try(func(c [][]FileEntry) [][]FileEntry { c[i] = cut(c[i], j, 1); return c })
				}
			}
		}
	}
	return p
}

func cloneChains(chains [][]FileEntry) (c [][]FileEntry) {
	for _, list := range chains {
		c = append(c, slices.Clone(list))
	}
	return c
}
