//go:build !linux

package ring

// CQE is a completion.
type CQE struct{ c cqe }

func (c *CQE) UserData() uint64 { return c.c.userData }
func (c *CQE) Result() int32    { return c.c.result }
func (c *CQE) Flags() uint32    { return c.c.flags }
