package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Resolver answers questions. Names are domain names with or without the last
// dot; U-labels are turned into A-labels. Errors are *Error.
type Resolver interface {
	// LookupTXT returns the texts of a name, each joined from its strings
	// (RFC 7208 §3.3).
	LookupTXT(ctx context.Context, name string) ([]string, error)
	// LookupMX returns the mail exchangers in the order of their preference. A
	// null MX (RFC 7505) is a single MX with an empty host.
	LookupMX(ctx context.Context, name string) ([]MX, error)
	// LookupAddr returns the IPv4 and then the IPv6 addresses of a host. One
	// family is enough; if there is neither, the worse of both faults counts.
	LookupAddr(ctx context.Context, host string) ([]netip.Addr, error)
	// LookupPTR returns the host names of an address.
	LookupPTR(ctx context.Context, addr netip.Addr) ([]string, error)
}

// MX is one mail exchanger.
type MX struct {
	// Preference is better when it is lower.
	Preference uint16
	// Host is in lower case without the last dot, "" in a null MX.
	Host string
}

// The outcomes of a question that got no records. Use errors.Is.
var (
	// ErrNXDomain says that the name does not exist.
	ErrNXDomain = errors.New("no such name")
	// ErrNoData says that the name has no record of that type.
	ErrNoData = errors.New("no such record")
	// ErrServFail says that no server could answer: SERVFAIL, REFUSED, a
	// broken answer, or no connection to any.
	ErrServFail = errors.New("name servers cannot answer")
	// ErrTimeout says that no answer came in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrInvalidName says that the question itself is no domain name.
	ErrInvalidName = errors.New("not a domain name")
)

// Error is a question without an answer.
type Error struct {
	// Type is TXT, MX, A, AAAA or PTR.
	Type string
	// Name is what was asked.
	Name string
	// Outcome is one of the Err variables above.
	Outcome error
	// Cause is the fault below it, if any.
	Cause error
}

// Error returns `MX example.test: no such name`.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s %s: %v", e.Type, e.Name, e.Outcome)
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap lets errors.Is find outcome and cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Outcome}
	}
	return []error{e.Outcome, e.Cause}
}

// NotFound reports whether an error says that there is nothing to find, now
// and in the next minutes: NXDOMAIN, no such record, or no name at all.
func NotFound(err error) bool {
	return errors.Is(err, ErrNXDomain) || errors.Is(err, ErrNoData) || errors.Is(err, ErrInvalidName)
}

// Temporary reports whether asking again later may help.
func Temporary(err error) bool {
	return errors.Is(err, ErrServFail) || errors.Is(err, ErrTimeout)
}
