package proactor

// cursorTurn is one of those who read and write at the cursor of a file: one
// after the other, in the order of the calls.
type cursorTurn interface {
	grant()            // it is the first: it begins
	refuse()           // it will not be, for the file ends
	abandon(err error) // no completion will come
}

// joinLine puts t behind those who use the cursor.
func (f *File) joinLine(t cursorTurn) {
	f.line.push(t)
	if f.line.len() == 1 {
		t.grant()
	}
}

// isFirst reports whether t has been granted the cursor.
func (f *File) isFirst(t cursorTurn) bool { return f.line.len() > 0 && *f.line.at(0) == t }

// leaveLine has the next one begin if t was the first. It may be in the middle.
func (f *File) leaveLine(t cursorTurn) {
	if !f.isFirst(t) {
		f.cutLine(t)
		return
	}
	f.line.pop()
	for f.line.len() > 0 && f.ending {
		f.line.pop().refuse()
	}
	if f.line.len() > 0 {
		(*f.line.at(0)).grant()
	}
}

// cutLine takes t out of the middle.
func (f *File) cutLine(t cursorTurn) {
	for i := range f.line.len() {
		if *f.line.at(i) == t {
			for _, other := range f.line.cut(i)[1:] {
				f.line.push(other)
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

// refuse implements cursorTurn.
func (m *cursorClaim) refuse() {
	m.queued = false
	m.chain.refuse(m.file.failed("chain", errFileClosed))
}

// abandon implements cursorTurn.
func (m *cursorClaim) abandon(err error) {
	m.queued = false
	m.chain.abandon(err)
}

// release lets others have the cursor.
func (m *cursorClaim) release() {
	if m.queued {
		m.queued = false
		m.file.leaveLine(m)
	}
}
