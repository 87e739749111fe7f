package dns

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// Fake is a Resolver with a script, for tests. A name without any record does
// not exist; one with records of other types has no such record.
type Fake struct {
	mu sync.Mutex
	// records maps "MX example.test" to values.
	records  map[string][]string
	failures map[string]error
	asked    []string
}

// NewFake returns a fake with records: keys such as "MX example.test", values
// as in a zone file. Types are TXT (one text each), MX ("10 mx.example.test",
// "0 ." for a null MX), A, AAAA (addresses) and PTR (host names, the key being
// "PTR 192.0.2.1"). A key with a fault in it fails when it is asked.
func NewFake(records map[string][]string) *Fake {
	f := &Fake{records: map[string][]string{}, failures: map[string]error{}}
	for key, values := range records {
		kind, name, _ := strings.Cut(key, " ")
		f.Set(kind, name, values...)
	}
	return f
}

// Set replaces the records of one type of a name; no values remove them.
func (f *Fake) Set(kind, name string, values ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(values) == 0 {
		delete(f.records, fakeKey(kind, name))
		return
	}
	f.records[fakeKey(kind, name)] = values
}

// Fail makes every question for a name end with an outcome, such as
// ErrServFail, until it is called with nil.
func (f *Fake) Fail(name string, outcome error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if outcome == nil {
		delete(f.failures, fakeName(name))
		return
	}
	f.failures[fakeName(name)] = outcome
}

// Asked returns the questions so far, as "MX example.test".
func (f *Fake) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

func fakeName(name string) string {
	if ascii, err := queryName(name); err == nil {
		return plainName(ascii)
	}
	return plainName(name)
}

func fakeKey(kind, name string) string { return strings.ToUpper(kind) + " " + fakeName(name) }

// answer returns the values for a question as a server would.
func (f *Fake) answer(ctx context.Context, kind, name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fakeKey(kind, name)
	f.asked = append(f.asked, key)
	if err := ctx.Err(); err != nil {
		return nil, &Error{Type: kind, Name: name, Outcome: ErrTimeout, Cause: err}
	}
	if _, err := queryName(name); err != nil {
		return nil, &Error{Type: kind, Name: name, Outcome: ErrInvalidName, Cause: err}
	}
	if outcome := f.failures[fakeName(name)]; outcome != nil {
		return nil, &Error{Type: kind, Name: name, Outcome: outcome}
	}
	if values := f.records[key]; len(values) > 0 {
		return append([]string{}, values...), nil
	}
	for known := range f.records {
		if strings.HasSuffix(known, " "+fakeName(name)) {
			return nil, &Error{Type: kind, Name: name, Outcome: ErrNoData}
		}
	}
	return nil, &Error{Type: kind, Name: name, Outcome: ErrNXDomain}
}

// LookupTXT implements Resolver.
func (f *Fake) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return f.answer(ctx, "TXT", name)
}

// LookupMX implements Resolver.
func (f *Fake) LookupMX(ctx context.Context, name string) ([]MX, error) {
	values, err := f.answer(ctx, "MX", name)
	if err != nil {
		return nil, err
	}
	var mxs []MX
	for _, value := range values {
		preference, host, ok := strings.Cut(value, " ")
		n, err := strconv.ParseUint(preference, 10, 16)
		if err != nil || !ok {
			return nil, fmt.Errorf("the fake record MX %s %q is not a preference and a host", name, value)
		}
		mxs = append(mxs, MX{Preference: uint16(n), Host: plainName(host)})
	}
	sortMX(mxs)
	return mxs, nil
}

// LookupAddr implements Resolver.
func (f *Fake) LookupAddr(ctx context.Context, host string) ([]netip.Addr, error) {
	four, err := f.answer(ctx, "A", host)
	six, err6 := f.answer(ctx, "AAAA", host)
	var addrs []netip.Addr
	for _, value := range append(four, six...) {
		addr, err := netip.ParseAddr(value)
		if err != nil {
			return nil, fmt.Errorf("the fake address of %s: %w", host, err)
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	return nil, worse(err, err6)
}

// LookupPTR implements Resolver.
func (f *Fake) LookupPTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	values, err := f.answer(ctx, "PTR", addr.Unmap().WithZone("").String())
	for i, value := range values {
		values[i] = plainName(value)
	}
	return values, err
}

var (
	_ Resolver = (*Client)(nil)
	_ Resolver = (*Fake)(nil)
)
