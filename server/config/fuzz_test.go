package config

import (
	"strings"
	"testing"
)

// FuzzYAML asserts that no file makes the loader fail other than by errors
// that name the file, on one line each.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"", "hostname: a\n", "listen: {smtp: ':25'}", "a: &a [*a]", "? {a: b}\n: c", "---\n---\n", "limits: {smtp: {connections: 1e3}}",
		"database: {embedded: {settings: {a: b}}}", "\xff\xfe", "!!map {}", "roles: [smtp, [x]]", "<<: {a: b}", "a: |\n  b\n c: d", "tls: !x\n  mode: files",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		l := &loader{cat: newCatalog(), cfg: &Config{origins: map[string]origin{}}}
		l.defaults()
		l.yaml("f.yaml", content)
		l.complete(Source{MachineName: "machine"})
		if len(l.errs) == 0 {
			l.cfg.Explain()
			return
		}
		for line := range strings.SplitSeq(l.errs.Error(), "\n") {
			if !strings.HasPrefix(line, "f.yaml") && !strings.HasPrefix(line, "defaults: ") && !strings.HasPrefix(line, "and ") {
				t.Errorf("a fault without its file: %q", line)
			}
		}
	})
}

// FuzzEnvironment asserts the same for variables, and that a value which was
// accepted reads back as itself from the table.
func FuzzEnvironment(f *testing.F) {
	f.Add("LOG_LEVEL", "debug")
	f.Add("LISTEN_SMTP", "[::1]:25")
	f.Add("LIMITS_MESSAGE_BYTES", "64KiB")
	f.Add("DATABASE_EMBEDDED_SETTINGS", "a=b,c=d")
	f.Add("DNS_SERVERS", "127.0.0.1:53")
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.HasSuffix(name, "_FILE") {
			return // would read files of the machine
		}
		cfg, err := Load(Source{Environ: []string{envPrefix + name + "=" + value}, MachineName: "machine"})
		if err != nil {
			return
		}
		for _, row := range cfg.Explain() {
			if row.Source != "environment "+envPrefix+name || row.Value == hidden {
				continue
			}
			again, err := Load(Source{Flags: map[string]string{row.Key: row.Value}, MachineName: "machine"})
			if err != nil {
				t.Fatalf("%s: the shown value %q is refused: %v", row.Key, row.Value, err)
			}
			for _, r := range again.Explain() {
				if r.Key == row.Key && r.Value != row.Value {
					t.Errorf("%s: %q reads back as %q", r.Key, row.Value, r.Value)
				}
			}
		}
	})
}

func TestNoTwoKeysShareAVariable(t *testing.T) {
	t.Parallel()
	cat := newCatalog()
	for _, f := range cat.fields {
		if cat.byEnv[f.env] != f {
			t.Errorf("%s and %s are both %s", f.key, cat.byEnv[f.env].key, f.env)
		}
		if f.secret && cat.byEnv[f.env+"_FILE"] != nil {
			t.Errorf("%s_FILE is a key of its own", f.env)
		}
		if isPlanned(f.key) || isPlannedEnv(f.env) {
			t.Errorf("%s exists and is listed as planned", f.key)
		}
		if foreign(f.env) {
			t.Errorf("%s is taken for somebody else's", f.env)
		}
	}
}

func TestBothSetsOfDefaultsAreValid(t *testing.T) {
	t.Parallel()
	for _, set := range []Set{Serve, Dev} {
		l := &loader{cat: newCatalog(), cfg: &Config{origins: map[string]origin{}, set: set}}
		l.defaults()
		l.complete(Source{MachineName: "machine"})
		if len(l.errs) > 0 {
			t.Error(l.errs)
		}
	}
	if Default(Serve).Dev() || !Default(Dev).Dev() {
		t.Error("Dev does not tell the sets apart")
	}
}
