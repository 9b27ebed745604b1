//go:build !linux

package ring

// SQE is a submission entry. No queue opens on this system; the type is here
// so that programs compile.
type SQE struct{ f Fields }

func (e *SQE) Reset()                { e.f = Fields{} }
func (e *SQE) SetOpFlags(v uint32)   { e.f.OpFlags = v }
func (e *SQE) SetUserData(v uint64)  { e.f.UserData = v }
func (e *SQE) SetFlags(v uint8)      { e.f.Flags |= v }
func (e *SQE) SetIoprio(v uint16)    { e.f.Ioprio = v }
func (e *SQE) SetBufGroup(v uint16)  { e.f.BufGroup = v }
func (e *SQE) SetBufIndex(v uint16)  { e.f.BufGroup = v }
func (e *SQE) SetSpliceFdIn(v int32) { e.f.SpliceFD = v }

func (e *SQE) PrepOperation(op uint8, fd int32, addr uint64, n uint32, off uint64) {
	e.f.Opcode, e.f.FD, e.f.Addr, e.f.Len, e.f.Off = Op(op), fd, addr, n, off
}
