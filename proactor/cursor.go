package proactor

// cursorTurn is one of those who read and write at the cursor of a file: one
// after the other, in the order of the calls.
type cursorTurn interface {
	grant() // it is the first: it begins
	shut()  // it will not be, for the file ends
}

// joinLine puts t behind those who use the cursor.
func (f *File) joinLine(t cursorTurn) {
	f.line.Push(t)
	if f.line.Len() == 1 {
		t.grant()
	}
}

// isFirst reports whether t has been granted the cursor.
func (f *File) isFirst(t cursorTurn) bool { return f.line.Len() > 0 && *f.line.At(0) == t }

// leaveLine has the next one begin if t was the first. It may be in the middle.
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

// cutLine takes t out of the middle.
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

// release lets others have the cursor.
func (m *cursorClaim) release() {
	if m.queued {
		m.queued = false
		m.file.leaveLine(m)
	}
}
