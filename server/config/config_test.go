package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/config"
)

// write puts text into a file called config.yaml and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, src config.Source) *config.Config {
	t.Helper()
	src.MachineName = "machine"
	cfg, err := config.Load(src)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return cfg
}

func row(t *testing.T, cfg *config.Config, key string) config.Row {
	t.Helper()
	for _, r := range cfg.Explain() {
		if r.Key == key {
			return r
		}
	}
	t.Fatalf("no row for %s", key)
	return config.Row{}
}

func TestServeAndDevListenWhereTheContractSays(t *testing.T) {
	t.Parallel()
	serve := load(t, config.Source{}).Listen
	if want := (config.Listen{
		SMTP: ":25", Submission: ":587", Submissions: ":465", IMAP: ":143", IMAPS: ":993",
		HTTP: "127.0.0.1:8080", HTTPS: ":443",
	}); serve != want {
		t.Errorf("serve: %+v", serve)
	}
	dev := load(t, config.Source{Defaults: config.Dev}).Listen
	if want := (config.Listen{
		SMTP: "127.0.0.1:2525", Submission: "127.0.0.1:2587", Submissions: "127.0.0.1:2465",
		IMAP: "127.0.0.1:2143", IMAPS: "127.0.0.1:2993", HTTP: "127.0.0.1:8080", HTTPS: "127.0.0.1:8444",
	}); dev != want {
		t.Errorf("dev: %+v", dev)
	}
	if got := len(serve.All()); got != 7 {
		t.Errorf("All lists %d listeners", got)
	}
}

func TestDevDiffersFromServeOnlyWhereTheContractSays(t *testing.T) {
	t.Parallel()
	differs := map[string]string{}
	serve, dev := load(t, config.Source{}).Explain(), load(t, config.Source{Defaults: config.Dev}).Explain()
	for i, s := range serve {
		if d := dev[i]; d.Value != s.Value && !strings.HasPrefix(s.Key, "listen.") && d.Source != "limits.profile none" {
			differs[s.Key] = s.Value + " -> " + d.Value
		}
	}
	want := map[string]string{
		"hostname":                "machine -> localhost",
		"data_dir":                "/var/lib/mailserver -> ./.run",
		"bind_address":            " -> 127.0.0.1",
		"outbound.mode":           "direct -> sink",
		"outbound.allow_networks": " -> 127.0.0.0/8,::1/128",
		"domains.verification":    "dns -> auto",
		"limits.profile":          "default -> none",
		"limits.stop_timeout":     "30s -> 8s",
	}
	if diff := cmp.Diff(want, differs); diff != "" {
		t.Error(diff)
	}
}

func TestProfileNoneLiftsCountsAndKeepsSizesAndTimeouts(t *testing.T) {
	t.Parallel()
	cfg := load(t, config.Source{Defaults: config.Dev, Environ: []string{"MAILSERVER_LIMITS_SMTP_ERRORS_HARD=7"}})
	l := cfg.Limits
	if l.SMTP.Connections != 0 || l.IMAP.ConnectionsPerUser != 0 || l.SMTP.DataMinRate != 0 {
		t.Errorf("counts are not lifted: %+v", l)
	}
	if l.MessageBytes != 35<<20 || l.RecipientsInbound != 100 || l.SMTP.CommandTimeout != 5*time.Minute || l.QuotaBytes != 5<<30 {
		t.Errorf("sizes or timeouts were lifted: %+v", l)
	}
	if l.SMTP.ErrorsHard != 7 {
		t.Errorf("an explicit limit was lifted: %d", l.SMTP.ErrorsHard)
	}
	if got := row(t, cfg, "limits.smtp.connections"); got.Source != "limits.profile none" || got.Value != "0" {
		t.Errorf("row %+v", got)
	}
}

func TestEveryKeyCanBeSetByFileEnvironmentAndFlag(t *testing.T) {
	t.Parallel()
	for _, r := range config.Default(config.Serve).Explain() {
		text := r.Default
		switch {
		case text != "":
		case strings.HasSuffix(r.Key, "_url"):
			text = "postgres://localhost/x"
		case strings.HasPrefix(r.Key, "listen."):
			text = "127.0.0.1:4190"
		case r.Key == "bind_address", r.Key == "outbound.source_address":
			text = "127.0.0.1"
		case r.Key == "debug.pprof_listen":
			text = "127.0.0.1:6060"
		case r.Key == "dns.servers":
			text = "127.0.0.1:53,[::1]:53"
		case r.Key == "inbound.trusted_networks", r.Key == "outbound.allow_networks":
			text = "10.0.0.0/8"
		case r.Key == "outbound.routes":
			text = "example.test=mx.example.test:25"
		case r.Key == "database.embedded.settings":
			text = "work_mem=8MB,jit=off"
		case r.Key == "roles":
			text = "smtp,api"
		case r.Key == "auth.require_totp":
			continue // accepts no value yet
		default:
			text = "words"
		}
		env := []string{"MAILSERVER_" + strings.ToUpper(strings.ReplaceAll(r.Key, ".", "_")) + "=" + text}
		flags := map[string]string{r.Key: text}
		if r.Key == "direct_url" {
			env, flags = append(env, "MAILSERVER_DATABASE_URL="+text), map[string]string{r.Key: text, "database_url": text}
		}
		byEnv, byFlag := load(t, config.Source{Environ: env}), load(t, config.Source{Flags: flags})
		want := text
		if strings.HasSuffix(r.Key, "_url") || strings.HasSuffix(r.Key, ".password") || r.Key == "seal.key" {
			want = "(hidden)"
		}
		if r.Key == "database.embedded.settings" {
			want = "jit=off,work_mem=8MB"
		}
		if got := row(t, byEnv, r.Key); got.Value != want || !strings.HasPrefix(got.Source, "environment MAILSERVER_") {
			if r.Default != "0" {
				t.Errorf("%s by environment: %+v", r.Key, got)
			}
		}
		if got := row(t, byFlag, r.Key); got.Value != want {
			t.Errorf("%s by flag: %+v", r.Key, got)
		}
	}
}

const everyShape = `
hostname: Mail.Example.ORG
database:
  embedded:
    settings: {work_mem: 8MB, shared_buffers: "64MB"}
  auto_migrate: false
dns:
  servers: ["192.0.2.1:53", "[2001:db8::1]:53"]
inbound:
  trusted_networks:
    - 10.1.2.3/8
limits:
  message_bytes: 50MB
  smtp:
    session_life: 45m
auth: {argon2: {time: 1}}
listen:
  imap: ""
roles: [smtp, worker]
`

func TestAFileIsReadWithItsShapes(t *testing.T) {
	t.Parallel()
	cfg := load(t, config.Source{File: write(t, everyShape)})
	got := []any{
		cfg.Hostname, cfg.Database.Embedded.Settings, cfg.Database.AutoMigrate, cfg.DNS.Servers,
		cfg.Inbound.TrustedNetworks[0], cfg.Limits.MessageBytes, cfg.Limits.SMTP.SessionLife,
		cfg.Auth.Argon2, cfg.Listen.IMAP, cfg.HasRole("smtp"), cfg.HasRole("api"),
	}
	want := []any{
		"mail.example.org",
		map[string]string{"work_mem": "8MB", "shared_buffers": "64MB"},
		false,
		[]string{"192.0.2.1:53", "[2001:db8::1]:53"},
		netip.MustParsePrefix("10.0.0.0/8"),
		config.Size(50e6), 45 * time.Minute,
		config.Argon2{Time: 1, MemoryKiB: 65536, Threads: 4},
		"", true, false,
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("value %d: got %#v, want %#v", i, got[i], want[i])
		}
	}
}

func TestLaterSourcesOverrideAndTheTableSaysWho(t *testing.T) {
	t.Parallel()
	path := write(t, "data_dir: /file\nbind_address: 192.0.2.7\nlog:\n  level: debug\n")
	cfg := load(t, config.Source{
		File:    path,
		Environ: []string{"MAILSERVER_DATA_DIR=/environment", "MAILSERVER_LISTEN_IMAP=", "PATH=/bin"},
		Flags:   map[string]string{"data_dir": "/flag"},
	})
	if cfg.DataDir != "/flag" || cfg.Log.Level != "debug" || cfg.Listen.IMAP != "" || cfg.Listen.SMTP != "192.0.2.7:25" {
		t.Errorf("got %q %q %q %q", cfg.DataDir, cfg.Log.Level, cfg.Listen.IMAP, cfg.Listen.SMTP)
	}
	for key, want := range map[string]config.Row{
		"data_dir":    {Value: "/flag", Default: "/var/lib/mailserver", Source: "flag"},
		"log.level":   {Value: "debug", Default: "info", Source: path + ":4"},
		"listen.imap": {Value: "", Default: ":143", Source: "environment MAILSERVER_LISTEN_IMAP"},
		"listen.smtp": {Value: "192.0.2.7:25", Default: ":25", Source: "default"},
		"listen.dav":  {Source: "default", Note: "not served yet"},
		"hostname":    {Value: "machine", Source: "machine"},
	} {
		want.Key = key
		if got := row(t, cfg, key); got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestEmptyAndZeroMeanTheDefaultOrOffAsDocumented(t *testing.T) {
	t.Parallel()
	cfg := load(t, config.Source{
		File: write(t, "log: {level: warn}\nlimits: {message_bytes: 0, quota_bytes: 0, smtp: {connections: 0, command_timeout: 0}}\n"+
			"data_dir: ~\ndatabase: {embedded: {user: x}}\ntls:\nauth: {password_min_length: null}\nroles: []\n"),
		Environ: []string{"MAILSERVER_LOG_LEVEL=", "MAILSERVER_DNS_SERVERS=", "MAILSERVER_DATABASE_EMBEDDED_USER="},
	})
	if cfg.Database.Embedded.User != "" || cfg.Log.Level != "info" || cfg.Limits.MessageBytes != 35<<20 || cfg.Limits.SMTP.CommandTimeout != 5*time.Minute ||
		cfg.DataDir != "/var/lib/mailserver" || cfg.Auth.PasswordMinLength != 12 {
		t.Errorf("an empty value is not the default: %+v", cfg)
	}
	if cfg.Limits.QuotaBytes != 0 || cfg.Limits.SMTP.Connections != 0 {
		t.Errorf("0 is not off: %+v", cfg.Limits)
	}
	if !cfg.HasRole("imap") {
		t.Error("no roles should mean every role")
	}
}

func TestSecretsComeFromFilesAndAreNeverShown(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(secret, []byte("postgres://u:planted@db/x\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]config.Source{
		"file":        {File: write(t, "database_url_file: "+secret)},
		"environment": {Environ: []string{"MAILSERVER_DATABASE_URL_FILE=" + secret}},
		"flag":        {Flags: map[string]string{"database_url_file": secret}},
		"override":    {File: write(t, "database_url: postgres://other"), Environ: []string{"MAILSERVER_DATABASE_URL_FILE=" + secret}},
	} {
		cfg := load(t, src)
		if cfg.DatabaseURL != "postgres://u:planted@db/x" || cfg.DirectDatabaseURL() != cfg.DatabaseURL {
			t.Errorf("%s: read %q", name, cfg.DatabaseURL)
		}
		for _, r := range cfg.Explain() {
			if strings.Contains(r.Value+r.Default+r.Source, "planted") {
				t.Errorf("%s: the table shows the secret: %+v", name, r)
			}
		}
		if got := row(t, cfg, "database_url"); got.Value != "(hidden)" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestOtherPeoplesVariablesAreLeftAlone(t *testing.T) {
	t.Parallel()
	load(t, config.Source{Environ: []string{
		"MAILSERVER_API_URL=http://x", "MAILSERVER_API_KEY=ms_live_x", "MAILSERVER_PORT=tcp://10.0.0.1:25",
		"MAILSERVER_PORT_25_TCP_ADDR=10.0.0.1", "MAILSERVER_SERVICE_HOST=10.0.0.1", "MAILSERVERX=1", "nonsense",
	}})
}

func TestGetenvTakesTheLastValue(t *testing.T) {
	t.Parallel()
	env := []string{"A=1", "AB=2", "A=3=4"}
	if got := config.Getenv(env, "A"); got != "3=4" {
		t.Errorf("got %q", got)
	}
	if got := config.Getenv(env, "B"); got != "" {
		t.Errorf("got %q", got)
	}
	if len(config.Environ()) == 0 {
		t.Error("the test process has no environment")
	}
}

func TestLowWaterFollowsTheGreatestOfItsParts_L12(t *testing.T) {
	t.Parallel()
	l := config.Default(config.Serve).Limits
	for _, c := range []struct {
		size, own config.Size
		total     int64
		want      int64
	}{
		{1 << 20, 0, 1 << 30, 1 << 30},
		{35 << 20, 0, 1 << 30, 3500 << 20},
		{35 << 20, 0, 1 << 40, (1 << 40) / 20},
		{35 << 20, 7, 1 << 40, 7},
	} {
		l.MessageBytes, l.DiskLowWaterBytes = c.size, c.own
		if got := l.LowWater(c.total); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Size{
		"0": 0, "7": 7, "7B": 7, "1kB": 1000, "1KB": 1000, "35MiB": 35 << 20, "35 MiB": 35 << 20, "1000MB": 1e9, "5GiB": 5 << 30, "2TiB": 2 << 40, "1TB": 1e12, "1GB": 1e9,
	} {
		got, err := config.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if again, err := config.ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%s prints as %s, which reads as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "9999999999TiB", "99999999999999999999", "1 2", "1mib"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q reads as %d", text, got)
		}
	}
}

func TestErrorsCanBeTakenApart(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Source{File: write(t, "\nlisten: {smpt: ':25'}\n")})
	var one *config.Error
	var all config.Errors
	if !errors.As(err, &one) || !errors.As(err, &all) || len(all) != 1 {
		t.Fatalf("got %#v", err)
	}
	one.File = ""
	if want := (config.Error{Line: 2, Key: "listen.smpt", Value: ":25", Problem: "unknown key", Nearest: "listen.smtp"}); *one != want {
		t.Errorf("got %+v", *one)
	}
}
