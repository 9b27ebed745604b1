//go:build !race

package proactor

func raceWrote([]byte) {}
func raceRead([]byte)  {}
