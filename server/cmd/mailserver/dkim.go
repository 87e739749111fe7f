package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/app"
)

type dkimCmd struct {
	List     dkimListCmd     `cmd:"" help:"List a domain's DKIM keys."`
	Get      dkimGetCmd      `cmd:"" help:"Show a DKIM key with its record."`
	Create   dkimCreateCmd   `cmd:"" help:"Make a DKIM key."`
	Activate dkimActivateCmd `cmd:"" help:"Let a key sign, once its record is in the DNS."`
	Retire   dkimRetireCmd   `cmd:"" help:"Let a key sign no more. Its record has to stay for seven days."`
	Revoke   dkimRevokeCmd   `cmd:"" help:"Destroy the private part of a key for ever."`
	Delete   dkimDeleteCmd   `cmd:"" help:"Delete a key that is revoked or never was active."`
	Export   dkimExportCmd   `cmd:"" help:"Print the private key as PEM."`
	Import   dkimImportCmd   `cmd:"" help:"Import a private key."`
}

type dkimListCmd struct {
	remote
	Domain string `arg:"" help:"The domain's name or id."`
}

// Run prints the keys, newest first.
func (c dkimListCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	d, err := domainByText(ctx, client, c.Domain)
	if err != nil {
		return err
	}
	found, err := gather(client.DKIM.All(ctx, d.ID, mailserver.ListDKIMKeys{Limit: pageSize}))
	if err != nil || c.JSON {
		return either(err, env, found)
	}
	rows := make([][]string, len(found.Items))
	for i, k := range found.Items {
		state := string(k.State)
		if !k.Available && k.State != mailserver.DKIMKeyStateRevoked {
			state += " (cannot be read)"
		}
		rows[i] = []string{k.Selector, string(k.Algorithm), state, string(k.Source), k.ID, when(k.CreatedAt)}
	}
	return env.printTable([]string{"SELECTOR", "ALGORITHM", "STATE", "SOURCE", "ID", "CREATED"}, rows)
}

// showKey prints a key with the record that it needs.
func (r remote) showKey(env environment, k *mailserver.DKIMKey, err error) error {
	if err != nil || r.JSON {
		return either(err, env, k)
	}
	return env.printFields([][2]string{
		{"selector", k.Selector},
		{"algorithm", string(k.Algorithm)},
		{"state", string(k.State)},
		{"source", string(k.Source)},
		{"id", k.ID},
		{"created", when(k.CreatedAt)},
		{"record", k.RecordName},
		{"type", "TXT"},
		{"value", k.RecordValue},
	})
}

type dkimCreateCmd struct {
	remote
	Domain    string `arg:"" help:"The domain's name or id."`
	Algorithm string `help:"rsa2048 or ed25519." enum:"rsa2048,ed25519" default:"rsa2048"`
	Selector  string `help:"Its name below _domainkey; chosen when absent."`
}

// Run makes the key and prints it with its record.
func (c dkimCreateCmd) Run(ctx context.Context, env environment) error {
	return c.createKey(ctx, env, c.Domain, mailserver.DKIMKeyCreate{Algorithm: mailserver.DKIMKeyAlgorithm(c.Algorithm), Selector: c.Selector})
}

func (r remote) createKey(ctx context.Context, env environment, domain string, create mailserver.DKIMKeyCreate) error {
	client, err := r.client(env)
	if err != nil {
		return err
	}
	d, err := domainByText(ctx, client, domain)
	if err != nil {
		return err
	}
	k, err := client.DKIM.Create(ctx, d.ID, create)
	return r.showKey(env, k, err)
}

// keyArgs name a key.
type keyArgs struct {
	Domain string `arg:"" help:"The domain's name or id."`
	Key    string `arg:"" help:"The key's selector or id."`
}

// find gives the ids of the domain and of the key. A selector never names two keys.
func (a keyArgs) find(ctx context.Context, client *mailserver.Client) (domainID, keyID string, err error) {
	d, err := domainByText(ctx, client, a.Domain)
	if err != nil {
		return "", "", err
	}
	if strings.HasPrefix(a.Key, "dkm_") {
		return d.ID, a.Key, nil
	}
	for k, err := range client.DKIM.All(ctx, d.ID, mailserver.ListDKIMKeys{Limit: pageSize}) {
		if err != nil {
			return "", "", err
		}
		if k.Selector == a.Key {
			return d.ID, k.ID, nil
		}
	}
	return "", "", fmt.Errorf("%s has no DKIM key with the selector %q; \"mailserver dkim list %s\" shows those that it has", d.Name, a.Key, d.Name)
}

// setState changes the state of a key and prints it.
func (r remote) setState(ctx context.Context, env environment, which keyArgs, state mailserver.DKIMKeyUpdateState) error {
	client, err := r.client(env)
	if err != nil {
		return err
	}
	domainID, keyID, err := which.find(ctx, client)
	if err != nil {
		return err
	}
	k, err := client.DKIM.Update(ctx, domainID, keyID, mailserver.DKIMKeyUpdate{State: &state})
	return r.showKey(env, k, err)
}

type dkimGetCmd struct {
	remote
	keyArgs
}

// Run prints one key with its record.
func (c dkimGetCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	domainID, keyID, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	k, err := client.DKIM.Get(ctx, domainID, keyID)
	return c.showKey(env, k, err)
}

type dkimDeleteCmd struct {
	remote
	keyArgs
}

// Run deletes the key.
func (c dkimDeleteCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	client, err := c.client(env)
	if err != nil {
		return err
	}
	domainID, keyID, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	k, err := client.DKIM.Get(ctx, domainID, keyID)
	if err == nil {
		err = client.DKIM.Delete(ctx, domainID, keyID)
	}
	if err != nil {
		return err
	}
	return c.gone(env, k.ID, k.Selector, "deleted")
}

type dkimActivateCmd struct {
	remote
	keyArgs
}

// Run activates the key.
func (c dkimActivateCmd) Run(ctx context.Context, env environment) error {
	return c.setState(ctx, env, c.keyArgs, mailserver.DKIMKeyUpdateStateActive)
}

type dkimRetireCmd struct {
	remote
	keyArgs
}

// Run retires the key.
func (c dkimRetireCmd) Run(ctx context.Context, env environment) error {
	return c.setState(ctx, env, c.keyArgs, mailserver.DKIMKeyUpdateStateRetiring)
}

type dkimRevokeCmd struct {
	remote
	keyArgs
}

// Run revokes the key.
func (c dkimRevokeCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	return c.setState(ctx, env, c.keyArgs, mailserver.DKIMKeyUpdateStateRevoked)
}

type dkimExportCmd struct {
	remote
	keyArgs
	Output string `help:"Write the key to this file, readable by its owner only." type:"path" placeholder:"FILE"`
}

// Run prints the private key, or writes it to a file.
func (c dkimExportCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	domainID, keyID, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	k, err := client.DKIM.Export(ctx, domainID, keyID)
	if err != nil {
		return err
	}
	if c.Output != "" {
		if err := app.WritePrivate(c.Output, []byte(k.PrivateKey)); err != nil {
			return err
		}
		k.PrivateKey = ""
	}
	switch {
	case c.JSON:
		return env.printJSON(exported{k, c.Output})
	case c.Output != "":
		return env.printFields([][2]string{{"selector", k.Selector}, {"algorithm", string(k.Algorithm)}, {"id", k.ID}, {"file", c.Output}})
	}
	_, err = io.WriteString(env.stdout, k.PrivateKey)
	return err
}

// exported is a key with the file in which its private part is, when it is not here.
type exported struct {
	*mailserver.DKIMKeyExport
	File string `json:"file,omitempty"`
}

type dkimImportCmd struct {
	remote
	Domain   string `arg:"" help:"The domain's name or id."`
	File     string `arg:"" help:"The private key: PEM, PKCS #8 or PKCS #1, RSA or Ed25519; - for standard input." type:"path"`
	Selector string `help:"Its name below _domainkey; chosen when absent."`
}

// Run imports the key and prints it with its record.
func (c dkimImportCmd) Run(ctx context.Context, env environment) error {
	pem, err := readKey(c.File, env.stdin)
	if err != nil {
		return err
	}
	return c.createKey(ctx, env, c.Domain, mailserver.DKIMKeyCreate{PrivateKey: pem, Selector: c.Selector})
}

// readKey reads a key file of at most 16 KiB.
func readKey(name string, stdin io.Reader) (string, error) {
	source := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer file.Close()
		source = file
	}
	const most = 16 << 10
	raw, err := io.ReadAll(io.LimitReader(source, most+1))
	if err == nil && len(raw) > most {
		err = errors.New("this is no private key: it is larger than 16 KiB")
	}
	return string(raw), err
}
