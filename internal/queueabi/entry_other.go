//go:build !linux

package queueabi

// SQE is a submission entry. No queue opens on this system; the type is here so
// that programs compile.
type SQE struct{ setters }

// setters are those of iouring-go, which package ring promotes.
type setters struct{ f Entry }

func (e *setters) Reset()                { e.f = Entry{} }
func (e *setters) Opcode() uint8         { return e.f.Opcode }
func (e *setters) SetOpFlags(v uint32)   { e.f.OpFlags = v }
func (e *setters) SetUserData(v uint64)  { e.f.UserData = v }
func (e *setters) SetFlags(v uint8)      { e.f.Flags |= v }
func (e *setters) SetIoprio(v uint16)    { e.f.Ioprio = v }
func (e *setters) SetBufGroup(v uint16)  { e.f.BufGroup = v }
func (e *setters) SetBufIndex(v uint16)  { e.f.BufGroup = v }
func (e *setters) SetSpliceFdIn(v int32) { e.f.SpliceFD = v }

func (e *setters) PrepOperation(op uint8, fd int32, addr uint64, n uint32, off uint64) {
	e.f.Opcode, e.f.FD, e.f.Addr, e.f.Len, e.f.Off = op, fd, addr, n, off
}
