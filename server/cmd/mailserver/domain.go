package main

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

type domainCmd struct {
	List   domainListCmd   `cmd:"" help:"List the domains that the key may see."`
	Create domainCreateCmd `cmd:"" help:"Host a domain."`
	Get    domainGetCmd    `cmd:"" help:"Show a domain."`
	Delete domainDeleteCmd `cmd:"" help:"Delete a domain without users."`
	DNS    domainDNSCmd    `cmd:"" name:"dns" help:"Show the DNS records that a domain should have."`
	Relay  relayCmd        `cmd:"" help:"See, set or remove the smart host of a domain."`
}

type domainListCmd struct {
	remote
	Status string `help:"Only domains with this status: pending, verified or disabled." enum:",pending,verified,disabled" default:"" placeholder:"STATUS"`
}

// list is what --json prints for a list.
type list[T any] struct {
	Items []T `json:"items"`
}

// gather reads a list to its end.
func gather[T any](all iter.Seq2[T, error]) (list[T], error) {
	out := list[T]{Items: []T{}}
	for item, err := range all {
		if err != nil {
			return list[T]{}, err
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// Run prints the domains, newest first.
func (c domainListCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	found, err := gather(client.Domains.All(ctx, mailserver.ListDomains{Status: mailserver.DomainStatus(c.Status), Limit: pageSize}))
	if err != nil || c.JSON {
		return either(err, env, found)
	}
	rows := make([][]string, len(found.Items))
	for i, d := range found.Items {
		rows[i] = []string{d.Name, string(d.Status), d.ID, when(d.CreatedAt)}
	}
	return env.printTable([]string{"DOMAIN", "STATUS", "ID", "CREATED"}, rows)
}

// pageSize is the most that a page of the API holds.
const pageSize = 200

// either gives the error or prints the object.
func either(err error, env environment, object any) error {
	if err != nil {
		return err
	}
	return env.printJSON(object)
}

// domainByText finds a domain by what people know of it: its name, or its id.
func domainByText(ctx context.Context, client *mailserver.Client, text string) (*mailserver.Domain, error) {
	if strings.HasPrefix(text, "dom_") {
		return client.Domains.Get(ctx, text)
	}
	return client.Domains.GetByName(ctx, text)
}

// showDomain prints a domain or its JSON.
func (r remote) showDomain(env environment, d *mailserver.Domain, err error) error {
	if err != nil || r.JSON {
		return either(err, env, d)
	}
	return env.printFields([][2]string{
		{"domain", d.Name}, {"status", string(d.Status)}, {"id", d.ID}, {"created", when(d.CreatedAt)}, {"changed", when(d.UpdatedAt)},
	})
}

type domainCreateCmd struct {
	remote
	Name string `arg:"" help:"The domain's name."`
	DKIM string `help:"The DKIM keys that are made for it: both, rsa, ed25519 or none." name:"dkim" enum:"both,rsa,ed25519,none" default:"both"`
}

// Run creates the domain and prints it.
func (c domainCreateCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	d, err := client.Domains.Create(ctx, mailserver.DomainCreate{Name: c.Name, DKIM: mailserver.DomainCreateDKIM(c.DKIM)})
	return c.showDomain(env, d, err)
}

type domainGetCmd struct {
	remote
	Domain string `arg:"" help:"The domain's name or id."`
}

// Run prints one domain.
func (c domainGetCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	d, err := domainByText(ctx, client, c.Domain)
	return c.showDomain(env, d, err)
}

type domainDeleteCmd struct {
	remote
	Domain string `arg:"" help:"The domain's name or id."`
}

// Run deletes the domain.
func (c domainDeleteCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	client, err := c.client(env)
	if err != nil {
		return err
	}
	d, err := domainByText(ctx, client, c.Domain)
	if err == nil {
		err = client.Domains.Delete(ctx, d.ID)
	}
	if err != nil {
		return err
	}
	return c.gone(env, d.ID, d.Name, "deleted")
}

// ended is what --json prints for an object that is no more.
type ended struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// gone says what has ended.
func (r remote) gone(env environment, id, name, status string) error {
	if r.JSON {
		return env.printJSON(ended{id, name, status})
	}
	return env.printFields([][2]string{{status, name}, {"id", id}})
}

type domainDNSCmd struct {
	remote
	Domain string `arg:"" help:"The domain's name or id."`
	Zone   bool   `help:"Print the records as lines of a zone file."`
}

// Run prints the records, with what they are for.
func (c domainDNSCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	d, err := domainByText(ctx, client, c.Domain)
	if err != nil {
		return err
	}
	records, err := client.Domains.DNSRecords(ctx, d.ID)
	if err != nil || c.JSON {
		return either(err, env, list[mailserver.DNSRecord]{Items: records})
	}
	rows := make([][]string, len(records))
	for i, r := range records {
		if c.Zone {
			fmt.Fprintf(env.stdout, "%s. 3600 IN %s %s\n", clean(r.Name), clean(string(r.Type)), clean(r.ZoneValue))
			continue
		}
		need := "recommended"
		if r.Required {
			need = "required"
		}
		rows[i] = []string{r.Purpose, need, string(r.Type), r.Name, r.Value}
	}
	if c.Zone {
		return nil
	}
	return env.printTable([]string{"FOR", "NEED", "TYPE", "NAME", "VALUE"}, rows)
}
