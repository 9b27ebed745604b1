//go:build !linux

package queueabi

// CQE is a completion.
type CQE struct{ completion }

func (c *completion) UserData() uint64 { return c.userData }
func (c *completion) Result() int32    { return c.result }
func (c *completion) Flags() uint32    { return c.flags }
