package outbound_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// D-28: each kind of damage is found, only orphans are moved, and nothing is deleted.
func TestVerifyFindsEveryDamageOfTheOutgoingStore_D28(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	at := func(e *outbound.Email) string { return filepath.Join(w.dir, "maildir", "outbound", "cur", e.File) }
	write := func(e *outbound.Email, text string) {
		if err := os.WriteFile(at(e), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.accept("x@far.test")
	if report, err := w.out.Verify(t.Context(), outbound.VerifyOptions{Hash: true}); err != nil || !report.Clean() || report.Emails != 1 || report.Files != 1 {
		t.Fatalf("a sound store: %+v, %v", report, err)
	}
	lost, short, changed, empty := w.accept("a@far.test"), w.accept("b@far.test"), w.accept("c@far.test"), w.accept("d@far.test")
	if err := os.Remove(at(lost)); err != nil {
		t.Fatal(err)
	}
	write(short, "x")
	write(changed, strings.Repeat("x", int(changed.Size)))
	w.exec(`DELETE FROM email_recipient WHERE email_id = $1`, empty.ID)
	orphan, err := w.bodies.Put(t.Context(), body.Outbound, body.Bytes([]byte("orphan")))
	if err != nil {
		t.Fatal(err)
	}
	strange := filepath.Join(w.dir, "maildir", "outbound", "cur", "strange")
	if err := os.WriteFile(strange, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := w.clk.Now()
	old := now.Add(-2 * time.Hour)
	for _, name := range []string{filepath.Join(filepath.Dir(strange), orphan.File), strange} {
		if err := os.Chtimes(name, now, now); err != nil {
			t.Fatal(err)
		}
	}
	kinds := func(o outbound.VerifyOptions) (map[string]outbound.Finding, bool) {
		report, err := w.out.Verify(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]outbound.Finding{}
		for _, f := range report.Findings {
			out[f.Kind] = f
		}
		return out, report.Clean()
	}
	got, clean := kinds(outbound.VerifyOptions{Hash: true, Fix: true})
	if clean || len(got) != 4 || got["missing"].Email != lost.ID || got["size"].Email != short.ID || got["hash"].Email != changed.ID || got["no_recipients"].Email != empty.ID {
		t.Fatalf("found %+v", got)
	}
	for _, name := range []string{filepath.Join(filepath.Dir(strange), orphan.File), strange} {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ = kinds(outbound.VerifyOptions{}); got["orphan"].File != orphan.File || got["orphan"].Fixed != "" || got["strange"].File != "strange" || len(got) != 5 {
		t.Fatalf("found %+v", got) // all but the hash
	}
	if got, _ = kinds(outbound.VerifyOptions{Fix: true}); got["orphan"].Fixed == "" || got["strange"].Fixed != "" {
		t.Fatalf("found %+v", got)
	}
	if got, _ = kinds(outbound.VerifyOptions{}); got["orphan"].File != "" {
		t.Fatalf("the orphan is still there: %+v", got)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "lost", "outbound", orphan.File)); err != nil {
		t.Fatal(err)
	}
}
