package dns_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mailserver-dev/mailserver/server/dns"
)

func TestDomainsHaveOneFormInStoreAndOneForPeople(t *testing.T) {
	t.Parallel()
	for given, want := range map[string][2]string{
		"example.test":                 {"example.test", "example.test"},
		"EXAMPLE.Test.":                {"example.test", "example.test"},
		"Bücher.example":               {"xn--bcher-kva.example", "bücher.example"},
		"XN--BCHER-KVA.example":        {"xn--bcher-kva.example", "bücher.example"},
		"faß.de":                       {"xn--fa-hia.de", "faß.de"},
		"例え.テスト":                       {"xn--r8jz45g.xn--zckzah", "例え.テスト"},
		"例え。テスト":                       {"xn--r8jz45g.xn--zckzah", "例え.テスト"},
		"r3---sn-x.example":            {"r3---sn-x.example", "r3---sn-x.example"},
		"localhost":                    {"localhost", "localhost"},
		"1.2.test":                     {"1.2.test", "1.2.test"},
		"a." + strings.Repeat("b", 63): {"a." + strings.Repeat("b", 63), "a." + strings.Repeat("b", 63)},
	} {
		ascii, err := dns.ToASCII(given)
		if err != nil || ascii != want[0] {
			t.Errorf("%s: %s, %v", given, ascii, err)
		}
		if got := dns.ToUnicode(ascii); got != want[1] {
			t.Errorf("%s is shown as %s", ascii, got)
		}
	}
}

func TestWhatIsNoDomainIsRefused(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"", ".", "a..b", ".a", "a b", "a_b.test", "-a.test", "a-.test", "a\x00.test", "a\n.test", "xn--a.test", "xn--.test", "[192.0.2.1]", "a@b",
		strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "bc", strings.Repeat("ü", 60) + ".test", strings.Repeat("x", 1<<20),
		"\u200dx.test", "a\u202eb.test", "\xff.test", "א1a.test", "%2e.test", "a/b.test", "ab--ü.test",
	} {
		if got, err := dns.ToASCII(given); !errors.Is(err, dns.ErrInvalidName) {
			t.Errorf("%.40q became %q, %v", given, got, err)
		}
	}
	if got := dns.ToUnicode("xn--a.test"); got != "xn--a.test" {
		t.Errorf("broken punycode is shown as %q", got)
	}
}

// FuzzToASCII asserts that the stored form is stable, is safe in a protocol
// line, and comes back from the form for people.
func FuzzToASCII(f *testing.F) {
	for _, seed := range []string{"example.test", "Bücher.example.", "xn--bcher-kva", "例え。テスト", "a_b", "faß.de", "\u200d", "א.test"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, domain string) {
		ascii, err := dns.ToASCII(domain)
		if err != nil {
			return
		}
		if len(ascii) == 0 || len(ascii) > 253 || strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("%q became %q", domain, ascii)
		}
		if again, err := dns.ToASCII(ascii); err != nil || again != ascii {
			t.Errorf("%q became %q became %q, %v", domain, ascii, again, err)
		}
		if back, err := dns.ToASCII(dns.ToUnicode(ascii)); err != nil || back != ascii {
			t.Errorf("%q is shown as %q, which becomes %q, %v", ascii, dns.ToUnicode(ascii), back, err)
		}
	})
}

func TestTheFakeAnswersLikeAServer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	f := dns.NewFake(map[string][]string{
		"MX example.test":        {"20 mx2.example.test.", "10 MX1.example.test"},
		"MX null.test":           {"0 ."},
		"MX broken.test":         {"ten mx"},
		"TXT _dmarc.bücher.test": {"v=DMARC1"},
		"A mx1.example.test":     {"192.0.2.1"},
		"AAAA mx1.example.test":  {"2001:db8::1"},
		"A broken.test":          {"x"},
		"PTR 192.0.2.1":          {"MX1.example.test."},
		"PTR 2001:db8::1":        {"mx1.example.test"},
	})
	mx, err := f.LookupMX(ctx, "Example.TEST.")
	if diff := cmp.Diff([]dns.MX{{10, "mx1.example.test"}, {20, "mx2.example.test"}}, mx); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if mx, err := f.LookupMX(ctx, "null.test"); err != nil || mx[0].Host != "" {
		t.Error(mx, err)
	}
	if txt, err := f.LookupTXT(ctx, "_dmarc.xn--bcher-kva.test"); err != nil || txt[0] != "v=DMARC1" {
		t.Error(txt, err)
	}
	got, err := f.LookupAddr(ctx, "mx1.example.test")
	if diff := cmp.Diff(addrs("192.0.2.1", "2001:db8::1"), got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, addr := range addrs("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1") {
		if names, err := f.LookupPTR(ctx, addr); err != nil || names[0] != "mx1.example.test" {
			t.Error(names, err)
		}
	}

	fails := func(name string, want error) {
		t.Helper()
		if _, err := f.LookupMX(ctx, name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fails("none.test", dns.ErrNXDomain)
	fails("mx1.example.test", dns.ErrNoData)
	fails("a b", dns.ErrInvalidName)
	f.Fail("EXAMPLE.test", dns.ErrServFail)
	fails("example.test", dns.ErrServFail)
	f.Fail("example.test", nil)
	f.Set("mx", "example.test")
	fails("example.test", dns.ErrNXDomain)
	if _, err := f.LookupMX(ctx, "broken.test"); err == nil || dns.NotFound(err) {
		t.Errorf("a broken script: %v", err)
	}
	if _, err := f.LookupAddr(ctx, "broken.test"); err == nil || dns.NotFound(err) {
		t.Errorf("a broken script: %v", err)
	}
	if got := f.Asked(); got[0] != "MX example.test" || len(got) < 10 {
		t.Errorf("asked %v", got)
	}
}
