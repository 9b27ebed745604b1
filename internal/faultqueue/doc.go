// Package faultqueue is a ring.Queue above another one, on which things go wrong as the
// kernel lets them go wrong: transfers move a part of what was asked for, completions
// come late and in another order, multishots end, buffers and descriptors run out, the
// completion queue overflows, devices fail.
//
//   - Queue performs entries as its Plan decides;
//   - Plan decides what goes wrong with each entry;
//   - Random makes a Plan from a seed.
//
// What the contract of ring.Queue promises holds above it, too: each entry ends in one
// final completion, those of a chain come in their order, and memory is the caller's
// again when the final completion says so.
//
// The user data of an entry must differ from that of every other one in flight, as that
// of package engine does.
package faultqueue
