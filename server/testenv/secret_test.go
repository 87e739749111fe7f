package testenv_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/testenv"
)

// A backup of the database comes back on a new machine without master.key: the server starts and serves what needs no secret, and
// says what is missing. With the key everything goes on.
func TestADatabaseThatComesBackWithoutTheMasterKeyIsServed_S35(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	key, err := os.ReadFile(filepath.Join(s.Config.DataDir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Domains.GetByName(t.Context(), mail.System("test"), "demo.test")
	if err != nil {
		t.Fatal(err)
	}
	letter := "From: a@demo.test\r\n\r\nhello\r\n"
	sign := func(a *app.App) (string, error) {
		return a.Domains.Sign(t.Context(), d.ID, clock.System().Now(), strings.NewReader(letter), int64(len(letter)))
	}
	headers, err := sign(s.App)
	if err != nil || strings.Count(headers, "DKIM-Signature:") != 2 {
		t.Fatalf("mail of a new server is not signed twice: %q, %v", headers, err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	restart := func(change func(*config.Config)) (*app.App, *testenv.Log) {
		t.Helper()
		log := &testenv.Log{}
		cfg := *s.Config
		cfg.DataDir = dir
		change(&cfg)
		a, err := app.Start(t.Context(), &cfg, app.Options{
			Log: obs.NewLogger(log, obs.LogOptions{Log: config.Log{Level: "info", Format: "json"}}), Clock: clock.System(), Version: "test", DSN: s.DSN,
		})
		if err != nil {
			t.Fatalf("it does not start: %v\n%s", err, log)
		}
		return a, log
	}
	lost, log := restart(func(*config.Config) {})
	if _, err := sign(lost); fault.CodeOf(err) != "signing-key-unavailable" {
		t.Errorf("without the key: %v", err)
	}
	if !strings.Contains(log.String(), "key_unavailable") || !strings.Contains(log.String(), "ERROR") {
		t.Errorf("nobody is told: %s", log)
	}
	if _, err := os.Stat(filepath.Join(dir, "master.key")); err == nil {
		t.Error("a new key was made in silence")
	}
	c, err := imapclient.DialInsecure(lost.Listening()["imap"], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Noop().Wait(); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	if _, err := lost.Accounts.Authenticate(t.Context(), "imap", s.Alice().Email, s.Alice().Password, netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Errorf("people cannot read their mail: %v", err)
	}
	if err := lost.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, _ := restart(func(cfg *config.Config) { cfg.Seal.Key = strings.TrimSpace(string(key)) })
	if headers, err := sign(found); err != nil || headers == "" {
		t.Errorf("with the key back: %v", err)
	}
	if err := found.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
