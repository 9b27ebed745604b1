package library

import (
	"fmt"
	"reflect"
	"strings"
)

// Medium is what a program runs on.
type Medium int

// The media. Two ends are connected, the second of a Pipe only reads; of Proxy they are
// connected to a third who forwards. Those of Listeners dial, listen and accept.
const (
	TCP Medium = iota
	Unix
	Pipe
	Proxy
	UDP
	Unixgram
	Unixpacket
	Files
	Listeners
)

var mediumNames = [...]string{"TCP", "Unix", "Pipe", "Proxy", "UDP", "Unixgram", "Unixpacket", "Files", "Listeners"}

func (m Medium) String() string { return mediumNames[m] }

// messages reports whether each send is one message.
func (m Medium) messages() bool { return m == UDP || m == Unixgram || m == Unixpacket }

// Verb is what a step does.
type Verb int

// The verbs of ends, and then those of files.
const (
	Read Verb = iota
	Write
	CloseWrite
	CloseRead
	Close
	Abort
	EndReads  // a read deadline that is over
	EndWrites // a write deadline that is over
	MoveDeadlines
	Cancel
	Move
	Detach // and adopt again

	Open
	ReadAt
	WriteAt
	ReadNext
	WriteNext
	ReadVector
	WriteVector
	Truncate
	Allocate
	Sync
	Stat
	CloseFile
	AdoptFile // gives it to package os and back
	StatName
	LstatName
	Remove
	Rename
	Link
	Symlink
	Mkdir
	Chain
	SendFile

	Listen
	Dial
	Accept
	Shutdown
	verbs
)

var verbNames = [...]string{"Read", "Write", "CloseWrite", "CloseRead", "Close", "Abort", "EndReads", "EndWrites",
	"MoveDeadlines", "Cancel", "Move", "Detach", "Open", "ReadAt", "WriteAt", "ReadNext", "WriteNext", "ReadVector", "WriteVector",
	"Truncate", "Allocate", "Sync", "Stat", "CloseFile", "AdoptFile", "StatName", "LstatName", "Remove", "Rename", "Link", "Symlink",
	"Mkdir", "Chain", "SendFile", "Listen", "Dial", "Accept", "Shutdown"}

func (v Verb) String() string { return verbNames[v] }

// Step is one call, or a few that have one result.
type Step struct {
	ID     int
	Verb   Verb
	Way    int   // which of the calls that do it
	On     int   // end of a connection, handle of a file, or listener
	N      int   // bytes
	Off    int64 // in a file
	Name   int   // of a file, or of an address
	To     int   // of a file: its other name, or the end of the connection that it is sent on; the listener that is dialed
	Flags  int   // of open(2), or how a dial fails
	Target int   // step that is canceled
	Late   bool  // steps that follow may begin before it has ended
	Ended  bool  // its context has ended before
}

// Program is a medium and steps on it.
type Program struct {
	Medium  Medium
	Task    bool  // a task of a loop makes the calls, else a goroutine
	Foreign bool  // the second end is one of package net, on the side of the library, too
	NetConn bool  // the ends of the library are used by their net.Conn
	Handled bool  // they receive with OnRecv
	Limit   int64 // of the size of files (RLIMIT_FSIZE); 0: none
	Steps   []Step
}

func (p *Program) clone() *Program {
	c := *p
	c.Steps = append([]Step(nil), p.Steps...)
	return &c
}

// String is the program as a Go literal.
func (p *Program) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "{%s}", strings.Join(fields(reflect.ValueOf(*p)), ", "))
	return out.String()
}

// fields are those that are not zero.
func fields(v reflect.Value) (list []string) {
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		switch {
		case field.Kind() == reflect.Slice:
			var steps strings.Builder
			for j := range field.Len() {
				fmt.Fprintf(&steps, "\t{%s},\n", strings.Join(fields(field.Index(j)), ", "))
			}
			list = append(list, fmt.Sprintf("%s: []Step{\n%s}", name, steps.String()))
		case !field.IsZero() || name == "Verb" || name == "Medium":
			list = append(list, fmt.Sprintf("%s: %v", name, field.Interface()))
		}
	}
	return list
}
