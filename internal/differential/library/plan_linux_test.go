package library

// planned is what the plan says of a step.
type planned struct {
	skip   bool  // there is no result that both must have
	before []int // the steps whose results must be there before it begins
	after  []int // those, itself perhaps, whose results must be there afterwards
	rule   *rule // nil: the result is that of packages net and os
	from   int   // Write: where in the stream its bytes are
	ended  bool  // with an ended context it can only be canceled, see Step.Ended
}

// Plan is what the results of a program depend on. It does not ask the players: the plan
// is the same for all of them.
func Plan(p *Program) []planned {
	switch {
	case p.Medium == Files:
		return planFiles(p)
	case p.Medium.messages():
		return planMessages(p)
	case p.Medium == Listeners:
		return planListeners(p)
	}
	return planStreams(p)
}

// awaitAtEnd has what goes on awaited behind the last step.
func awaitAtEnd(plan []planned, ids []int) {
	if n := len(plan); n > 0 {
		plan[n-1].after = append(plan[n-1].after, ids...)
	}
}

// waiting is a step that has begun and not ended.
type waiting struct {
	index int // among the steps
	id    int
	n     int
	from  int // Write: where its bytes begin
	shuts bool
}
