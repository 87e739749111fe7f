package testenv_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/testenv"
)

// cable is the connection between a server and its database; a test can cut and mend it.
type cable struct {
	path, target string
	mu           sync.Mutex
	ln           net.Listener
	open         map[net.Conn]bool
}

// withCable puts a cable between the server and its database.
func withCable(t *testing.T) (*cable, testenv.Option) {
	t.Helper()
	cfg, err := pgx.ParseConfig(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cable{
		path: filepath.Join(dir, ".s.PGSQL.5432"), target: filepath.Join(cfg.Host, fmt.Sprintf(".s.PGSQL.%d", cfg.Port)), open: map[net.Conn]bool{},
	}
	c.mend(t)
	t.Cleanup(c.cut)
	dsn := fmt.Sprintf("host=%s port=5432 user=%s dbname=%s", dir, cfg.User, cfg.Database)
	return c, func(_ *testenv.Server, o *app.Options) { o.DSN = dsn }
}

func (c *cable) mend(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "unix", c.path)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.ln = ln
	c.mu.Unlock()
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", c.target)
			if err != nil {
				near.Close()
				continue
			}
			c.carry(near, far)
		}
	}()
}

func (c *cable) carry(near, far net.Conn) {
	c.mu.Lock()
	c.open[near], c.open[far] = true, true
	c.mu.Unlock()
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // ends when either side does
			near.Close()
			far.Close()
		}()
	}
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ln.Close()
	for conn := range c.open {
		conn.Close()
	}
	c.open = map[net.Conn]bool{}
}

func smtpCode(err error) int {
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

// F-7, I-44: while the database is away everybody is told to come back, and when it is back nobody has to restart anything.
func TestWithoutItsDatabaseTheServerSaysLaterAndRecoversByItself_I44(t *testing.T) {
	t.Parallel()
	c, cabled := withCable(t)
	s := testenv.Start(t, cabled)
	client := s.IMAP(t, s.Alice())
	if _, err := client.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	c.cut()
	err := s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "away", "a1"))
	if code := smtpCode(err); code != 451 && code != 421 {
		t.Errorf("port 25 answered %v; a 5xx would lose the sender's letter", err)
	}
	var refused *imap.Error
	if _, err := client.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait(); !errors.As(err, &refused) || refused.Code != "UNAVAILABLE" {
		t.Errorf("IMAP answered %v, want NO [UNAVAILABLE]", err)
	}
	api := s.SDK(t, mailserver.WithRetries(0))
	var problem *mailserver.Problem
	if _, err := api.Domains.List(t.Context(), mailserver.ListDomains{}); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable ||
		problem.Code != mailserver.CodeUnavailable || problem.RetryAfter == 0 {
		t.Errorf("the API answered %v, want 503 unavailable with Retry-After", err)
	}
	if got := get(t, s, "/health/detailed"); !strings.Contains(got, `"database":"failed"`) {
		t.Errorf("/health/detailed says %s", got)
	}
	c.mend(t)
	testenv.Eventually(t, "letters are taken again", func() bool {
		return s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "back", "a2")) == nil
	})
	testenv.Eventually(t, "the same IMAP session works again", func() bool {
		status, err := client.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
		return err == nil && *status.NumMessages == 1
	})
	testenv.Eventually(t, "the API works again", func() bool {
		_, err := api.Domains.List(t.Context(), mailserver.ListDomains{})
		return err == nil
	})
	accepted, err := api.Emails.Send(t.Context(), mailserver.EmailSend{From: "a@demo.test", To: []string{s.Bob().Email}, Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, api, accepted.ID) // the queue works again
}

// F-9, I-42: a server short of disk takes nothing, refuses nothing for good, and still lets people read.
func TestAFullDiskIsTemporaryAndReadingGoesOn_I42(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t, testenv.WithConfig(func(c *config.Config) { c.Limits.DiskLowWaterBytes = 1 << 60 }))
	err := s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "full", "d1"))
	if smtpCode(err) != 452 {
		t.Errorf("port 25 answered %v, want 452", err)
	}
	if err := s.Submit(s.Alice(), []string{s.Bob().Email}, "From: alice@demo.test\r\n\r\nx\r\n"); smtpCode(err) != 452 {
		t.Errorf("port 465 answered %v, want 452", err)
	}
	var problem *mailserver.Problem
	_, err = s.SDK(t).Emails.Send(t.Context(), mailserver.EmailSend{From: "a@demo.test", To: []string{s.Bob().Email}, Text: "x"})
	if !errors.As(err, &problem) || problem.Status != http.StatusInsufficientStorage {
		t.Errorf("the API answered %v, want 507", err)
	}
	c := s.IMAP(t, s.Alice())
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Errorf("reading failed: %v", err)
	}
	appended := c.Append("INBOX", 4, nil)
	_, _ = appended.Write([]byte("a: b"))
	_ = appended.Close()
	if _, err := appended.Wait(); err == nil {
		t.Error("APPEND was accepted on a full disk")
	}
}

// A33, A75, I-16: a full mailbox is told to the sender at RCPT, as something that passes.
func TestAFullMailboxIsToldAtRcptAndCounted_I16(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	api := s.SDK(t)
	alice, err := api.Users.GetByEmail(t.Context(), s.Alice().Email)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Users.Update(t.Context(), alice.ID, mailserver.UserUpdate{QuotaBytes: new(int64(10))}); err != nil {
		t.Fatalf("set the quota: %v", err)
	}
	if err := s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "one", "q1")); err != nil {
		t.Fatalf("below the quota: %v", err)
	}
	err = s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "two", "q2"))
	if smtpCode(err) != 452 || !strings.Contains(err.Error(), "mailbox full") {
		t.Errorf("above the quota: %v, want 452 mailbox full", err)
	}
	if !strings.Contains(get(t, s, "/metrics"), "mailserver_quota_exceeded_total 1\n") {
		t.Error("mailserver_quota_exceeded_total did not move")
	}
}
