package main

// matches reports whether a name has the form of a pattern of Redis: ? is any byte, *
// any bytes, [abc], [a-c] and [^a] one of a class, \ takes the next byte as it is. It
// takes no more steps than the product of the two lengths, however many stars there are.
func matches(pattern, name string) bool {
	p, n := 0, 0
	star, resume := -1, 0 // the last star, and where to go on with it
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p, n
			p++
			continue
		}
		if p < len(pattern) {
			if ok, size := matchesOne(pattern[p:], name[n]); ok {
				p += size
				n++
				continue
			}
		}
		if star < 0 {
			return false
		}
		resume++
		p, n = star+1, resume
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchesOne matches one byte with the beginning of a pattern, of which it says how long
// that is.
func matchesOne(pattern string, b byte) (ok bool, size int) {
	switch {
	case pattern[0] == '?':
		return true, 1
	case pattern[0] == '\\' && len(pattern) > 1:
		return pattern[1] == b, 2
	case pattern[0] == '[':
		return matchesClass(pattern, b)
	}
	return pattern[0] == b, 1
}

func matchesClass(pattern string, b byte) (ok bool, size int) {
	i := 1
	negated := i < len(pattern) && pattern[i] == '^'
	if negated {
		i++
	}
	found := false
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			found = found || pattern[i] == b
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := min(pattern[i], pattern[i+2]), max(pattern[i], pattern[i+2])
			found = found || low <= b && b <= high
			i += 2
		default:
			found = found || pattern[i] == b
		}
	}
	return found != negated, min(i+1, len(pattern))
}
