// Package e2e drives the built program with what people use: curl, swaks, mbsync, a program on the Go SDK, the packed TypeScript
// SDK, and what README.md tells them to type. Its tests are behind the build tag e2e and run by "make e2e" and "make test".
package e2e
