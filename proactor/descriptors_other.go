//go:build !linux

package proactor

func openPoller() error       { return nil }
func leavesRoom() error       { return nil }
func explain(err error) error { return err }
