package inbound_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// S-4: no form of an address makes this server pass mail on. A form is either no address at all or refused as a relay.
func TestNoFormOfAnAddressRelays_S4(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ann@d.test")
	w.user("x@d.test")
	forms := []string{
		// others' domains
		"x@far.test", "ann@far.test", "ann@d.test.far.test", "ann@xd.test", "ann@d.tes", "ann@d.test2", "ann@sub.d.test", "ann@test", "ann@localhost",
		"ann@d", "ann@host.test", "postmaster@far.test", "abuse@host.test", "ann@d-test", "ann@d.test-far.test", "ann@xn--bcher-kva.far.test",
		"ann@xn--bcher-kva2.test", "ann@bucher.test", "ann@bu\u0308cher.far.test", "ann@d\u3002far.test",
		// routes written into the local part
		"x%far.test@d.test", "x%far.test%d.test@d.test", "far.test!x@d.test", "d.test!far.test!x@d.test", "ann%d.test@d.test", "!ann@d.test", "ann%@d.test",
		`"x@far.test"@d.test`, `"ann@d.test"@d.test`, `"x%far.test"@d.test`, `"far.test!x"@d.test`, `"@far.test:x"@d.test`, `"x\@far.test"@d.test`,
		`"<x@far.test>"@d.test`, `"x@far.test "@d.test`, "x%far.test@bücher.test", "far.test!x@xn--bcher-kva.test",
		// routes before the address, several addresses, literals
		"@far.test:x@d.test", "@d.test:x@far.test", "@d.test,@far.test:x@far.test", "x@far.test@d.test", "x@d.test@far.test", "ann@d.test,x@far.test",
		"ann@d.test x@far.test", "<x@far.test>", "x@[192.0.2.1]", "x@[IPv6:2001:db8::1]", "ann@[d.test]", "x@192.0.2.1", "x@#3221225985",
		// what cannot be read in one way only
		"x@far.test\x00@d.test", "ann@d.test\x00.far.test", "ann\r\nRCPT TO:<x@far.test>@d.test", "ann@d..test", "ann@.d.test", "ann@d.test..", "ann@-d.test",
		"x@far.test.", "X@FAR.TEST", "", "@", "@d.test", "ann", "ann@", "ann@d_.test",
	}
	refused := 0
	for _, form := range forms {
		for _, parse := range []func(string) (mail.Address, error){mail.ParseAddress, mail.SplitAddress} {
			a, err := parse(form)
			if err != nil {
				if !errors.Is(err, mail.ErrAddress) {
					t.Errorf("%q: %v", form, err)
				}
				continue // refused as a bad path before anybody asks
			}
			refused++
			for _, from := range []mail.Address{{}, {Local: "ann", Domain: "d.test"}, {Local: "x", Domain: "far.test"}} {
				err := w.in.Recipient(t.Context(), w.peer(), from, a)
				if !fault.Is(err, fault.Forbidden) || fault.CodeOf(err) != "relaying-denied" {
					t.Errorf("%q from %q: %v", form, from, err)
				}
			}
		}
	}
	if len(forms) < 60 || refused < 60 {
		t.Errorf("%d forms, %d of them looked at", len(forms), refused)
	}
}

// What looks similar and is ours arrives.
func TestEverySpellingOfAnOwnAddressArrives_S47(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("Ann.B+tag@d.test")
	w.user("jörg@bücher.test")
	for _, to := range []string{
		"Ann.B+tag@d.test", "ann.b+TAG@D.TEST", "ann.b+tag@d.test.", `"ann.b+tag"@d.test`, "jörg@bücher.test", "JÖRG@BÜCHER.test",
		"jo\u0308rg@bu\u0308cher.test", "jörg@xn--bcher-kva.test", "jörg@XN--BCHER-KVA.TEST",
	} {
		if err := w.rcpt(to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, to := range []string{"nobody@d.test", "ann.b@d.test", "jorg@bücher.test", `"ann b"@d.test`} {
		if err := w.rcpt(to); !fault.Is(err, fault.NotFound) || fault.CodeOf(err) != "no-such-user" {
			t.Errorf("%s: %v, want no such user (I-10)", to, err)
		}
	}
}

// I-12, I-13, I-16: each state of domain and account has its answer.
func TestClosedDomainsAndMailboxesSaySo_I12_I13_I16(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	small := int64(100)
	w.user("ann@d.test")
	full := w.user("full@d.test", func(c *account.Create) { c.QuotaBytes = &small })
	disable(w, w.user("off@d.test"))
	w.mustDeliver(plain, "full@d.test")
	check := func(to string, kind fault.Kind, code string) {
		t.Helper()
		if err := w.rcpt(to); !fault.Is(err, kind) || fault.CodeOf(err) != code {
			t.Errorf("%s: %v", to, err)
		}
	}
	check("off@d.test", fault.Forbidden, "mailbox-disabled")
	check("full@d.test", fault.OverQuota, "quota-exceeded")
	if _, err := w.deliver(plain, "full@d.test"); !fault.Is(err, fault.OverQuota) || len(w.inbox(full.ID)) != 1 {
		t.Errorf("at commit: %v", err)
	}
	for _, status := range []domain.Status{domain.Pending, domain.Verified} {
		if _, err := w.domains.Update(t.Context(), system(), w.demo.ID, status, 0); err != nil {
			t.Fatal(err)
		}
		if err := w.rcpt("ann@d.test"); err != nil {
			t.Errorf("%s: %v", status, err)
		}
	}
	if _, err := w.domains.Update(t.Context(), system(), w.demo.ID, domain.Disabled, 0); err != nil {
		t.Fatal(err)
	}
	check("ann@d.test", fault.Limited, "domain-disabled")
	check("nobody@d.test", fault.Limited, "domain-disabled")
	w.clk.Advance(7 * 24 * time.Hour)
	check("ann@d.test", fault.Limited, "domain-disabled")
	w.clk.Advance(time.Second)
	check("ann@d.test", fault.Forbidden, "mailbox-disabled")
}

// RFC 5321 §4.5.1: postmaster of every hosted domain is somebody.
func TestPostmasterIsAlwaysSomebody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.rcpt("postmaster@d.test"); fault.CodeOf(err) != "no-such-user" {
		t.Errorf("a server without an owner: %v", err)
	}
	w.clk.Advance(time.Minute) // which is how long an answer is believed
	role := func(r mail.Role, ids ...mail.DomainID) func(*account.Create) {
		return func(c *account.Create) { c.Role, c.Domains = r, ids }
	}
	owner := w.user("owner@bücher.test", role(mail.RoleOwner))
	w.user("owner2@bücher.test", role(mail.RoleOwner))
	w.mustDeliver(plain, "PostMaster@d.test")
	if box := w.inbox(owner.ID); len(box) != 1 || !contains(box[0].text, "\r\nDelivered-To: PostMaster@d.test\r\n") {
		t.Fatalf("the owner has %v", box)
	}
	disable(w, w.user("off@d.test", role(mail.RoleAdmin, w.demo.ID)))
	admin := w.user("admin@bücher.test", role(mail.RoleAdmin, w.books.ID, w.demo.ID))
	w.user("admin2@d.test", role(mail.RoleAdmin, w.demo.ID))
	w.clk.Advance(time.Minute)
	w.mustDeliver(plain, "postmaster@d.test", "admin@bücher.test")
	if len(w.inbox(admin.ID)) != 1 || len(w.inbox(owner.ID)) != 1 {
		t.Fatalf("the admin has %d, the owner %d", len(w.inbox(admin.ID)), len(w.inbox(owner.ID)))
	}
	if err := w.accounts.Delete(t.Context(), system(), admin.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.rcpt("postmaster@d.test"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the admin has just gone: %v", err)
	}
	if err := w.rcpt("postmaster@d.test"); err != nil {
		t.Errorf("the next one: %v", err)
	}
	own := w.user("postmaster@d.test")
	w.mustDeliver(plain, "postmaster@d.test")
	if len(w.inbox(own.ID)) != 1 {
		t.Error("an account of that name is not asked first")
	}
	for _, to := range []string{"hostmaster@d.test", "postmaster2@d.test", "postmaster@far.test"} {
		if err := w.rcpt(to); err == nil {
			t.Errorf("%s was accepted", to)
		}
	}
}
