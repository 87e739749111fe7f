package outbound_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// What validate says is what send does, word for word.
func TestValidateFindsWhatSendWouldRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeNone})
	w.user("ann@d.test")
	for name, change := range map[string]func(*outbound.Draft){
		"a sound one":            func(*outbound.Draft) {},
		"two things":             func(d *outbound.Draft) { d.Subject, d.Text = "a\nb", "" },
		"a sender of others":     func(d *outbound.Draft) { d.From.Address.Domain = "far.test" },
		"no such blob":           func(d *outbound.Draft) { d.Attachments = []outbound.Attachment{{Filename: "a", Blob: mail.BlobID{1}}} },
		"too large":              func(d *outbound.Draft) { d.Text = strings.Repeat("x", 2<<20) },
		"a recipient elsewhere":  func(d *outbound.Draft) { d.To[0].Address.Domain = "far.test" },
		"a header that is ours":  func(d *outbound.Draft) { d.Headers = []outbound.Header{{Name: "Received", Value: "x"}} },
		"nobody to send to":      func(d *outbound.Draft) { d.To = nil },
		"an address that is bad": func(d *outbound.Draft) { d.To = append(d.To, outbound.Party{Name: "x"}) },
	} {
		d := w.draft("ann@d.test")
		change(&d)
		v, err := w.out.Validate(t.Context(), system(), d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := query[int](w, `SELECT count(*) FROM email`); n != 0 || len(w.files(body.Outbound)) != 0 {
			t.Fatalf("%s: validate left %d emails, files %v", name, n, w.files(body.Outbound))
		}
		e, err := w.out.Accept(t.Context(), system(), d)
		var want []fault.Detail
		var f *fault.Error
		if errors.As(err, &f) {
			want = outbound.DetailsOf(f)
		} else {
			if v.Size != w.get(e.ID).Size {
				t.Errorf("%s: %d octets, sent %d", name, v.Size, w.get(e.ID).Size)
			}
			w.exec(`DELETE FROM email`)
			if err := w.bodies.Remove(t.Context(), body.Outbound, e.File); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, v.Problems); diff != "" {
			t.Errorf("%s: send and validate differ: %s", name, diff)
		}
	}
}

func TestValidateSaysWhereEachCopyWouldGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.user("ann@d.test")
	closed := w.user("closed@d.test")
	off := account.Disabled
	if _, err := w.accounts.Update(t.Context(), system(), closed.ID, account.Update{Status: &off}); err != nil {
		t.Fatal(err)
	}
	d := w.draft("Ann@D.test", "ANN@d.test", "nobody@d.test", "closed@d.test", "x@far.test", "postmaster@d.test")
	direct, none := w.flow(outbound.ModeDirect, w.in), w.flow(outbound.ModeNone, w.in)
	key := keyPrincipal(1)
	test := key
	test.Test = true
	for name, c := range map[string]struct {
		flow *outbound.Service
		p    mail.Principal
		want string
	}{
		"sink": {w.out, key, "Ann@d.test deliver_local d.test true; nobody@d.test refuse d.test true; closed@d.test refuse d.test true; " +
			"x@far.test send far.test false; postmaster@d.test deliver_local d.test true; valid"},
		"direct": {direct, key, "Ann@d.test deliver_local d.test true; nobody@d.test refuse d.test true; closed@d.test refuse d.test true; " +
			"x@far.test send far.test false; postmaster@d.test deliver_local d.test true; valid"},
		"none": {none, key, "Ann@d.test deliver_local d.test true; ANN@d.test deliver_local d.test true; nobody@d.test refuse d.test true; " +
			"closed@d.test refuse d.test true; x@far.test refuse far.test false; postmaster@d.test deliver_local d.test true; not valid"},
		"a test key": {w.out, test, "Ann@d.test send d.test false; ANN@d.test send d.test false; nobody@d.test send d.test false; " +
			"closed@d.test send d.test false; x@far.test send far.test false; postmaster@d.test send d.test false; valid"},
	} {
		v, err := c.flow.Validate(t.Context(), c.p, d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, r := range v.Recipients {
			got = append(got, fmt.Sprintf("%s %s %s %t", r.Address, r.Would, r.Destination, r.Local))
			if r.Would == outbound.WouldRefuse && r.Reason == "" {
				t.Errorf("%s: %s is refused without a reason", name, r.Address)
			}
		}
		valid := "valid"
		if len(v.Problems) > 0 {
			valid = "not valid"
		}
		if text := strings.Join(append(got, valid), "; "); text != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, c.want)
		}
	}
}

// Who may not send is told so and learns nothing about other domains.
func TestValidateTellsNothingToWhoMayNotSend_S43(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	bound := keyPrincipal(1)
	bound.Domains = []mail.DomainID{w.other.ID}
	for code, p := range map[string]mail.Principal{
		"domain-forbidden": bound, "sender-not-owned": principal(ann), "unauthenticated": {},
		"scope-missing": {Key: mail.KeyID{1}, Scopes: []string{"emails:read"}},
	} {
		if v, err := w.out.Validate(t.Context(), p, w.draft("ann@d.test")); fault.CodeOf(err) != code || len(v.Recipients)+len(v.Problems) != 0 {
			t.Errorf("%s: %+v, %v", code, v, err)
		}
	}
}
