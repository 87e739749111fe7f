package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

type apiKeyCmd struct {
	List   apiKeyListCmd   `cmd:"" help:"List the API keys that reach no further than this one."`
	Create apiKeyCreateCmd `cmd:"" help:"Make an API key. It is shown this once."`
	Revoke apiKeyRevokeCmd `cmd:"" help:"End an API key at once and for ever."`
}

type apiKeyListCmd struct {
	remote
	Revoked bool `help:"Show revoked keys too."`
}

// Run prints the keys, newest first.
func (c apiKeyListCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	found, err := gather(client.APIKeys.All(ctx, mailserver.ListAPIKeys{Limit: pageSize}))
	if err != nil || c.JSON {
		return either(err, env, found)
	}
	rows := [][]string{}
	for _, k := range found.Items {
		revoked := whenever(k.RevokedAt)
		if revoked != "" && !c.Revoked {
			continue
		}
		row := []string{k.Name, string(k.Mode), shortList(k.Scopes), boundTo(k.DomainIDs), whenever(k.LastUsedAt), whenever(k.ExpiresAt), k.ID}
		if c.Revoked {
			row = append(row, revoked)
		}
		rows = append(rows, row)
	}
	heads := []string{"NAME", "MODE", "SCOPES", "DOMAINS", "USED", "EXPIRES", "ID"}
	if c.Revoked {
		heads = append(heads, "REVOKED")
	}
	return env.printTable(heads, rows)
}

// shortList shows the first few of a list and how many there are.
func shortList(list []string) string {
	const shown = 3
	if len(list) <= shown {
		return strings.Join(list, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], " "), len(list)-shown)
}

func boundTo(ids []string) string {
	if len(ids) == 0 {
		return "all"
	}
	return shortList(ids)
}

type apiKeyCreateCmd struct {
	remote
	Name    string     `arg:"" help:"What the key is for."`
	Scope   []string   `help:"What it may do, such as emails:send; repeat the flag or separate with commas." required:"" placeholder:"SCOPE"`
	Domain  []string   `help:"The domains that it is bound to, names or ids; all that this key has when absent." placeholder:"DOMAIN"`
	From    []string   `help:"The networks that it may be used from, such as 192.0.2.0/24." placeholder:"CIDR"`
	Mode    string     `help:"live or test; a test key sends into the test network." enum:"live,test" default:"live"`
	Expires *time.Time `help:"When it ends (RFC 3339); never when absent." placeholder:"TIME"`
}

// Run makes the key and prints it with its text.
func (c apiKeyCreateCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	create := mailserver.APIKeyCreate{Name: c.Name, Mode: mailserver.APIKeyMode(c.Mode), AllowedCIDRs: c.From}
	if c.Expires != nil {
		create.ExpiresAt = *c.Expires
	}
	for _, scope := range c.Scope {
		create.Scopes = append(create.Scopes, mailserver.Scope(scope))
	}
	for _, text := range c.Domain {
		d, err := domainByText(ctx, client, text)
		if err != nil {
			return err
		}
		create.DomainIDs = append(create.DomainIDs, d.ID)
	}
	k, err := client.APIKeys.Create(ctx, create)
	if err != nil || c.JSON {
		return either(err, env, k)
	}
	return env.printFields([][2]string{
		{"name", k.Name},
		{"mode", string(k.Mode)},
		{"scopes", strings.Join(k.Scopes, " ")},
		{"domains", boundTo(k.DomainIDs)},
		{"networks", strings.Join(k.AllowedCIDRs, " ")},
		{"expires", whenever(k.ExpiresAt)},
		{"id", k.ID},
		{"key", k.Key + "   (shown this once)"},
	})
}

type apiKeyRevokeCmd struct {
	remote
	ID string `arg:"" help:"The key's id."`
}

// Run revokes the key.
func (c apiKeyRevokeCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	client, err := c.client(env)
	if err != nil {
		return err
	}
	k, err := client.APIKeys.Get(ctx, c.ID)
	if err == nil {
		err = client.APIKeys.Revoke(ctx, c.ID)
	}
	if err != nil {
		return err
	}
	return c.gone(env, k.ID, k.Name, "revoked")
}
