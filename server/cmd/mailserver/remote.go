package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/config"
)

// remote are the flags of every command that speaks to a server through its API.
type remote struct {
	URL    string `help:"The server, with --key. Otherwise that of --data or --config, that of MAILSERVER_API_URL, or the one on this machine." placeholder:"URL"`
	Key    string `help:"An API key. Otherwise MAILSERVER_API_KEY for MAILSERVER_API_URL, owner.key for the server of a data directory." placeholder:"KEY"`
	Config string `help:"Configuration file of a server on this machine." type:"path" placeholder:"FILE"`
	Data   string `help:"Data directory of a server on this machine." type:"path" placeholder:"DIR"`
	JSON   bool   `help:"Print one JSON object and nothing else." name:"json"`

	// destroys makes the command say which server it speaks to.
	destroys bool
}

// commandTimeout bounds each attempt of a request; a person waits.
const commandTimeout = 30 * time.Second

// missingError says that something is not there which the text names; the program exits with 3.
type missingError struct{ text string }

// Error implements error.
func (e *missingError) Error() string { return e.text }

func missing(format string, args ...any) error { return &missingError{fmt.Sprintf(format, args...)} }

// client speaks to the server that is meant.
func (r remote) client(env environment) (*mailserver.Client, error) {
	to, err := r.target(env)
	if err != nil {
		return nil, err
	}
	client, err := mailserver.New(to.url, mailserver.WithAPIKey(to.key), mailserver.WithTimeout(commandTimeout),
		mailserver.WithUserAgent("mailserver-cli/"+version))
	if err == nil && r.destroys {
		fmt.Fprintf(env.stderr, "server: %s (%s)\n", clean(to.url), clean(to.named))
	}
	return client, err
}

// target is a server with the key for it.
type target struct {
	url, key string
	named    string // what names the server, for people
}

// target finds out which server is meant. What is typed beats the environment, and that beats what is found on this machine. A key
// that was not typed goes to the server that is named beside it and to no other: MAILSERVER_API_KEY to MAILSERVER_API_URL, owner.key
// to the server of its data directory.
func (r remote) target(env environment) (target, error) {
	given := func(name string) string { return strings.TrimSpace(config.Getenv(env.environ, name)) }
	to := target{url: given(mailserver.EnvURL), key: given(mailserver.EnvAPIKey), named: mailserver.EnvURL}
	switch {
	case r.URL != "":
		to = target{url: r.URL, key: to.keyFor(r.URL), named: "--url"}
	case r.Data != "" || r.Config != "" || to.url == "":
		return r.local(env)
	}
	to.key = first(r.Key, to.key)
	if to.key == "" {
		return target{}, missing("there is no API key for %s: give --key, or set both %s and %s (the key of the environment goes to the server of the "+
			"environment only)", to.url, mailserver.EnvURL, mailserver.EnvAPIKey)
	}
	return to, nil
}

// keyFor gives the key when the target is the given server.
func (t target) keyFor(server string) string {
	bare := func(text string) string {
		return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(text), "/"), "/v1")
	}
	if bare(server) != bare(t.url) {
		return ""
	}
	return t.key
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// local finds the running server of --data or of the configuration. Without either, a development server in ./.run is found too.
func (r remote) local(env environment) (target, error) {
	cfg, err := common{Config: r.Config, Data: r.Data}.load(env, config.Serve)
	if err != nil {
		return target{}, err
	}
	dirs := []string{cfg.DataDir}
	if r.Data == "" && r.Config == "" {
		dirs = append(dirs, config.Default(config.Dev).DataDir)
	}
	var trouble error
	for _, dir := range dirs {
		found, err := r.running(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return found, err
		}
		if trouble == nil || errors.Is(trouble, fs.ErrNotExist) {
			trouble = err
		}
	}
	return target{}, absent(trouble)
}

// running gives the server of a data directory with the key of its owner. That it runs is not believed of whoever listens where it
// did: the key would go to a stranger.
func (r remote) running(dir string) (target, error) {
	owner, keyErr := os.ReadFile(filepath.Join(dir, "owner.key"))
	if keyErr != nil && r.Key == "" {
		return target{}, keyErr
	}
	address, err := app.ServingURL(dir)
	switch {
	case err != nil:
		return target{}, err
	case address == "" && keyErr != nil:
		return target{}, keyErr // there never was one
	case address == "":
		start := "mailserver serve"
		if _, err := os.Stat(filepath.Join(dir, "dev.json")); err == nil {
			start = "make run"
		}
		return target{}, missing("the server of %s is not running; start it with \"%s\"", dir, start)
	}
	return target{url: address, key: first(r.Key, strings.TrimSpace(string(owner))), named: "data directory " + dir}, nil
}

// absent explains why there is nothing to speak to.
func absent(err error) error {
	var at *fs.PathError
	name := "owner.key"
	if errors.As(err, &at) {
		name = at.Path
	}
	if errors.Is(err, fs.ErrPermission) {
		return missing("%s belongs to the account that the server runs as: run this as that account or as root, or set %s and %s",
			name, mailserver.EnvURL, mailserver.EnvAPIKey)
	}
	return missing("no server to speak to: set %s and %s, or give --url and --key, or name the data directory of a server on this machine with --data "+
		"(there is no %s)", mailserver.EnvURL, mailserver.EnvAPIKey, name)
}
