// Package sockets opens sockets and describes them: addresses as the kernel lays
// them out and as package net has them, control messages, descriptors that are
// passed on, options, and what else is known of a descriptor. It knows neither
// loop nor future. Nothing here waits, but for LookupPacketAddress and for names
// given to Listen and ListenPacket, which are resolved.
//
// The types to know are Address, which an operation on the queue points to;
// Control, the control messages of a message that is sent; and Packet, a socket
// for messages.
//
// Sockets are blocking: a ring waits inside the kernel, and the epoll backend
// sets what it needs itself. All are close-on-exec.
//
// What needs a socket exists on Linux only: elsewhere the error is
// errors.ErrUnsupported.
package sockets
