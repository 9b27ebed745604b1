// Package soak runs the library under mixed traffic for as long as one likes, and
// looks whether it stays right and whether it stays small.
//
// Several runtimes run at once, one for each backend and number of loops. Each serves
// every kind of traffic (see services.go) to clients of package net and of the library
// itself, which compare every byte (see episodes.go). Now and then a runtime is replaced
// by a new one, which takes over its listeners, while the clients go on. From time to
// time all clients pause, and what is then left is counted and compared (see rules.go).
package soak
