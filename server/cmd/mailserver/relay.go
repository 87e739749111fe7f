package main

import (
	"context"
	"strconv"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

type relayCmd struct {
	Get    relayGetCmd    `cmd:"" help:"Show the smart host through which all mail of a domain to other servers goes."`
	Set    relaySetCmd    `cmd:"" help:"Send all mail of a domain to other servers through a smart host."`
	Remove relayRemoveCmd `cmd:"" help:"Let the mail of a domain go out like that of others again."`
}

// withDomain does something with the domain that a text names.
func (r remote) withDomain(ctx context.Context, env environment, text string, do func(*mailserver.Client, *mailserver.Domain) error) error {
	client, err := r.client(env)
	if err != nil {
		return err
	}
	d, err := domainByText(ctx, client, text)
	if err != nil {
		return err
	}
	return do(client, d)
}

// showRelay prints the smart host of a domain or its JSON.
func (r remote) showRelay(env environment, d *mailserver.Domain, relay *mailserver.DomainRelay, err error) error {
	if err != nil || r.JSON {
		return either(err, env, relay)
	}
	password := "none"
	if relay.HasPassword {
		password = "stored"
	}
	return env.printFields([][2]string{
		{"domain", d.Name},
		{"host", relay.Host},
		{"port", strconv.FormatInt(relay.Port, 10)},
		{"tls", string(relay.TLS)},
		{"username", relay.Username},
		{"password", password},
		{"created", when(relay.CreatedAt)},
		{"changed", when(relay.UpdatedAt)},
	})
}

type relayGetCmd struct {
	remote
	Domain string `arg:"" help:"The domain's name or id."`
}

// Run prints the smart host; the password is never shown.
func (c relayGetCmd) Run(ctx context.Context, env environment) error {
	return c.withDomain(ctx, env, c.Domain, func(client *mailserver.Client, d *mailserver.Domain) error {
		relay, err := client.Domains.Relay(ctx, d.ID)
		return c.showRelay(env, d, relay, err)
	})
}

type relaySetCmd struct {
	remote
	passwordFlags
	Domain   string `arg:"" help:"The domain's name or id."`
	Host     string `arg:"" help:"The smart host: a name or an IP address."`
	Port     int64  `help:"Its port; 587 when absent, 465 with --tls implicit."`
	TLS      string `help:"none, starttls or implicit; starttls when absent. A password needs one of the last two." name:"tls" enum:",none,starttls,implicit" default:"" placeholder:"TLS"`
	Username string `help:"The name to sign in with." placeholder:"NAME"`
}

// Run sets the smart host. Without a password the stored one stays as long as host and username do.
func (c relaySetCmd) Run(ctx context.Context, env environment) error {
	set := mailserver.DomainRelaySet{Host: c.Host}
	if c.PasswordStdin || c.PasswordFile != "" {
		password, _, err := c.read(env)
		if err != nil {
			return err
		}
		set.Password = &password
	}
	if c.Port != 0 {
		set.Port = &c.Port
	}
	if c.TLS != "" {
		set.TLS = new(mailserver.DomainRelayTLS(c.TLS))
	}
	if c.Username != "" {
		set.Username = &c.Username
	}
	return c.withDomain(ctx, env, c.Domain, func(client *mailserver.Client, d *mailserver.Domain) error {
		relay, err := client.Domains.SetRelay(ctx, d.ID, set)
		return c.showRelay(env, d, relay, err)
	})
}

type relayRemoveCmd struct {
	remote
	Domain string `arg:"" help:"The domain's name or id."`
}

// Run removes the smart host with its password.
func (c relayRemoveCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	return c.withDomain(ctx, env, c.Domain, func(client *mailserver.Client, d *mailserver.Domain) error {
		if err := client.Domains.RemoveRelay(ctx, d.ID); err != nil {
			return err
		}
		return c.gone(env, d.ID, d.Name, "relay removed")
	})
}
