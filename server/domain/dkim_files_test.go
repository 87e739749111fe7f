package domain_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/domain"
)

func TestKeysInFilesAreTheOperators_A46(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := func(c *domain.Config) { c.Store, c.KeyDir, c.Box = domain.SourceFile, dir, nil }
	s := newSigner(t, files)
	d := make1(t, s.Service, "example.test")
	k := s.keys(t, d.ID)[0]
	path := filepath.Join(dir, "example.test", k.Selector+".pem")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || k.Source != domain.SourceFile || !k.Available {
		t.Fatalf("%v %+v", err, k)
	}
	if n := s.count(t, `SELECT count(*) FROM dkim_key WHERE sealed_key IS NOT NULL`); n != 0 {
		t.Error("the private key lies in the database too")
	}
	before, err := s.sign(t, d.ID, simple)
	if err != nil || before == "" {
		t.Fatal(err)
	}
	// The operator replaces the file; within ten seconds the new key signs and is what the records show.
	_, next, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(next)
	put := func(content string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		s.clk.Advance(10 * time.Second)
	}
	put(pemText("PRIVATE KEY", der), 0o600)
	public, _ := next.Public().(ed25519.PublicKey)
	if k = s.keys(t, d.ID)[0]; string(k.Public) != string(public) {
		t.Error("the list shows the old key")
	}
	if after, err := s.sign(t, d.ID, simple); err != nil || after == before {
		t.Errorf("the new file is not read: %v", err)
	}
	for name, f := range map[string]func(){
		"readable by others": func() { put(pemText("PRIVATE KEY", der), 0o640) },
		"rubbish":            func() { put("hunter2", 0o600) },
		"gone":               func() { _ = os.Remove(path); s.clk.Advance(10 * time.Second) },
	} {
		f()
		if _, err := s.sign(t, d.ID, simple); code(err) != "unavailable signing-key-unavailable" {
			t.Errorf("%s: %v", name, err)
		}
		if k := s.keys(t, d.ID)[0]; k.Available {
			t.Errorf("%s: %+v", name, k)
		}
	}
	if !strings.Contains(s.log.String(), "chmod 0600 "+path) || strings.Contains(s.log.String(), "hunter2") {
		t.Errorf("log: %s", s.log)
	}
}

func TestAFileThatIsThereIsTakenAndNeverReplaced_A46(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSigner(t, func(c *domain.Config) {
		c.Store, c.KeyDir, c.Box, c.DefaultKeys = domain.SourceFile, dir, nil, domain.KeysNone
	})
	d := make1(t, s.Service, "example.test")
	_, mine, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(mine)
	text, path := pemText("PRIVATE KEY", der), filepath.Join(dir, "example.test", "mail.pem")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	otherDER, _ := x509.MarshalPKCS8PrivateKey(other)
	for name, in := range map[string]domain.CreateDKIMKey{
		"another algorithm": {Selector: "mail", Algorithm: domain.RSA2048}, "another key": {Selector: "mail", PrivateKey: pemText("PRIVATE KEY", otherDER)},
	} {
		if _, err := s.CreateDKIMKey(t.Context(), owner(), d.ID, in); code(err) != "conflict already-exists" {
			t.Errorf("%s: %v", name, err)
		}
	}
	k := s.add(t, d.ID, domain.CreateDKIMKey{Selector: "mail", Algorithm: domain.Ed25519})
	if public, _ := mine.Public().(ed25519.PublicKey); string(k.Public) != string(public) {
		t.Error("the operator's key is not used")
	}
	s.set(t, k, domain.KeyRevoked)
	if err := s.DeleteDKIMKey(t.Context(), owner(), d.ID, k.ID, 0); err != nil {
		t.Fatal(err)
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != text {
		t.Errorf("the operator's file was touched: %v", err)
	}
}

// What the files of a domain's former life hold is no business of who has it now.
func TestADomainThatIsMadeAgainDoesNotTakeOverOldFiles_A46(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSigner(t, func(c *domain.Config) { c.Store, c.KeyDir, c.Box = domain.SourceFile, dir, nil })
	d := make1(t, s.Service, "example.test")
	old := s.keys(t, d.ID)[0]
	if err := s.Delete(t.Context(), owner(), d.ID, 0); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "example.test", old.Selector+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	d = make1(t, s.Service, "example.test")
	next := s.keys(t, d.ID)[0]
	if next.Selector == old.Selector || string(next.Public) == string(old.Public) || !next.Available {
		t.Errorf("the old key %s is in use again as %s", old.Selector, next.Selector)
	}
	more := s.add(t, d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519})
	if more.Selector == old.Selector || more.Selector == next.Selector {
		t.Errorf("the third key has the selector %s", more.Selector)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "example.test", old.Selector+".pem")); err != nil || string(after) != string(before) {
		t.Errorf("the old file was touched: %v", err)
	}
	// Who asks for it gets it.
	if k := s.add(t, d.ID, domain.CreateDKIMKey{Selector: old.Selector, Algorithm: domain.Ed25519}); string(k.Public) != string(old.Public) {
		t.Error("the key that was asked for is another one")
	}
}

func TestAKeyFileOfAnotherAccountIsNotUsed_A46(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a file away")
	}
	dir := t.TempDir()
	s := newSigner(t, func(c *domain.Config) { c.Store, c.KeyDir, c.Box = domain.SourceFile, dir, nil })
	d := make1(t, s.Service, "example.test")
	path := filepath.Join(dir, "example.test", s.keys(t, d.ID)[0].Selector+".pem")
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sign(t, d.ID, simple); code(err) != "unavailable signing-key-unavailable" || !strings.Contains(s.log.String(), "chown 0 "+path) {
		t.Errorf("%v, log %s", err, s.log)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sign(t, d.ID, simple); code(err) != "unavailable signing-key-unavailable" || !strings.Contains(s.log.String(), "no regular file") {
		t.Errorf("%v, log %s", err, s.log)
	}
}
