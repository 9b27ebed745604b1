// Package foreach goes through lists of what calls back into programs.
package foreach

// Do calls fn with each item, in order. Where fn panics or calls runtime.Goexit for one,
// it is called with the others on the way out.
func Do[T any](items []T, fn func(T)) {
	defer func() {
		if len(items) > 0 {
			Do(items, fn)
		}
	}()
	for len(items) > 0 {
		item := items[0]
		items = items[1:]
		fn(item)
	}
}
