package faultqueue

import (
	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/ring"
)

// Hook puts a Queue over that of each loop, with the plan that plan makes for it.
func Hook(plan func(loop int) Plan) queuehook.Hook {
	return func(loop int, open func() (ring.Queue, error)) (ring.Queue, error) {
		q, err := open()
		if err != nil {
			return nil, err
		}
		return New(q, plan(loop)), nil
	}
}
