// Package mail holds the words of the program: addresses, typed ids, flags, principals and envelopes.
//
// It imports the standard library only and everything may import it. It holds no state and does no I/O.
package mail
