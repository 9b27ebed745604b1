package contestant

import "github.com/tidwall/evio"

// One loop, and the loop's own buffer handed out instead of a copy
// (ReuseInputBuffer): an echo is done with it when it returns.
var _ = register(Contestant{
	Name:        "evio",
	Family:      Peer,
	About:       "evio 1.0.8, one loop",
	Serve:       serveEvio,
	NoBroadcast: "evio writes only to the connection whose event it handles",
})

func serveEvio(o Options) error {
	return evio.Serve(evio.Events{
		NumLoops: 1,
		Serving: func(s evio.Server) evio.Action {
			o.Listening(s.Addrs[0].String())
			return evio.None
		},
		Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			return nil, evio.Options{ReuseInputBuffer: true}, evio.None
		},
		Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) { return in, evio.None },
	}, "tcp://"+o.Addr)
}
