//go:build !linux

package main

import "runtime"

func settings(bool) []setting {
	return []setting{{Name: "system", Value: runtime.GOOS, Advice: "both backends are of Linux"}}
}
