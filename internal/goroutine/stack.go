package goroutine

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Stack is a goroutine as the runtime prints it.
type Stack struct {
	ID        int    // 0: not understood
	State     string // such as "running" or "chan receive"
	Locked    bool   // to its thread
	Frames    []Frame
	CreatedBy string // the function
	Parent    int    // the goroutine that ran it
	Text      string
}

// Frame is a function on a stack.
type Frame struct {
	Function string // with its import path
	File     string
	Line     int
}

// maxDump is up to which size all stacks are read.
const maxDump = 64 << 20

// All returns the stacks of all goroutines. It stops the world.
func All() []Stack {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for n == len(buf) && len(buf) < maxDump {
		buf = make([]byte, 4*len(buf))
		n = runtime.Stack(buf, true)
	}
	var all []Stack
	for text := range bytes.SplitSeq(buf[:n], []byte("\n\n")) {
		all = append(all, parse(string(text)))
	}
	return all
}

// ID is the number of the calling goroutine in stacks.
func ID() int {
	var buf [64]byte
	return parse(string(buf[:runtime.Stack(buf[:], false)])).ID
}

// parse takes a printed stack apart: a header, two lines a function, and who has
// created it.
func parse(text string) Stack {
	s := Stack{Text: text}
	header, rest, _ := strings.Cut(text, "\n")
	var state string
	if n, _ := fmt.Sscanf(header, "goroutine %d", &s.ID); n == 1 {
		_, state, _ = strings.Cut(header, "[")
		state, _, _ = strings.Cut(state, "]")
	}
	s.State, _, _ = strings.Cut(state, ", ")
	s.Locked = strings.Contains(state, "locked to thread")
	for rest != "" {
		var function, place string
		function, rest, _ = strings.Cut(rest, "\n")
		if !strings.HasPrefix(rest, "\t") {
			continue // such as "...additional frames elided..."
		}
		place, rest, _ = strings.Cut(rest, "\n")
		if creator, ok := strings.CutPrefix(function, "created by "); ok {
			creator, parent, _ := strings.Cut(creator, " in goroutine ")
			s.CreatedBy = creator
			s.Parent, _ = strconv.Atoi(parent)
			continue
		}
		s.Frames = append(s.Frames, newFrame(function, place))
	}
	return s
}

func newFrame(call, place string) (f Frame) {
	f.Function = call
	if strings.HasSuffix(call, ")") {
		f.Function = call[:strings.LastIndexByte(call, '(')]
	}
	place, _, _ = strings.Cut(strings.TrimSpace(place), " +0x")
	colon := strings.LastIndexByte(place, ':')
	f.File = place[:max(colon, 0)]
	f.Line, _ = strconv.Atoi(place[colon+1:])
	return f
}

// Runs reports whether a function whose name ends so is on the stack.
func (s Stack) Runs(function string) bool {
	for _, f := range s.Frames {
		if strings.HasSuffix(f.Function, function) {
			return true
		}
	}
	return false
}

// Package is the import path of the function.
func (f Frame) Package() string {
	slash := strings.LastIndexByte(f.Function, '/') + 1
	dot := strings.IndexByte(f.Function[slash:], '.')
	if dot < 0 {
		return f.Function
	}
	return f.Function[:slash+dot]
}

// Standard reports whether the function is of the standard library.
func (f Frame) Standard() bool {
	first, _, _ := strings.Cut(f.Package(), "/")
	if first == "main" || strings.Contains(first, ".") {
		return false
	}
	root, ok := strings.CutSuffix(standardRoot(), "runtime/")
	return !ok || root == "" || strings.HasPrefix(f.File, root)
}

// standardRoot is the folder of package runtime, as stacks print it.
func standardRoot() string {
	var pc [1]uintptr
	runtime.Callers(0, pc[:]) // runtime.Callers itself
	frame, _ := runtime.CallersFrames(pc[:]).Next()
	return frame.File[:strings.LastIndexByte(frame.File, '/')+1]
}

// Holder finds among all stacks that of the goroutine which runs on the thread of
// the goroutine with that ID: itself, or the coroutine (iter.Pull) that it has
// entered, or the one that this has, and so on.
//
// The lock to the thread is always with the one that runs, and each coroutine was
// created by one of those before it.
func Holder(all []Stack, id int) (s Stack, ok bool) {
	byID := make(map[int]Stack, len(all))
	for _, s := range all {
		byID[s.ID] = s
	}
	for _, s := range all {
		if !s.Locked {
			continue
		}
		at := s
		for at.ID != id && strings.HasPrefix(at.CreatedBy, "iter.Pull") {
			at = byID[at.Parent]
		}
		if at.ID == id {
			return s, true
		}
	}
	return s, false
}
