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
	DKIM     DKIM     `key:"dkim"`
	Seal     Seal     `key:"seal"`
	Auth     Auth     `key:"auth"`
	Limits   Limits   `key:"limits"`
	Body     Body     `key:"body"`
	// Roles are the parts this node runs. Empty means all of them.
	Roles []string `key:"roles" oneof:"smtp|submission|imap|api|worker" absent:"dav|sieve"`
	Log   Log      `key:"log"`
	Debug Debug    `key:"debug"`

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
	Servers []string `key:"servers" check:"ipport"`
}

// Outbound says what happens to mail for other servers.
type Outbound struct {
	// Mode is direct (to the recipient's MX), relay (all to one smart host), sink
	// (kept, never sent) or none (refused).
	Mode string `key:"mode" default:"direct" dev:"sink" oneof:"direct|relay|sink|none"`
	// SMTPPort is where mail exchangers are called.
	SMTPPort int `key:"smtp_port" default:"25" min:"1" max:"65535"`
	// SourceAddress is the IP address that connections come from. Empty means
	// the system's choice.
	SourceAddress string `key:"source_address" check:"ip"`
	// AllowNetworks are networks that may be dialled although they are loopback,
	// private or otherwise not public (O-6).
	AllowNetworks []netip.Prefix `key:"allow_networks" dev:"127.0.0.0/8,::1/128"`
	// Routes replace the MX lookup of a domain: domain to host:port.
	Routes map[string]string `key:"routes"`
	TLS    OutboundTLS       `key:"tls"`
	Relay  Relay             `key:"relay"`
	// Retry are the delays after each failed attempt; the last one repeats (O-20).
	Retry []time.Duration `key:"retry" default:"5m,15m,30m,1h,2h,4h,8h,16h,24h" min:"1s" max:"168h"`
	// GiveUpAfter is the age at which a letter gets its last attempt (O-20).
	GiveUpAfter time.Duration `key:"give_up_after" default:"120h" min:"1m" max:"720h"`
	// Connections to other servers in all, and to one destination (O-42).
	Connections               int `key:"connections" default:"200" min:"1" max:"10000"`
	ConnectionsPerDestination int `key:"connections_per_destination" default:"5" min:"1" max:"100"`
}

// OutboundTLS says whom to trust where a certificate is checked.
type OutboundTLS struct {
	// CAFile is a PEM file of authorities. Empty means those of the system.
	CAFile string `key:"ca_file"`
}

// Relay is a smart host.
type Relay struct {
	Host string `key:"host"`
	Port int    `key:"port" default:"587" min:"1" max:"65535"`
	// TLS is none, starttls or implicit. A password is sent after verified TLS only.
	TLS      string `key:"tls" default:"starttls" oneof:"none|starttls|implicit"`
	Username string `key:"username"`
	Password string `key:"password" secret:"true"`
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

// DKIM says how mail of hosted domains is signed.
type DKIM struct {
	// Store is where new private keys go: database (sealed) or file (under
	// data_dir/dkim, the operator's own).
	Store string `key:"store" default:"database" oneof:"database|file"`
}

// Seal says with what secrets in the database are sealed.
type Seal struct {
	// Key is the master key: 32 octets as base64 or hexadecimal digits; several,
	// the newest first, while it is being changed. Empty means the file
	// data_dir/master.key, which the first start makes.
	Key string `key:"key" secret:"true"`
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

// Debug opens what only a developer needs.
type Debug struct {
	// PprofListen is a loopback ip:port that gives profiles of CPU time and memory
	// below /debug/pprof/ to everybody on this machine. Empty means off.
	PprofListen string `key:"pprof_listen" check:"loopback"`
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
