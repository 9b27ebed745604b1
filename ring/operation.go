package ring

import "fmt"

// String is the operation's name in the kernel's header, "IORING_OP_RECV".
func (op Op) String() string {
	if int(op) < len(operations) {
		return operations[op].name
	}
	return fmt.Sprintf("Op(%d)", uint8(op))
}

// FirstKernel is the first kernel that has the operation, set-up flag or
// feature of that name, "5.6"; empty if there is none of that name.
func FirstKernel(name string) string { return since[name] }
