// Package e2e drives the built program with the clients that people use: curl, swaks, mbsync. Its tests are behind the build tag
// e2e and run by "make e2e" and "make test".
package e2e
