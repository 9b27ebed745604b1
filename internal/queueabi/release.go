package queueabi

import "fmt"

// Before reports whether a kernel's release, as uname(2) has it, is older than
// major.minor. What is no release is not.
func Before(release string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(release, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a < major || a == major && b < minor
}
