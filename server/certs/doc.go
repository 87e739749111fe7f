// Package certs owns the certificates that the TLS listeners show: a
// self-signed one with an authority of its own, or one from files. Either is
// renewed or re-read while the server runs.
//
// It must not listen, and must not decide which names a server has.
package certs
