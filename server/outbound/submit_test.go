package outbound_test

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

func client() mail.Peer {
	return mail.Peer{Addr: netip.MustParseAddr("192.0.2.77"), Helo: "secret.client.test", TLS: "TLS1.3 X", ESMTP: true}
}

// submit sends a message of ann@d.test to some addresses.
func (w *world) submit(ann account.User, text string, to ...string) (*outbound.Email, error) {
	w.t.Helper()
	env := mail.Envelope{From: ann.Address()}
	for _, one := range to {
		env.Recipients = append(env.Recipients, address(w.t, one))
	}
	receipt, err := w.out.Submit(w.t.Context(), principal(ann), client(), env, strings.NewReader(text))
	if err != nil {
		if receipt != "" {
			w.t.Errorf("a refused message has the receipt %s", receipt)
		}
		return nil, err
	}
	var id mail.EmailID
	if err := id.UnmarshalText([]byte(receipt)); err != nil {
		w.t.Fatal(err)
	}
	return w.get(id), nil
}

// Taken first and refused by the signer, it could only bounce.
func TestALetterThatNobodyCanSignIsRefusedWhileItsSenderIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{keys: domain.KeysEd25519})
	ann := w.user("ann@d.test")
	letter := func(head string) string { return "From: ann@d.test\r\nSubject: s\r\n" + head + "\r\nhello\r\n" }
	// With ours on top the header is larger than what is signed.
	large := strings.Repeat("X-Long: "+strings.Repeat("x", 900)+"\r\n", 288)
	large += "X-Rest: " + strings.Repeat("x", 256<<10-len(letter(large))) + "\r\n"
	for name, head := range map[string]string{"150 Resent-To": strings.Repeat("Resent-To: x@far.test\r\n", 150), "a large header": large} {
		var f *fault.Error
		if _, err := w.submit(ann, letter(head), "x@far.test"); !errors.As(err, &f) || f.Kind != fault.Invalid || f.Code != "message-rejected" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := query[int](w, `SELECT count(*) FROM email`); n != 0 || len(w.files(body.Outbound)) != 0 {
		t.Errorf("%d emails, files %v", n, w.files(body.Outbound))
	}
	if _, err := w.submit(ann, letter(strings.Repeat("Resent-To: x@far.test\r\n", 20)), "x@far.test"); err != nil {
		t.Errorf("one that can be signed: %v", err)
	}
}

func TestASubmittedMessageReachesEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann, bob := w.user("ann@d.test"), w.user("bob@d.test")
	e, err := w.submit(ann, "From: Ann <ann@d.test>\r\nBcc: bob@d.test\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n",
		"BOB@d.test", "x@Bücher.test", "bob@D.test", "x@xn--bcher-kva.test")
	if err != nil {
		t.Fatal(err)
	}
	if want := "queued; BOB@d.test queued  0; x@xn--bcher-kva.test queued  0"; brief(e) != want {
		t.Fatalf("got %s", brief(e))
	}
	if e.Source != outbound.SourceSubmission || e.Account != ann.ID || e.Subject != "grüße" || e.HeaderFrom != "Ann <ann@d.test>" ||
		e.EnvelopeFrom.String() != "ann@d.test" || e.Domain != w.demo.ID || e.Recipients[0].Kind != "envelope" || len(e.MessageID) != 35 {
		t.Errorf("got %+v", e)
	}
	w.attempt(e.ID)
	stored := w.stored(body.Outbound, e.File)
	if box := w.inbox(bob.ID); len(box) != 1 || box[0] != "Return-Path: <ann@d.test>\r\nDelivered-To: BOB@d.test\r\n"+stored {
		t.Fatalf("the inbox holds %q", box)
	}
	if strings.Contains(stored, "Bcc") || strings.Contains(stored, "192.0.2") || !strings.HasSuffix(stored, "\r\n\r\nhello\r\n") {
		t.Errorf("stored %q", stored)
	}
}

// S-6, S-7, I-46: what a client may not send is refused after the dot, and nothing of it stays.
func TestMessagesThatAClientMayNotSend_S6_S7_I46(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	w.user("bob@d.test")
	broken := errors.New("connection lost")
	for name, tc := range map[string]struct{ text, code string }{
		"no From":                 {"Subject: x\r\n\r\nx\r\n", "message-rejected"},
		"From without an address": {"From: us:;\r\n\r\nx\r\n", "message-rejected"},
		"two From":                {"From: ann@d.test\r\nFrom: ann@d.test\r\n\r\nx\r\n", "message-rejected"},
		"two Subject":             {"From: ann@d.test\r\nSubject: a\r\nsubject: b\r\n\r\nx\r\n", "message-rejected"},
		"another's From":          {"From: bob@d.test\r\n\r\nx\r\n", "sender-not-owned"},
		"a stranger's From":       {"From: x@far.test\r\n\r\nx\r\n", "sender-not-owned"},
		"another's Sender":        {"From: ann@d.test\r\nSender: bob@d.test\r\n\r\nx\r\n", "sender-not-owned"},
		"resent by another":       {"From: ann@d.test\r\nResent-From: bob@d.test\r\n\r\nx\r\n", "sender-not-owned"},
	} {
		if _, err := w.submit(ann, tc.text, "bob@d.test"); fault.CodeOf(err) != tc.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.submit(ann, "From: ann@d.test\r\n\r\nx\r\n"); !fault.Is(err, fault.Invalid) {
		t.Errorf("no recipients: %v", err)
	}
	cut := io.MultiReader(strings.NewReader("From: ann@d.test\r\n\r\nhalf"), failingReader{broken})
	env := mail.Envelope{From: ann.Address(), Recipients: []mail.Address{address(t, "bob@d.test")}}
	if _, err := w.out.Submit(t.Context(), principal(ann), client(), env, cut); !errors.Is(err, broken) {
		t.Errorf("a body that breaks off: %v", err)
	}
	if _, err := w.domains.Update(t.Context(), system(), w.demo.ID, domain.Pending, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.submit(ann, "From: ann@d.test\r\n\r\nx\r\n", "bob@d.test"); fault.CodeOf(err) != "sender-not-verified" || !fault.Is(err, fault.Forbidden) {
		t.Errorf("a domain that may not send: %v", err)
	}
	if n := query[int](w, `SELECT count(*) FROM email`); n != 0 || len(w.files(body.Outbound)) != 0 {
		t.Errorf("%d emails, files %v", n, w.files(body.Outbound))
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestEnvelopesOfAUserAreCheckedEarly_S6(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann, off := w.user("ann@d.test"), w.user("off@d.test")
	w.user("odd+tag@d.test")
	status := account.Disabled
	if _, err := w.accounts.Update(t.Context(), system(), off.ID, account.Update{Status: &status}); err != nil {
		t.Fatal(err)
	}
	for from, code := range map[string]string{
		"ann@d.test": "", "ANN@D.TEST": "", "bob@d.test": "sender-not-owned", "ann@other.test": "sender-not-owned", "ann@far.test": "sender-not-owned",
		"ann+x@d.test": "sender-not-owned",
	} {
		if err := w.out.Sender(t.Context(), principal(ann), address(t, from)); fault.CodeOf(err) != code {
			t.Errorf("MAIL %s: %v", from, err)
		}
	}
	if err := w.out.Sender(t.Context(), principal(ann), mail.Address{}); err != nil {
		t.Errorf("MAIL <>: %v; read receipts leave with it (RFC 8098 §3)", err)
	}
	for to, code := range map[string]string{
		"x@far.test": "", "ann@d.test": "", "ANN@D.test": "", "Odd+Tag@d.test": "", "postmaster@d.test": "", "PostMaster@d.test": "",
		"nobody@d.test": "not-found", "nobody@other.test": "not-found", "off@d.test": "mailbox-disabled", "x@a_b.test": "recipient-invalid",
	} {
		if err := w.out.Recipient(t.Context(), principal(ann), address(t, to)); fault.CodeOf(err) != code {
			t.Errorf("RCPT %s: %v", to, err)
		}
	}
	if _, err := w.domains.Update(t.Context(), system(), w.demo.ID, domain.Pending, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.out.Sender(t.Context(), principal(ann), ann.Address()); fault.CodeOf(err) != "sender-not-verified" {
		t.Errorf("MAIL from a pending domain: %v", err)
	}
}

// RFC 5321 §4.5.1: mail to postmaster arrives also when it comes from inside.
func TestMailToPostmasterReachesWhoIsResponsible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	owner := w.user("root@other.test", func(c *account.Create) { c.Role = mail.RoleOwner })
	e := w.accept("Postmaster@d.test")
	w.attempt(e.ID)
	if box := w.inbox(owner.ID); len(box) != 1 || !strings.HasPrefix(box[0], "Return-Path: <shop@d.test>\r\nDelivered-To: Postmaster@d.test\r\n") {
		t.Fatalf("%s; the owner has %q", brief(w.get(e.ID)), box)
	}
}
