//go:build !linux

package engine

import "time"

// Demand is for how long the loop has wanted a processor.
func (l *Loop) Demand() time.Duration { return 0 }

func (l *Loop) noteThread() {}
