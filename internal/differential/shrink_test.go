package differential

// Shrink makes a program smaller as long as it fails: steps, chains, entries
// and acts go, and sizes and flags. It asks fails at most limit times.
func Shrink(p *Program, limit int, fails func(*Program) bool) *Program {
	s := &shrinker{best: p, left: limit, fails: fails}
	for {
		before := s.size()
		s.cutSteps()
		s.cutEntries()
		s.cutActs()
		s.simplify()
		if s.left <= 0 || s.size() == before {
			return s.best
		}
	}
}

type shrinker struct {
	best  *Program
	left  int
	fails func(*Program) bool
}

func (s *shrinker) size() (n int) {
	for _, step := range s.best.Steps {
		n += 1 + len(step.Entries) + len(step.Acts)
	}
	return n
}

// try keeps what edit makes of a copy of the program, if it fails still.
func (s *shrinker) try(edit func(*Program)) bool {
	if s.left <= 0 {
		return false
	}
	s.left--
	p := s.best.clone()
	edit(p)
	if !s.fails(p) {
		return false
	}
	s.best = p
	return true
}

func (p *Program) clone() *Program {
	c := &Program{Groups: append([]Group(nil), p.Groups...), Slots: p.Slots, Named: p.Named, Packets: p.Packets}
	for _, s := range p.Steps {
		c.Steps = append(c.Steps, Step{append([]Entry(nil), s.Entries...), append([]Act(nil), s.Acts...)})
	}
	return c
}

func cut[T any](list []T, from, n int) []T { return append(list[:from], list[from+n:]...) }

// cutSteps takes out runs of steps, half of them first.
func (s *shrinker) cutSteps() {
	for n := max(1, len(s.best.Steps)/2); n > 0; n /= 2 {
		for i := len(s.best.Steps) - n; i >= 0; i-- {
			if i+n <= len(s.best.Steps) {
				s.try(func(p *Program) { p.Steps = cut(p.Steps, i, n) })
			}
		}
	}
}

func (s *shrinker) cutEntries() {
	for i := range s.best.Steps {
		if len(s.best.Steps[i].Entries) > 1 {
			s.try(func(p *Program) { p.Steps[i].Entries = nil })
		}
		for j := len(s.best.Steps[i].Entries) - 1; j >= 0; j-- {
			if j < len(s.best.Steps[i].Entries) {
				s.try(func(p *Program) { p.Steps[i].removeEntry(j) })
			}
		}
	}
}

// removeEntry takes an entry out. What was linked to the last of a chain is
// its end now.
func (s *Step) removeEntry(j int) {
	if j > 0 && s.Entries[j].Link == 0 {
		s.Entries[j-1].Link = 0
	}
	s.Entries = cut(s.Entries, j, 1)
}

func (s *shrinker) cutActs() {
	for i := range s.best.Steps {
		for j := len(s.best.Steps[i].Acts) - 1; j >= 0; j-- {
			s.try(func(p *Program) { p.Steps[i].Acts = cut(p.Steps[i].Acts, j, 1) })
		}
	}
}

func (s *shrinker) simplify() {
	for len(s.best.Groups) > 0 && s.try(func(p *Program) { p.Groups = p.Groups[:len(p.Groups)-1] }) {
	}
	s.try(func(p *Program) { p.Named = false })
	s.try(func(p *Program) { p.Packets = false })
	for o, slot := range s.best.Slots {
		if slot {
			s.try(func(p *Program) { p.Slots[o] = false })
		}
	}
	for i := range s.best.Groups {
		if s.best.Groups[i].Incremental {
			s.try(func(p *Program) { p.Groups[i].Incremental = false })
		}
	}
	for i := range s.best.Steps {
		for j := range s.best.Steps[i].Entries {
			s.simplifyEntry(i, j)
		}
	}
}

func (s *shrinker) simplifyEntry(i, j int) {
	e := s.best.Steps[i].Entries[j]
	edit := func(change func(*Entry)) { s.try(func(p *Program) { change(&p.Steps[i].Entries[j]) }) }
	if e.Link != 0 {
		edit(func(e *Entry) { e.Link = 0 })
	}
	if e.Ioprio != 0 {
		edit(func(e *Entry) { e.Ioprio = 0 })
	}
	if e.Flags != 0 && (e.Kind == Recv || e.Kind == Send || e.Kind == Sendmsg) && e.Size < 10000 {
		edit(func(e *Entry) { e.Flags = 0 })
	}
	if e.Count > 0 && (e.Kind == Timeout || e.Kind == Sendmsg) {
		edit(func(e *Entry) { e.Count = 0 })
	}
	if e.Size > 8 {
		edit(func(e *Entry) { e.Size = 8 })
	}
}
