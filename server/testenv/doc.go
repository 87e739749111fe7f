// Package testenv starts a whole server on loopback, in this process, for tests of flows: real sockets, real TLS, a real
// database, nothing else of the machine touched. The end-to-end tests in e2e start the binary instead.
package testenv
