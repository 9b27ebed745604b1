package library

// Shrink makes a program smaller as long as it fails: steps go, and what the rest says
// becomes simpler. It asks fails at most limit times.
func Shrink(p *Program, limit int, fails func(*Program) bool) *Program {
	try := func(edit func(*Program)) bool {
		if limit <= 0 {
			return false
		}
		limit--
		smaller := p.clone()
		edit(smaller)
		if fails(smaller) {
			p = smaller
			return true
		}
		return false
	}
	for again := true; again && limit > 0; {
		again = false
		for n := max(1, len(p.Steps)/2); n > 0; n /= 2 {
			for from := len(p.Steps) - n; from >= 0; from-- {
				if from+n <= len(p.Steps) && try(func(p *Program) { p.Steps = append(p.Steps[:from], p.Steps[from+n:]...) }) {
					again = true
				}
			}
		}
	}
	try(func(p *Program) { p.Task = false })
	try(func(p *Program) { p.Foreign = false })
	try(func(p *Program) { p.NetConn = false })
	try(func(p *Program) { p.Handled = false })
	try(func(p *Program) { p.Limit = 0 })
	for i := range p.Steps {
		for _, edit := range []func(*Step){
			func(s *Step) { s.Late = false }, func(s *Step) { s.Ended = false }, func(s *Step) { s.Way = 0 },
			func(s *Step) { s.N = min(s.N, 1) }, func(s *Step) { s.Off = 0 }, func(s *Step) { s.Flags = 0 },
			func(s *Step) { s.Name = 0 }, func(s *Step) { s.To = 0 },
		} {
			changed := p.Steps[i]
			if edit(&changed); changed != p.Steps[i] {
				try(func(p *Program) { p.Steps[i] = changed })
			}
		}
	}
	return p
}
