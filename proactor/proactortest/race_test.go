//go:build race

package proactortest_test

// raceEnabled reports whether the race detector is in the program.
const raceEnabled = true
