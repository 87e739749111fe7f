package config

import (
	"net/netip"
	"slices"
	"time"
)

// Config is the whole configuration, complete and checked when Load returns it.
type Config struct {
	// Hostname is the name this server uses in EHLO, greetings, trace headers
	// and certificates. Empty means the name of the machine.
	Hostname string `key:"hostname" dev:"localhost" check:"hostname"`
	// DataDir holds the private database, message bodies, certificates and keys.
	DataDir string `key:"data_dir" default:"/var/lib/mailserver" dev:"./.run"`
	// BindAddress is the IP address of listeners that name only a port. Empty
	// means every address of the machine.
	BindAddress string `key:"bind_address" dev:"127.0.0.1" check:"ip"`
	// DatabaseURL is a PostgreSQL URL. Empty means the private cluster.
	DatabaseURL string `key:"database_url" secret:"true"`
	// DirectURL bypasses a connection pooler for LISTEN, locks and migrations.
	// Empty means DatabaseURL.
	DirectURL string `key:"direct_url" secret:"true"`

	Database Database `key:"database"`
	Listen   Listen   `key:"listen"`
	TLS      TLS      `key:"tls"`
	DNS      DNS      `key:"dns"`
	Outbound Outbound `key:"outbound"`
	Inbound  Inbound  `key:"inbound"`
	Domains  Domains  `key:"domains"`
	Auth     Auth     `key:"auth"`
	Limits   Limits   `key:"limits"`
	Body     Body     `key:"body"`
	// Roles are the parts this node runs. Empty means all of them.
	Roles []string `key:"roles" oneof:"smtp|submission|imap|api|worker" absent:"dav|sieve"`
	Log   Log      `key:"log"`

	Retention Retention `key:"retention"`

	origins map[string]origin
	set     Set
}

// Database is how the database is run and reached.
type Database struct {
	Embedded EmbeddedDatabase `key:"embedded"`
	// AutoMigrate brings the schema up to date at start.
	AutoMigrate bool `key:"auto_migrate" default:"true"`
}

// EmbeddedDatabase is the private PostgreSQL cluster used without a database_url.
type EmbeddedDatabase struct {
	// BinDir is the folder of initdb and postgres. Empty means to look for them.
	BinDir string `key:"bin_dir"`
	// User is the account that runs the cluster when the server runs as root.
	// Empty means "mailserver" if that account exists, else "postgres".
	User string `key:"user"`
	// Settings are PostgreSQL settings on top of ours.
	Settings map[string]string `key:"settings"`
}

// Listen holds the address:port of each listener; empty means off. A missing
// host is filled in from bind_address.
type Listen struct {
	SMTP        string `key:"smtp" default:":25" dev:"127.0.0.1:2525" check:"listen"`
	Submission  string `key:"submission" default:":587" dev:"127.0.0.1:2587" check:"listen"`
	Submissions string `key:"submissions" default:":465" dev:"127.0.0.1:2465" check:"listen"`
	IMAP        string `key:"imap" default:":143" dev:"127.0.0.1:2143" check:"listen"`
	IMAPS       string `key:"imaps" default:":993" dev:"127.0.0.1:2993" check:"listen"`
	Sieve       string `key:"sieve" check:"listen" note:"not served yet"`
	DAV         string `key:"dav" check:"listen" note:"not served yet"`
	HTTP        string `key:"http" default:"127.0.0.1:8080" dev:"127.0.0.1:8080" check:"listen"`
	HTTPS       string `key:"https" default:":443" dev:"127.0.0.1:8444" check:"listen"`
}

// TLS says where the certificate comes from.
type TLS struct {
	// Mode is self_signed (made once under data_dir) or files.
	Mode string `key:"mode" default:"self_signed" oneof:"self_signed|files" absent:"acme"`
	// CertFile and KeyFile are PEM files, re-read when they change.
	CertFile string `key:"cert_file"`
	KeyFile  string `key:"key_file"`
}

// DNS says who answers our questions.
type DNS struct {
	// Servers are recursive resolvers as ip:port. Empty means those of the
	// machine (/etc/resolv.conf).
	Servers []string `key:"servers" check:"ipport" note:"no check asks yet"`
}

// Outbound says what happens to mail for other servers.
type Outbound struct {
	// Mode is direct (to the recipient's MX), sink (kept, never sent) or none (refused).
	Mode string `key:"mode" default:"direct" dev:"sink" oneof:"direct|sink|none" absent:"relay"`
}

// Inbound says how arriving mail is treated.
type Inbound struct {
	// TrustedNetworks are exempt from the checks on strangers. Loopback is not
	// trusted unless it is named.
	TrustedNetworks []netip.Prefix `key:"trusted_networks" note:"no check asks yet"`
}

// Domains says how hosted domains are proved.
type Domains struct {
	// Verification is dns (records are looked up) or auto (verified at once).
	Verification string `key:"verification" default:"dns" dev:"auto" oneof:"dns|auto"`
}

// Auth says how people prove who they are.
type Auth struct {
	// RequireTOTP names the roles that must use a second factor.
	RequireTOTP []string `key:"require_totp" absent:"owner|admin|user"`
	// PasswordMinLength is counted in characters.
	PasswordMinLength int    `key:"password_min_length" default:"12" min:"8" max:"128"`
	Argon2            Argon2 `key:"argon2"`
}

// Argon2 is the cost of new password hashes.
type Argon2 struct {
	// Time is the number of passes.
	Time int `key:"time" default:"3" min:"1" max:"100"`
	// MemoryKiB is the memory of one hash.
	MemoryKiB int `key:"memory_kib" default:"65536" min:"8" max:"4194304"`
	// Threads is the number of lanes.
	Threads int `key:"threads" default:"4" min:"1" max:"255"`
}

// Body says where message bytes are kept.
type Body struct {
	// Driver is maildir: one file per message under data_dir/maildir.
	Driver string `key:"driver" default:"maildir" oneof:"maildir" absent:"s3"`
}

// Retention says how long what is done is kept.
type Retention struct {
	// Events of the ledger, in whole days.
	Events time.Duration `key:"events" default:"2160h" min:"24h" max:"87600h"`
	// Emails with a final result for every recipient, with their bytes and what the sink kept of them.
	Emails time.Duration `key:"emails" default:"720h" min:"24h" max:"87600h"`
}

// Log says what is written to standard error.
type Log struct {
	// Level is the lowest level that is written.
	Level string `key:"level" default:"info" oneof:"debug|info|warn|error"`
	// Format is json, text, or auto: text on a terminal, else json.
	Format string `key:"format" default:"auto" oneof:"auto|json|text"`
}

// Listener is one configured listener.
type Listener struct {
	// Name is the key below listen: smtp, submission, submissions, imap, imaps, http, https.
	Name string
	// Address is host:port, empty when the listener is off.
	Address string
}

// All returns the listeners that this version serves, in a fixed order, those
// that are off included.
func (l Listen) All() []Listener {
	return []Listener{
		{"smtp", l.SMTP},
		{"submission", l.Submission},
		{"submissions", l.Submissions},
		{"imap", l.IMAP},
		{"imaps", l.IMAPS},
		{"http", l.HTTP},
		{"https", l.HTTPS},
	}
}

// HasRole reports whether this node runs the given part.
func (c *Config) HasRole(role string) bool {
	return len(c.Roles) == 0 || slices.Contains(c.Roles, role)
}

// DirectDatabaseURL is the URL for connections that a pooler must not share:
// direct_url, else database_url, empty for the private cluster.
func (c *Config) DirectDatabaseURL() string {
	if c.DirectURL != "" {
		return c.DirectURL
	}
	return c.DatabaseURL
}

// Dev reports whether the defaults are those of `mailserver dev`.
func (c *Config) Dev() bool { return c.set == Dev }
