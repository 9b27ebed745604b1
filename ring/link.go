package ring

// BreaksLink reports whether an operation that fails breaks the link to the next
// entry, as SQELink has it. The kernel does not mark the failures of some (seen on
// 6.18; older ones did): of what concerns names, of syncs, allocations,
// truncations and shutdowns. What must not run after such a failure is submitted
// when the success is known.
func (op Op) BreaksLink() bool {
	switch op {
	case OpStatx, OpUnlinkat, OpMkdirat, OpRenameat, OpLinkat, OpSymlinkat, OpFsync, OpFallocate, OpFtruncate, OpShutdown:
		return false
	}
	return true
}
