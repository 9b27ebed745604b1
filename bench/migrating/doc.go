// Package migrating has the programs of docs/migrating.md: the same two servers on package
// net, gnet, netpoll and this library. A test has the same clients talk to each of them.
//
// One numbers the lines that a connection sends, and ends a connection that is idle. The
// other sends each line to everybody.
package migrating
