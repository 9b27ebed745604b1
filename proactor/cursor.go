package proactor

// cursorTurn is a place in the line of a file's cursor. Reads, writes and chains use the
// cursor one after the other, in the order of the calls.
type cursorTurn interface {
	grant() // it is the first and begins
	shut()  // the file ends before it was the first
}

// joinLine appends t to the line.
func (f *File) joinLine(t cursorTurn) {
	f.line.Push(t)
	if f.line.Len() == 1 {
		t.grant()
	}
}

// isFirst reports whether t has been granted the cursor.
func (f *File) isFirst(t cursorTurn) bool { return f.line.Len() > 0 && *f.line.At(0) == t }

// leaveLine takes t out of the line. If t was the first, the next one begins.
func (f *File) leaveLine(t cursorTurn) {
	if !f.isFirst(t) {
		f.cutLine(t)
		return
	}
	f.line.Pop()
	for f.line.Len() > 0 && f.ending {
		f.line.Pop().shut()
	}
	if f.line.Len() > 0 {
		(*f.line.At(0)).grant()
	}
}

// cutLine takes t out of the middle of the line.
func (f *File) cutLine(t cursorTurn) {
	for i := range f.line.Len() {
		if *f.line.At(i) == t {
			for _, other := range f.line.Cut(i)[1:] {
				f.line.Push(other)
			}
			return
		}
	}
}

// cursorClaim is a chain's claim to the cursor of a file.
type cursorClaim struct {
	chain  *chain
	file   *File
	queued bool
}

// claimCursor notes that the chain needs the cursor of f.
func (c *chain) claimCursor(f *File) {
	for _, has := range c.cursors {
		if has.file == f {
			return
		}
	}
	c.cursors = append(c.cursors, &cursorClaim{chain: c, file: f})
	c.waiting++
}

func (m *cursorClaim) queue() {
	m.queued = true
	m.file.joinLine(m)
}

// grant implements cursorTurn.
func (m *cursorClaim) grant() { m.chain.granted() }

// shut implements cursorTurn.
func (m *cursorClaim) shut() {
	m.queued = false
	m.chain.refuse(m.file.closedError("chain"))
}

// release leaves the line.
func (m *cursorClaim) release() {
	if m.queued {
		m.queued = false
		m.file.leaveLine(m)
	}
}
