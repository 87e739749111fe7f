package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/config"
)

// faults loads src and returns the error with the file called F.
func faults(t *testing.T, src config.Source) string {
	t.Helper()
	src.MachineName = "machine"
	_, err := config.Load(src)
	if err == nil {
		return ""
	}
	text := err.Error()
	if src.File != "" {
		text = strings.ReplaceAll(text, src.File, "F")
	}
	return text
}

func TestFaultsOfAFileNameLineKeyValueAndTheNearestKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"slip":             {"hostnam: x", `F:1: hostnam: unknown key (value "x"); did you mean hostname?`},
		"swapped letters":  {"listen:\n  smpt: :25", `F:2: listen.smpt: unknown key (value ":25"); did you mean listen.smtp?`},
		"wrong section":    {"message_bytes: 35MiB", `F:1: message_bytes: unknown key (value "35MiB"); did you mean limits.message_bytes?`},
		"unknown section":  {"listn:\n  smtp: x", `F:1: listn: unknown key; did you mean listen?`},
		"nothing near":     {"colour: blue", `F:1: colour: unknown key (value "blue")`},
		"secret slip":      {"databse_url: postgres://u:p@h/d", `F:1: databse_url: unknown key; did you mean database_url?`},
		"unknown password": {"smtp: {password: hunter2}", `F:1: smtp: unknown key`},
		"planned key":      {"inbound:\n  greylist: 26", `F:2: inbound.greylist: not available in this version (value "26")`},
		"planned section":  {"tls:\n  acme:\n    email: a@b.test", `F:2: tls.acme: not available in this version`},
		"planned value":    {"body: {driver: s3}", `F:1: body.driver: "s3" is not available in this version`},
		"planned item":     {"roles: [smtp, dav]", `F:1: roles: "smtp,dav" has the item "dav", which is not available in this version`},
		"number":           {"auth: {argon2: {time: three}}", `F:1: auth.argon2.time: "three" is not a whole number`},
		"negative":         {"auth: {argon2: {time: -3}}", `F:1: auth.argon2.time: "-3" is not a whole number`},
		"too low":          {"auth: {password_min_length: 4}", `F:1: auth.password_min_length: "4" is less than the lowest allowed value 8`},
		"too high":         {"limits: {message_bytes: 2GiB}", `F:1: limits.message_bytes: "2GiB" is more than the highest allowed value 1GiB`},
		"size":             {"limits: {message_bytes: big}", `F:1: limits.message_bytes: "big" is not a size like 35MiB`},
		"huge size":        {"limits: {quota_bytes: 99999999TiB}", `F:1: limits.quota_bytes: "99999999TiB" is too large for a size`},
		"duration":         {"limits: {stop_timeout: 5}", `F:1: limits.stop_timeout: "5" is not a duration like 90s, 5m or 2h`},
		"old yes":          {"database: {auto_migrate: yes}", `F:1: database.auto_migrate: "yes" is not true or false`},
		"word":             {"log: {level: loud}", `F:1: log.level: "loud" is not one of debug, info, warn, error`},
		"host name":        {"hostname: -x-", `F:1: hostname: "-x-" is not a host name like mail.example.org`},
		"ip":               {"bind_address: localhost", `F:1: bind_address: "localhost" is not an IP address`},
		"listen":           {"listen: {smtp: 25}", `F:1: listen.smtp: "25" is not address:port like :25 or 127.0.0.1:2525`},
		"listen port":      {"listen: {smtp: ':smtp'}", `F:1: listen.smtp: ":smtp" has a port that is not a number from 0 to 65535`},
		"listen host":      {"listen: {smtp: 'mail.test:25'}", `F:1: listen.smtp: "mail.test:25" has a host that is not an IP address of this machine`},
		"open profiles":    {"debug: {pprof_listen: 0.0.0.0:6060}", `F:1: debug.pprof_listen: "0.0.0.0:6060" is not ip:port of a loopback address like 127.0.0.1:6060 or [::1]:6060`},
		"resolver":         {"dns: {servers: [192.0.2.1]}", `F:1: dns.servers: "192.0.2.1" has the item "192.0.2.1", which is not ip:port like 192.0.2.1:53 or [2001:db8::1]:53`},
		"network":          {"inbound: {trusted_networks: [10.0.0.1]}", `F:1: inbound.trusted_networks: "10.0.0.1" has the item "10.0.0.1", which is not a network like 10.0.0.0/8`},
		"list wanted":      {"roles: smtp", `F:1: roles: "smtp" is not a list`},
		"mapping wanted":   {"database: {embedded: {settings: [a]}}", `F:1: database.embedded.settings: "a" is not a mapping of names to values`},
		"single wanted":    {"data_dir: [a, b]", `F:1: data_dir: "a,b" is not a single value`},
		"secret list":      {"database_url_file: [a, b]", `F:1: database_url_file: is not a single value`},
		"section wanted":   {"listen: 25", `F:1: listen: is not a mapping of keys to values`},
		"too deep":         {"data_dir: [[a]]", `F:1: data_dir: is nested too deeply`},
		"not a mapping":    {"- a", `F:1: is not a mapping of keys to values`},
		"odd key":          {"[a]: b", `F:1: has a key that is not plain text`},
		"twice":            {"hostname: a\nhostname: b", `F:2: hostname: is given twice, first in line 1`},
		"setting twice":    {"database: {embedded: {settings: {a: 1, a: 2}}}", `F:1: database.embedded.settings: names "a" twice`},
		"alias":            {"hostname: &a x\ndata_dir: *a", `F:2: data_dir: is an alias, which is not supported`},
		"tag":              {"hostname: !!binary aGk=", `F:1: hostname: has a YAML tag, which is not supported`},
		"two documents":    {"hostname: a\n---\nhostname: b", `F:2: a second document is not supported`},
		"syntax":           {"a: b\n c: d", `F:2: is not valid YAML: mapping values are not allowed in this context`},
		"both secrets":     {"database_url: a\ndatabase_url_file: /x", `F:2: database_url_file: is given here and as database_url; keep one`},
		"lost secret":      {"database_url_file: /nowhere/url", `F:1: database_url_file: "/nowhere/url" cannot be read: no such file or directory`},
		"terminal codes":   {`"\e[31mred": x`, "F:1: \uFFFD[31mred: unknown key (value \"x\")"},
		"files without":    {"tls: {mode: files, cert_file: /c}", `F:1: tls.mode: "files" needs tls.key_file`},
		"direct alone":     {"direct_url: postgres://d", `F:1: direct_url: is set without database_url`},
		"same port":        {"listen: {smtp: ':587'}", `defaults: listen.submission: ":587" is taken by listen.smtp already`},
		"batch budget":     {"limits: {api: {batch_bytes: 256MiB}}", `F:1: limits.api.batch_bytes: "256MiB" is more than limits.api.body_budget_bytes`},
		"budget":           {"limits: {api: {body_bytes: 256MiB}}", `F:1: limits.api.body_bytes: "256MiB" is more than limits.api.body_budget_bytes`},
		"empty file":       {"", ""},
		"only a comment":   {"# nothing\n", ""},
		"port nought":      {"listen: {smtp: '127.0.0.1:0', imap: '127.0.0.1:0'}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, faults(t, config.Source{File: write(t, c.file)})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultsOfTheEnvironmentNameTheVariable(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"MAILSERVER_LISTEN_SMPT=:25":                    `environment: MAILSERVER_LISTEN_SMPT: unknown key (value ":25"); did you mean MAILSERVER_LISTEN_SMTP?`,
		"MAILSERVER_LISTEN__SMTP=:25":                   `environment: MAILSERVER_LISTEN__SMTP: unknown key (value ":25"); did you mean MAILSERVER_LISTEN_SMTP?`,
		"MAILSERVER_DATABSE_URL=postgres://u:p@h":       `environment: MAILSERVER_DATABSE_URL: unknown key; did you mean MAILSERVER_DATABASE_URL?`,
		"MAILSERVER_INBOUND_GREYLIST_ENABLED=false":     `environment: MAILSERVER_INBOUND_GREYLIST_ENABLED: not available in this version (value "false")`,
		"MAILSERVER_OUTBOUND_MODE=relay":                `environment: MAILSERVER_OUTBOUND_MODE: "relay" needs outbound.relay.host`,
		"MAILSERVER_OUTBOUND_ROUTES=a.test=b.test":      `environment: MAILSERVER_OUTBOUND_ROUTES: "a.test=b.test" is not domain=host:port, the domain in lower case`,
		"MAILSERVER_OUTBOUND_RETRY=5m,x":                `environment: MAILSERVER_OUTBOUND_RETRY: "5m,x" has the item "x", which is not a duration like 90s, 5m or 2h`,
		"MAILSERVER_OUTBOUND_RETRY=5m,1ms":              `environment: MAILSERVER_OUTBOUND_RETRY: "5m,1ms" has the item "1ms", which is less than the lowest allowed value 1s`,
		"MAILSERVER_OUTBOUND_RETRY=1m,2h":               "",
		"MAILSERVER_LIMITS_PROFILE=some":                `environment: MAILSERVER_LIMITS_PROFILE: "some" is not one of default, none`,
		"MAILSERVER_DATABASE_EMBEDDED_SETTINGS=a":       `environment: MAILSERVER_DATABASE_EMBEDDED_SETTINGS: "a" has the item "a", which is not name=value`,
		"MAILSERVER_DATABASE_EMBEDDED_SETTINGS=a=1,a=2": `environment: MAILSERVER_DATABASE_EMBEDDED_SETTINGS: "a=1,a=2" names "a" twice`,
		"MAILSERVER_AUTH_REQUIRE_TOTP=owner":            `environment: MAILSERVER_AUTH_REQUIRE_TOTP: "owner" has the item "owner", which is not available in this version`,
		"MAILSERVER_AUTH_REQUIRE_TOTP=":                 "",
		"MAILSERVER_DATABASE_EMBEDDED_SETTINGS=a=1, b=": "",
	} {
		if diff := cmp.Diff(want, faults(t, config.Source{Environ: []string{entry}})); diff != "" {
			t.Errorf("%s: %s", entry, diff)
		}
	}
}

func TestAllFaultsAreReportedAtOnceInOrder(t *testing.T) {
	t.Parallel()
	got := faults(t, config.Source{
		File:    write(t, "hostnam: x\nlog:\n  level: loud\ntls: {mode: files}\n"),
		Environ: []string{"MAILSERVER_LISTEN_HTTP=80", "MAILSERVER_AAA=1"},
		Flags:   map[string]string{"data_dirr": "x", "log.format": "xml"},
	})
	want := strings.TrimSpace(`
F:1: hostnam: unknown key (value "x"); did you mean hostname?
F:3: log.level: "loud" is not one of debug, info, warn, error
environment: MAILSERVER_AAA: unknown key (value "1")
environment: MAILSERVER_LISTEN_HTTP: "80" is not address:port like :25 or 127.0.0.1:2525
flags: data_dirr: unknown key (value "x"); did you mean data_dir?
flags: log.format: "xml" is not one of auto, json, text
F:4: tls.mode: "files" needs tls.cert_file
F:4: tls.mode: "files" needs tls.key_file`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAMissingOrHugeFileIsSaidPlainly(t *testing.T) {
	t.Parallel()
	if got := faults(t, config.Source{File: "/nowhere/c.yaml"}); got != "F: cannot be read: no such file or directory" {
		t.Error(got)
	}
	if got := faults(t, config.Source{File: t.TempDir()}); got != "F: cannot be read: is a directory" {
		t.Error(got)
	}
	if got := faults(t, config.Source{File: write(t, strings.Repeat("#\n", 1<<20))}); got != "F: is larger than 1MiB" {
		t.Error(got)
	}
	big := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(big, make([]byte, 65<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	got := faults(t, config.Source{Flags: map[string]string{"database_url_file": big}})
	if !strings.HasSuffix(got, "is larger than 64KiB") {
		t.Error(got)
	}
}

func TestAThousandFaultsStayReadable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		b.WriteString(strings.Repeat("k", i+1) + ": 1\n")
	}
	lines := strings.Split(faults(t, config.Source{File: write(t, b.String())}), "\n")
	if len(lines) != 51 || lines[50] != "and 950 more" {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
	for _, line := range lines {
		if len(line) > 200 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}
