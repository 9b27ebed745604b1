package foreach

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDo(t *testing.T) {
	for name, fn := range map[string]func(){
		"returns": func() {},
		"panics":  func() { panic("it may") },
		"exits":   runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			ended := make(chan any)
			go func() {
				defer func() { ended <- recover() }()
				Do([]int{1, 2, 3, 4}, func(i int) {
					got = append(got, i)
					if i != 2 {
						fn()
					}
				})
			}()
			panicked := <-ended
			require.Equal(t, []int{1, 2, 3, 4}, got)
			require.Equal(t, name == "panics", panicked != nil)
		})
	}
	Do(nil, func(int) { t.Error("called for nothing") })
}
