// Package publicapi guards the exported declarations of the library. It has tests only.
//
// library.txt, metrics.txt and proxyprotocol.txt list them, one a line and sorted, without
// the names of parameters. A change shows in their diff:
//
//	go test ./internal/publicapi -update
//
// CHANGELOG.md tells users of it, and what to write instead.
package publicapi
