package engine

// copies is memory for what is copied out of buffers, kept for the next copy by
// size, so that a server in which much is held allocates little.
type copies struct {
	free [len(copySizes)][][]byte
}

// copySizes are the sizes that are kept, in bytes. What is larger is left to the
// garbage collector.
var copySizes = [...]int{256, 2 << 10, 16 << 10, 32 << 10, 64 << 10}

// Of each size so many are kept at most, and no more than so many bytes.
const (
	keptCopies = 256
	keptBytes  = 4 << 20
)

// sizeClass is the index of the smallest size for n bytes; false if none is large
// enough.
func sizeClass(n int) (int, bool) {
	for i, size := range copySizes {
		if n <= size {
			return i, true
		}
	}
	return 0, false
}

// memory is n bytes, not cleared.
func (c *copies) memory(n int) []byte {
	class, ok := sizeClass(n)
	if !ok {
		return make([]byte, n)
	}
	if last := len(c.free[class]) - 1; last >= 0 {
		p := c.free[class][last]
		c.free[class] = c.free[class][:last]
		return p[:n]
	}
	return make([]byte, n, copySizes[class])
}

// keep takes memory back that nobody uses any more.
func (c *copies) keep(p []byte) {
	if class, ok := sizeClass(cap(p)); ok && cap(p) == copySizes[class] && len(c.free[class]) < min(keptCopies, keptBytes/copySizes[class]) {
		c.free[class] = append(c.free[class], p[:0])
	}
}
