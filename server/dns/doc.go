// Package dns owns questions to the domain name system: which server is asked,
// how long an answer is kept, what its absence means, and how internationalised
// names are written.
//
// It must not judge mail: what an NXDOMAIN means for a sender is for the
// packages above.
package dns
