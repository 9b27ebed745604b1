// Package docstest checks that the Go code in the Markdown files compiles. It has
// tests only.
//
// A block of code that is fenced with ```go is a file, declarations or statements.
// Packages of the standard library and of this module are imported by themselves.
// Statements are the body of a function that returns an error and has ctx, rt, l, c
// and ln: see given. What else they need a comment before the block declares, as in
//
//	<!-- given jobs chan string -->
//
// What needs another module is a part of one of its files, which a comment names, and
// compiles there:
//
//	<!-- from proactor/metrics/example_test.go -->
//
// Unused variables are no errors.
package docstest
