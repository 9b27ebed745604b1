// Package proactornet has functions by the names that they have in package net, over
// this library. The conformance module copies it into the modules whose tests it runs,
// where it takes the place of package net.
//
// Two variables of the environment say what is behind it: PROACTORNET_BACKEND is
// "io_uring", "epoll", or "net" for package net itself, and PROACTORNET_MODE is
// "detached", "shared" or "coroutine".
package proactornet
