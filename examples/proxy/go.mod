module github.com/goproactor/goproactor/examples/proxy

go 1.26.0

require (
	github.com/goproactor/goproactor v0.0.0
	github.com/goproactor/goproactor/proactor/proxyprotocol v0.0.0-00010101000000-000000000000
	github.com/pires/go-proxyproto v0.15.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/iceber/iouring-go v0.0.0-20230403020409-002cfd2e2a90 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/goproactor/goproactor => ../..

replace github.com/goproactor/goproactor/proactor/proxyprotocol => ../../proactor/proxyprotocol
