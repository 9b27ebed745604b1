package queueabi

import "math/bits"

// MaxEntries is the largest submission queue that the kernel makes. A completion queue has
// at most twice as many.
const MaxEntries = 32768

const defaultEntries = 1024

// Sizes are those of a queue that is asked for so many entries and completions: powers of
// two, the defaults for zero, and what the kernel allows instead of more.
func Sizes(entries, completions uint32) (uint32, uint32) {
	if entries == 0 {
		entries = defaultEntries
	}
	entries = powerOfTwo(min(entries, MaxEntries))
	if completions < 2*entries {
		completions = 4 * entries
	}
	return entries, powerOfTwo(min(completions, 2*MaxEntries))
}

// powerOfTwo rounds n up.
func powerOfTwo(n uint32) uint32 { return 1 << bits.Len32(n-1) }
