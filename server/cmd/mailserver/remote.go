package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/config"
)

// remote are the flags of every command that speaks to a server through its API.
type remote struct {
	URL    string `help:"The server; otherwise MAILSERVER_API_URL, or the server of --data on this machine." placeholder:"URL"`
	Key    string `help:"An API key; otherwise MAILSERVER_API_KEY, or owner.key in the data directory of a server on this machine." placeholder:"KEY"`
	Config string `help:"Configuration file of a server on this machine." type:"path" placeholder:"FILE"`
	Data   string `help:"Data directory of a server on this machine." type:"path" placeholder:"DIR"`
	JSON   bool   `help:"Print one JSON object and nothing else." name:"json"`
}

// commandTimeout bounds each attempt of a request; a person waits.
const commandTimeout = 30 * time.Second

// missingError says that something is not there which the text names; the program exits with 3.
type missingError struct{ text string }

// Error implements error.
func (e *missingError) Error() string { return e.text }

// client finds out which server is meant and with which key. The key of the server on this machine goes to that server only, never
// to one that --url or the environment names.
func (r remote) client(env environment) (*mailserver.Client, error) {
	server := first(r.URL, config.Getenv(env.environ, mailserver.EnvURL))
	key := first(r.Key, config.Getenv(env.environ, mailserver.EnvAPIKey))
	switch {
	case server == "":
		local, err := r.local(env)
		if err != nil {
			return nil, err
		}
		server, key = local.url, first(key, local.key)
		if key == "" {
			return nil, local.missing()
		}
	case key == "":
		return nil, &missingError{fmt.Sprintf("there is no API key for %s: set %s or give --key", server, mailserver.EnvAPIKey)}
	}
	return mailserver.New(server, mailserver.WithAPIKey(key), mailserver.WithTimeout(commandTimeout),
		mailserver.WithUserAgent("mailserver-cli/"+version))
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// localServer is what the data directory tells about a server on this machine.
type localServer struct {
	url, key string
	keyFile  string
	err      error // why the key could not be read
}

func (l localServer) missing() error {
	if errors.Is(l.err, fs.ErrPermission) {
		return &missingError{fmt.Sprintf("%s belongs to the account that the server runs as: run this as that account or as root, or set %s and %s",
			l.keyFile, mailserver.EnvURL, mailserver.EnvAPIKey)}
	}
	return &missingError{fmt.Sprintf("no server to speak to: set %s and %s, or give --url and --key, or name the data directory of a server on this "+
		"machine with --data (there is no %s)", mailserver.EnvURL, mailserver.EnvAPIKey, l.keyFile)}
}

// local reads the data directory of --data or of the configuration. Without either, a development server in ./.run is found too.
func (r remote) local(env environment) (localServer, error) {
	cfg, err := common{Config: r.Config, Data: r.Data}.load(env, config.Serve)
	if err != nil {
		return localServer{}, err
	}
	found := readLocal(cfg.DataDir, cfg)
	if found.err != nil && r.Data == "" && r.Config == "" {
		if dev := readLocal(config.Default(config.Dev).DataDir, cfg); dev.err == nil {
			return dev, nil
		}
	}
	return found, nil
}

func readLocal(dir string, cfg *config.Config) localServer {
	l := localServer{keyFile: filepath.Join(dir, "owner.key"), url: localURL(dir, cfg)}
	raw, err := os.ReadFile(l.keyFile)
	l.key, l.err = strings.TrimSpace(string(raw)), err
	return l
}

// localURL is where the server of a data directory listens: a development server writes it down, which moves its ports.
func localURL(dir string, cfg *config.Config) string {
	var dev devInfo
	if raw, err := os.ReadFile(filepath.Join(dir, "dev.json")); err == nil && json.Unmarshal(raw, &dev) == nil && dev.APIURL != "" {
		return dev.APIURL
	}
	host, port, err := net.SplitHostPort(cfg.Listen.HTTP)
	if err != nil {
		return "http://127.0.0.1:8080"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
