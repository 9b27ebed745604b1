package epollfallback

import "github.com/goproactor/goproactor/ring"

// Description tells of one operation what the fallback does for it.
type Description struct {
	Operation string // what it does, in a few words
	Op        ring.Op
	Needs     string // the feature it needs of io_uring besides the opcode, empty if none
	Emulation string // the system calls, and when they are made
}

// FirstKernel is the first kernel whose io_uring has the operation.
func (d Description) FirstKernel() string {
	if d.Needs != "" {
		return ring.FirstKernel(d.Needs)
	}
	return ring.FirstKernel(d.Op.String())
}

// Descriptions describes every operation the fallback performs, in the order of
// their codes. docs/operations.md is printed from them.
func Descriptions() (list []Description) {
	for op, e := range emulations {
		for _, f := range e.forms {
			list = append(list, Description{Operation: f.name, Op: ring.Op(op), Needs: f.needs, Emulation: f.calls})
		}
	}
	return list
}
