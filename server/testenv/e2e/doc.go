// Package e2e drives the built program with what people use: curl, swaks, mbsync, a program on the Go SDK and the packed
// TypeScript SDK. Its tests are behind the build tag e2e and run by "make e2e" and "make test".
package e2e
