package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	mailserver "github.com/mailserver-dev/mailserver/sdk/go"
)

const (
	startWithin = 90 * time.Second
	// stopWithin is above the stop timeout of "mailserver serve".
	stopWithin = 45 * time.Second
)

// ours is our server on its data directory.
type ours struct {
	binary  string
	data    string // absolute
	environ []string
	log     *os.File
	sinkAt  string
	dialer  *dialer
	people  []string // the accounts that the first start creates
	further []string // more settings, as NAME=value; they override the others
	ready   bool     // the accounts exist
	profile bool     // open the listener for profiles

	running *server
	http    string
	keys    map[string]bool // the keys of the configuration that this version knows
	// settings are the environment variables that we set.
	settings []string
}

// start runs "mailserver serve" and, the first time, creates the domain and its users through the API.
func (o *ours) start(ctx context.Context) (*server, error) {
	if o.keys == nil {
		if err := o.readKeys(ctx); err != nil {
			return nil, err
		}
	}
	ports, err := freePorts(ctx, 5)
	if err != nil {
		return nil, err
	}
	s := &server{name: "mailserver", smtp: ports[0], submission: ports[1], imaps: ports[2], dialer: o.dialer}
	o.http = "http://" + ports[3]
	o.settings = append(o.configure(ports), o.further...)
	if o.profile {
		if !o.keys["debug.pprof_listen"] {
			return nil, errors.New("this version has no debug.pprof_listen: it cannot be profiled")
		}
		s.profiles = "http://" + ports[4]
		o.settings = append(o.settings, "MAILSERVER_DEBUG_PPROF_LISTEN="+ports[4])
	}
	cmd := command{path: o.binary, args: []string{"serve", "--data", o.data}, env: append(o.bare(), o.settings...), log: o.log}
	p, err := cmd.launch(ctx)
	if err != nil {
		return nil, err
	}
	s.processes, o.running = []*process{p}, s
	if err := o.await(ctx, p); err != nil {
		return nil, fmt.Errorf("mailserver serve: %w; see %s", err, o.log.Name())
	}
	if s.secure, err = trust(filepath.Join(o.data, "tls", "ca.pem")); err != nil {
		return nil, err
	}
	s.sends = o.keys["outbound.routes"] && o.keys["outbound.allow_networks"]
	s.why = "this version has no outbound.routes"
	if o.ready {
		return s, nil
	}
	if err := o.populate(ctx); err != nil {
		return nil, fmt.Errorf("create the accounts: %w", err)
	}
	o.ready = true
	return s, nil
}

// configure gives the settings of a server in production, except for the addresses, for what cannot be proved without DNS, and
// for two limits that the independent generator, or many connections of one user, would meet.
func (o *ours) configure(ports []string) []string {
	settings := []string{
		"MAILSERVER_HOSTNAME=localhost",
		"MAILSERVER_LISTEN_SMTP=" + ports[0], "MAILSERVER_LISTEN_SUBMISSION=" + ports[1], "MAILSERVER_LISTEN_SUBMISSIONS=",
		"MAILSERVER_LISTEN_IMAP=", "MAILSERVER_LISTEN_IMAPS=" + ports[2], "MAILSERVER_LISTEN_HTTP=" + ports[3], "MAILSERVER_LISTEN_HTTPS=",
		"MAILSERVER_LOG_FORMAT=json",
		"MAILSERVER_DOMAINS_VERIFICATION=auto",
		"MAILSERVER_AUTH_PASSWORD_MIN_LENGTH=8",
		"MAILSERVER_LIMITS_IMAP_CONNECTIONS_PER_USER=500",
		"MAILSERVER_LIMITS_IMAP_COMMANDS_PER_MINUTE=100000",
	}
	optional := []struct{ key, value string }{
		{"outbound.mode", "direct"},
		{"outbound.routes", sinkDomain + "=" + o.sinkAt},
		{"outbound.allow_networks", "127.0.0.0/8"},
		{"inbound.greylist.enabled", "false"},
	}
	for _, s := range optional {
		if o.keys[s.key] {
			settings = append(settings, "MAILSERVER_"+strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))+"="+s.value)
		}
	}
	return settings
}

// bare is our environment without the settings of another server.
func (o *ours) bare() []string {
	var list []string
	for _, entry := range o.environ {
		if !strings.HasPrefix(entry, "MAILSERVER_") {
			list = append(list, entry)
		}
	}
	return list
}

// readKeys asks the program which settings it knows.
func (o *ours) readKeys(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.binary, "config", "--json", "--data", o.data)
	cmd.Env = o.bare()
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s config: %w", o.binary, err)
	}
	var shown struct {
		Settings []struct {
			Key string `json:"key"`
		} `json:"settings"`
	}
	if err := json.Unmarshal(out, &shown); err != nil {
		return fmt.Errorf("%s config: %w", o.binary, err)
	}
	o.keys = map[string]bool{}
	for _, s := range shown.Settings {
		o.keys[s.Key] = true
	}
	return nil
}

// await waits until the server says that it is well.
func (o *ours) await(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if err := p.gone(); err != nil {
			return err
		}
		if o.healthy(ctx) {
			return nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("not ready after %s", startWithin)
		}
	}
}

// healthy asks the server whether all of it works.
func (o *ours) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.http+"/health/detailed", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// populate creates the domain, which comes with keys that sign, and the accounts.
func (o *ours) populate(ctx context.Context) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	if _, err := client.Domains.Create(ctx, mailserver.DomainCreate{Name: mailDomain}); err != nil {
		return err
	}
	for _, email := range o.people {
		if _, err := client.Users.Create(ctx, mailserver.UserCreate{Email: email, Password: password}); err != nil {
			return fmt.Errorf("%s: %w", email, err)
		}
	}
	return nil
}

// client speaks to the API as the owner.
func (o *ours) client() (*mailserver.Client, error) {
	key, err := os.ReadFile(filepath.Join(o.data, "owner.key"))
	if err != nil {
		return nil, err
	}
	return mailserver.New(o.http, mailserver.WithAPIKey(strings.TrimSpace(string(key))))
}

// stop ends the server as an administrator does.
func (o *ours) stop(ctx context.Context) error {
	if o.running == nil {
		return nil
	}
	p := o.running.processes[0]
	o.running = nil
	return p.stop(ctx, stopWithin)
}

// trust makes the TLS configuration of clients that trust the certificates of a file.
func trust(file string) (*tls.Config, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, errors.New(file + " holds no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}, nil
}
