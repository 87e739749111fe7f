package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// Login is an address with its password.
type Login struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// Demo is what development mode makes at its first start. What is already set is kept: it was made by an earlier start.
type Demo struct {
	Domain     string
	Owner      Login
	Users      []Login
	APIKey     string
	TestAPIKey string
}

// SeedDemo makes the demo domain, the owner, two users and two API keys, or completes what an interrupted start began. save is
// called with every credential before or right after it exists, so that none is ever lost. With letters set, an empty server
// also sends a few sample emails through the normal path.
func SeedDemo(ctx context.Context, a *App, d Demo, letters bool, save func(Demo) error) (Demo, error) {
	if d.Owner.Password == "" {
		d.Owner = Login{Email: "admin@" + d.Domain, Password: newPassword()}
		d.Users = []Login{{Email: "alice@" + d.Domain, Password: newPassword()}, {Email: "bob@" + d.Domain, Password: newPassword()}}
		if err := a.refuseStrangers(ctx); err != nil {
			return d, err
		}
		if err := save(d); err != nil {
			return d, err
		}
	}
	if err := a.demoUsers(ctx, d); err != nil {
		return d, err
	}
	for _, key := range []struct {
		text *string
		name string
		mode account.Mode
	}{{&d.APIKey, "demo", account.ModeLive}, {&d.TestAPIKey, "demo test", account.ModeTest}} {
		if *key.text != "" {
			continue
		}
		var err error
		if *key.text, err = a.demoKey(ctx, key.name, key.mode); err != nil {
			return d, err
		}
		if err := save(d); err != nil {
			return d, err
		}
	}
	if letters {
		return d, a.sendSamples(ctx, d)
	}
	return d, nil
}

// refuseStrangers stops when the database has users although no credentials are known: they cannot be shown, and must not be
// mixed with new ones.
func (a *App) refuseStrangers(ctx context.Context) error {
	users, _, err := a.Accounts.List(ctx, mail.System("demo"), account.ListQuery{Limit: 1})
	if err == nil && len(users) > 0 {
		return errors.New("the data directory has users, but no dev.json that names their passwords; start with --reset, or use another --data")
	}
	return err
}

// demoUsers makes the owner and the users that do not exist yet.
func (a *App) demoUsers(ctx context.Context, d Demo) error {
	if _, _, err := a.Accounts.Bootstrap(ctx, d.Owner.Email, d.Owner.Password); err != nil {
		return fmt.Errorf("create %s: %w", d.Owner.Email, err)
	}
	for _, u := range d.Users {
		name, _, _ := strings.Cut(u.Email, "@")
		create := account.Create{Email: u.Email, Password: u.Password, Name: strings.ToUpper(name[:1]) + name[1:], Role: mail.RoleUser}
		if _, err := a.Accounts.Create(ctx, mail.System("demo"), create); err != nil && !fault.Is(err, fault.Conflict) {
			return fmt.Errorf("create %s: %w", u.Email, err)
		}
	}
	return nil
}

func (a *App) demoKey(ctx context.Context, name string, mode account.Mode) (string, error) {
	_, text, err := a.Accounts.CreateKey(ctx, mail.System("demo"), account.CreateKey{Name: name, Scopes: account.AllScopes(), Mode: mode})
	return text, err
}

// newPassword gives 20 random characters in groups, about 100 bits.
func newPassword() string {
	text := strings.ToLower(rand.Text())
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20]
}

// sendSamples sends what a newcomer finds in the mailbox, once.
func (a *App) sendSamples(ctx context.Context, d Demo) error {
	sent, _, err := a.Outbound.List(ctx, mail.System("demo"), outbound.ListQuery{Limit: 1})
	if err != nil || len(sent) > 0 {
		return err
	}
	dom, err := a.Domains.GetByName(ctx, mail.System("demo"), d.Domain)
	if err != nil {
		return err
	}
	for _, s := range samples() {
		draft := outbound.Draft{
			From:    outbound.Party{Name: s.name, Address: mail.Address{Local: s.from, Domain: dom.Name}},
			Subject: s.subject, Text: s.text, HTML: s.html,
		}
		for _, to := range s.to {
			address, err := mail.ParseAddress(strings.ReplaceAll(to, "@demo.test", "@"+dom.Name))
			if err != nil {
				return err
			}
			draft.To = append(draft.To, outbound.Party{Address: address})
		}
		if _, err := a.Outbound.Accept(ctx, mail.System("demo"), draft); err != nil {
			return fmt.Errorf("sample %q: %w", s.subject, err)
		}
	}
	return nil
}

type sample struct {
	name, from string
	to         []string
	subject    string
	text, html string
}

func samples() []sample {
	return []sample{
		{
			"Mailserver", "app",
			[]string{"alice@demo.test", "bob@demo.test"},
			"Welcome to your mail server",
			"This message came through the same path as every other: the API accepted it, the queue woke a worker,\n" +
				"and it was filed into your INBOX in one transaction.\n", "",
		},
		{
			"Shop", "receipts",
			[]string{"alice@demo.test"},
			"Your receipt 2026-0042",
			"Thank you.\n\n  1 notebook    4.20\n  1 pencil      0.80\n  total         5.00\n",
			"<h1>Thank you</h1><table><tr><td>1 notebook</td><td>4.20</td></tr><tr><td>1 pencil</td><td>0.80</td></tr>" +
				"<tr><th>total</th><th>5.00</th></tr></table>",
		},
		{
			"Bob", "bob", []string{"alice@demo.test"}, "Grüße aus Köln", "Hallo Alice,\n\nbis morgen!\n\nBob\n", "",
		},
		{
			"Mailserver", "app",
			[]string{"someone@elsewhere.test"},
			"This one stays here",
			"Mail to other domains is kept by the sink in development mode. See GET /v1/sink/messages.\n", "",
		},
	}
}
