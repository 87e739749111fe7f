package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/testenv"
)

// terminal is where commands are typed.
type terminal struct {
	environ []string
	stdin   string
}

// at gives a terminal whose environment names the server.
func at(s *testenv.Server) terminal {
	return terminal{environ: []string{"MAILSERVER_API_URL=http://" + s.Address("http") + "/v1", "MAILSERVER_API_KEY=" + s.Demo.APIKey}}
}

func (term terminal) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, trouble bytes.Buffer
	env := environment{environ: term.environ, stdin: strings.NewReader(term.stdin), stdout: &out, stderr: &trouble}
	code = run(t.Context(), args, env)
	return code, out.String(), trouble.String()
}

// ok runs a command that must succeed. It says nothing but, before it destroys something, where.
func (term terminal) ok(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := term.run(t, args...)
	if line, rest, _ := strings.Cut(stderr, "\n"); strings.HasPrefix(line, "server: http://127.0.0.1:") {
		stderr = rest
	}
	if code != exitOK || stderr != "" {
		t.Fatalf("%q: exit %d, said %q", args, code, stderr)
	}
	return stdout
}

// object runs a command with --json and reads the one object that it prints.
func object[T any](t *testing.T, term terminal, args ...string) T {
	t.Helper()
	return only[T](t, term.ok(t, append(args, "--json")...))
}

// only reads a text that must be one JSON object and nothing else.
func only[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Errorf("there is more than one object in %s", text)
	}
	return v
}

func TestAnAdministratorProvisionsADomainAndAUserThatCanSignIn(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	term := at(s)
	made := object[mailserver.Domain](t, term, "domain", "create", "shop.test")
	if made.Name != "shop.test" || made.Status != mailserver.DomainStatusVerified {
		t.Errorf("made %+v", made)
	}
	if got := object[mailserver.Domain](t, term, "domain", "get", "shop.test"); got.ID != made.ID {
		t.Errorf("by name: %+v", got)
	}
	if text := term.ok(t, "domain", "get", made.ID); !strings.Contains(text, "domain   shop.test\n") || !strings.Contains(text, made.ID) {
		t.Errorf("by id:\n%s", text)
	}
	lines := strings.Split(strings.TrimSpace(term.ok(t, "domain", "list")), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "DOMAIN ") || !strings.HasPrefix(lines[1], "shop.test ") || !strings.HasPrefix(lines[2], "demo.test ") {
		t.Errorf("the table reads\n%s", strings.Join(lines, "\n"))
	}
	if found := object[list[mailserver.Domain]](t, term, "domain", "list", "--status", "pending"); found.Items == nil || len(found.Items) != 0 {
		t.Errorf("pending domains: %+v", found)
	}

	carol := object[withPassword](t, term, "user", "create", "carol@shop.test", "--name", "Carol Red", "--quota", "5MiB")
	if carol.QuotaBytes != 5<<20 || len(carol.Password) < 20 {
		t.Errorf("made %+v", carol)
	}
	s.IMAP(t, app.Login{Email: "carol@shop.test", Password: carol.Password})
	table := term.ok(t, "user", "list", "--domain", "shop.test")
	if strings.Count(table, "\n") != 2 || !strings.Contains(table, "carol@shop.test  Carol Red  user  active  0 B of 5 MiB") {
		t.Errorf("the table reads %q", table)
	}
	term.stdin = "a-much-better-password\nand more\n"
	if text := term.ok(t, "user", "passwd", "carol@shop.test", "--password-stdin"); strings.Contains(text, "password") {
		t.Errorf("a password that was given is shown:\n%s", text)
	}
	s.IMAP(t, app.Login{Email: "carol@shop.test", Password: "a-much-better-password"})
	if gone := object[ended](t, term, "user", "delete", "carol@shop.test"); gone.ID != carol.ID || gone.Status != "deleted" {
		t.Errorf("deleted %+v", gone)
	}
	if text := term.ok(t, "domain", "delete", "shop.test"); !strings.Contains(text, "deleted  shop.test") {
		t.Errorf("got %q", text)
	}
	if code, _, stderr := term.run(t, "domain", "get", "shop.test"); code != exitError || !strings.Contains(stderr, "shop.test was not found") {
		t.Errorf("after the deletion: exit %d, %q", code, stderr)
	}
}

func TestAKeyIsMadeForOnePurposeAndRevoked(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	term := at(s)
	key := object[mailserver.APIKeyCreated](t, term, "api-key", "create", "reader", "--scope", "domains:read,users:read", "--domain", "demo.test",
		"--expires", "2099-01-01T00:00:00Z", "--from", "127.0.0.0/8")
	if len(key.Scopes) != 2 || len(key.DomainIDs) != 1 || !strings.HasPrefix(key.Key, "ms_live_") {
		t.Fatalf("made %+v", key)
	}
	if text := term.ok(t, "api-key", "list"); !strings.Contains(text, "reader ") || !strings.Contains(text, "2099-01-01 00:00:00Z") || strings.Contains(text, key.Key) {
		t.Errorf("the table reads\n%s", text)
	}
	limited := terminal{environ: []string{term.environ[0]}}
	limited.ok(t, "domain", "list", "--key", key.Key)
	code, stdout, stderr := limited.run(t, "domain", "create", "more.test", "--key", key.Key)
	if code != exitError || stdout != "" {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	for _, want := range []string{"mailserver: ", "\n  code     scope-missing (403)\n", "\n  scope    domains:write\n", "\n  next     Use a key with", "\n  request  req_"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the error lacks %q:\n%s", want, stderr)
		}
	}
	term.ok(t, "api-key", "revoke", key.ID)
	if code, _, stderr := limited.run(t, "domain", "list", "--key", key.Key); code != exitError || !strings.Contains(stderr, "unauthenticated (401)") {
		t.Errorf("after the revocation: exit %d, %q", code, stderr)
	}
	if text := term.ok(t, "api-key", "list"); strings.Contains(text, "reader") {
		t.Errorf("a revoked key is listed as valid:\n%s", text)
	}
	if text := term.ok(t, "api-key", "list", "--revoked"); !strings.Contains(text, "reader") {
		t.Errorf("--revoked does not show it:\n%s", text)
	}
}

func TestErrorsNameTheFieldAndJSONStaysOneObject(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	term := at(s)
	term.stdin = "short\n"
	code, stdout, stderr := term.run(t, "user", "create", "dave@demo.test", "--password-stdin", "--json")
	failed := only[failure](t, stdout)
	if code != exitError || failed.Error.Status != 422 || failed.Error.Code == "" || failed.Error.RequestID == "" {
		t.Errorf("exit %d, printed %s", code, stdout)
	}
	if !strings.Contains(stderr, "  field    body.password") {
		t.Errorf("said %q", stderr)
	}
	code, stdout, stderr = term.run(t, "domain", "create", "demo.test")
	if code != exitError || stdout != "" || !strings.Contains(stderr, "already-exists (409)") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	for _, args := range [][]string{
		{"domain"},
		{"domain", "create"},
		{"domain", "list", "--typo"},
		{"domain", "list", "--status", "odd"},
		{"user", "create", "a@demo.test", "--quota", "much"},
		{"user", "create", "a@demo.test", "--password-stdin", "--password-hash", "x"},
		{"api-key", "create", "x"},
		{"api-key", "create", "x", "--scope", "a:b", "--expires", "tomorrow"},
	} {
		if code, stdout, _ := term.run(t, args...); code != exitUsage || stdout != "" {
			t.Errorf("%q: exit %d, printed %q; want %d and nothing", args, code, stdout, exitUsage)
		}
	}
}

func TestWithoutAConnectionTheTextSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	data := s.Config.DataDir
	empty := t.TempDir()
	for name, c := range map[string]struct {
		environ []string
		args    []string
		names   []string
	}{
		"nothing at all":                    {nil, []string{"--data", empty}, []string{"MAILSERVER_API_URL", "MAILSERVER_API_KEY", "--data", filepath.Join(empty, "owner.key")}},
		"a key of another server":           {[]string{"MAILSERVER_API_URL=http://127.0.0.1:2", "MAILSERVER_API_KEY=x"}, []string{"--url", "http://127.0.0.1:1"}, []string{"http://127.0.0.1:1", "--key"}},
		"a URL and no key":                  {[]string{"MAILSERVER_API_URL=http://127.0.0.1:1"}, nil, []string{"MAILSERVER_API_KEY", "--key"}},
		"the owner's key is not for others": {nil, []string{"--url", "http://127.0.0.1:1", "--data", data}, []string{"MAILSERVER_API_KEY"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := terminal{environ: c.environ}.run(t, append([]string{"domain", "list"}, c.args...)...)
			if code != exitMissing || stdout != "" {
				t.Errorf("exit %d, printed %q", code, stdout)
			}
			for _, name := range c.names {
				if !strings.Contains(stderr, name) {
					t.Errorf("the text does not name %s: %q", name, stderr)
				}
			}
		})
	}
	code, _, stderr := terminal{}.run(t, "domain", "list", "--url", "http://127.0.0.1:1", "--key", "x")
	if code != exitError || !strings.Contains(stderr, "127.0.0.1:1") || !strings.Contains(stderr, "refused") {
		t.Errorf("a server that is not there: exit %d, %q", code, stderr)
	}
}

// listener counts what connects to it: a stranger, or the production that the environment names.
type listener struct {
	address string
	asked   atomic.Int32
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked.Add(1)
		t.Errorf("asked for %s with %s", r.URL, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(s.Close)
	l.address = s.Listener.Addr().String()
	return l
}

func copyOf(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Who has the address of production in the environment and names another server gets that one, and no key goes to a server that is
// not named beside it.
func TestWhatIsTypedBeatsTheEnvironment(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	production := listen(t)
	data, here := s.Config.DataDir, "http://"+s.Address("http")
	file := filepath.Join(t.TempDir(), "mailserver.yaml")
	if err := os.WriteFile(file, []byte("data_dir: "+data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := terminal{environ: []string{"MAILSERVER_API_URL=http://" + production.address, "MAILSERVER_API_KEY=ms_live_production"}}
	keyOnly := terminal{environ: both.environ[1:]}
	for name, c := range map[string]struct {
		term terminal
		args []string
	}{
		"--data":                    {both, []string{"--data", data}},
		"--data and --key":          {both, []string{"--data", data, "--key", s.Demo.APIKey}},
		"--config":                  {both, []string{"--config", file}},
		"--url and --key":           {both, []string{"--url", here, "--key", s.Demo.APIKey}},
		"--key":                     {terminal{environ: []string{"MAILSERVER_API_URL=" + here, "MAILSERVER_API_KEY=x"}}, []string{"--key", s.Demo.APIKey}},
		"the key of another server": {keyOnly, []string{"--data", data}},
		"the same server":           {at(s), []string{"--url", here + "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text := c.term.ok(t, append([]string{"domain", "list"}, c.args...)...); !strings.Contains(text, "demo.test") {
				t.Errorf("got\n%s", text)
			}
		})
	}
}

// The key of the owner goes to the server that it belongs to, not to whoever listens where that one did.
func TestTheOwnersKeyGoesToNoStranger(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	stranger := listen(t)
	data, left := s.Config.DataDir, t.TempDir()
	// The data directory of a development server that was stopped or killed: what it wrote is still there, its lock is not.
	if err := os.Mkdir(filepath.Join(left, "serving"), 0o700); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	copyOf(t, filepath.Join(data, "owner.key"), filepath.Join(left, "owner.key"))
	for name, text := range map[string]string{
		"dev.json":     fmt.Sprintf(`{"pid":%d,"api_url":"http://%s/v1"}`, os.Getpid(), stranger.address),
		"serving/LEFT": host + "\nhttp://" + stranger.address + "\n",
	} {
		if err := os.WriteFile(filepath.Join(left, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, environ := range [][]string{nil, {"MAILSERVER_LISTEN_HTTP=" + stranger.address}} {
		code, stdout, stderr := terminal{environ: environ}.run(t, "domain", "list", "--data", left)
		if code != exitMissing || stdout != "" || !strings.Contains(stderr, "the server of "+left+" is not running; start it with \"make run\"") {
			t.Errorf("a server that was stopped: exit %d, %q, %q", code, stdout, stderr)
		}
	}
	// serve in a directory that once was that of a development server.
	copyOf(t, filepath.Join(left, "dev.json"), filepath.Join(data, "dev.json"))
	if text := (terminal{}).ok(t, "domain", "list", "--data", data); !strings.Contains(text, "demo.test") {
		t.Errorf("beside an old dev.json:\n%s", text)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := (terminal{}).run(t, "domain", "list", "--data", data); code != exitMissing || !strings.Contains(stderr, "is not running") {
		t.Errorf("after the stop: exit %d, %q", code, stderr)
	}
}

func TestWhatDestroysSaysWhereAndJSONStaysPure(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	where := "server: http://" + s.Address("http")
	term := at(s)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"domain", "delete", "nothing.test"}, where + "/v1 (MAILSERVER_API_URL)\n"},
		{[]string{"user", "delete", "nobody@demo.test", "--data", s.Config.DataDir}, where + " (data directory " + s.Config.DataDir + ")\n"},
		{[]string{"api-key", "revoke", "key_01h455vb4pex5vsknk084sn02q"}, where},
		{[]string{"queue", "drop", "dlv_01h455vb4pex5vsknk084sn02q"}, where},
		{[]string{"dkim", "revoke", "nothing.test", "x"}, where},
		{[]string{"dkim", "delete", "nothing.test", "x"}, where},
		{[]string{"domain", "relay", "remove", "nothing.test"}, where},
	} {
		code, stdout, stderr := term.run(t, append(c.args, "--json")...)
		only[failure](t, stdout)
		if code != exitError || !strings.HasPrefix(stderr, c.want) {
			t.Errorf("%q: exit %d, said %q, want %q", c.args, code, stderr, c.want)
		}
	}
	if code, _, stderr := term.run(t, "domain", "get", "nothing.test"); code != exitError || strings.HasPrefix(stderr, "server: ") {
		t.Errorf("exit %d, said %q", code, stderr)
	}
}

// A smart host is set without its password ever being an argument, which every account of the machine could read.
func TestADomainsSmartHostIsSetFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	term := at(s)
	if code, _, stderr := term.run(t, "domain", "relay", "get", "demo.test"); code != exitError || !strings.Contains(stderr, "not-found (404)") {
		t.Errorf("without one: exit %d, %q", code, stderr)
	}
	term.stdin = "correct horse battery\n"
	set := object[mailserver.DomainRelay](t, term, "domain", "relay", "set", "demo.test", "smtp.provider.test", "--tls", "implicit", "--username", "demo", "--password-stdin")
	if set.Host != "smtp.provider.test" || set.Port != 465 || set.TLS != mailserver.DomainRelayTLSImplicit || set.Username != "demo" || !set.HasPassword {
		t.Errorf("set %+v", set)
	}
	term.stdin = ""
	if kept := object[mailserver.DomainRelay](t, term, "domain", "relay", "set", "demo.test", "smtp.provider.test", "--port", "2465", "--tls", "implicit", "--username", "demo"); kept.Port != 2465 || !kept.HasPassword {
		t.Errorf("kept %+v", kept)
	}
	text := term.ok(t, "domain", "relay", "get", "demo.test")
	if !strings.Contains(text, "host      smtp.provider.test\n") || !strings.Contains(text, "password  stored\n") || strings.Contains(text, "correct") {
		t.Errorf("shown:\n%s", text)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("another one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	term.ok(t, "domain", "relay", "set", "demo.test", "smtp.other.test", "--username", "demo", "--password-file", file)
	if code, _, _ := term.run(t, "domain", "relay", "set", "demo.test", "smtp.other.test", "--username", "demo", "--password", "x"); code != exitUsage {
		t.Errorf("a password as an argument: exit %d", code)
	}
	if text := term.ok(t, "domain", "relay", "remove", "demo.test"); !strings.Contains(text, "relay removed  demo.test\n") {
		t.Errorf("removed:\n%s", text)
	}
	if code, _, _ := term.run(t, "domain", "relay", "get", "demo.test"); code != exitError {
		t.Errorf("after it: exit %d", code)
	}
}

func TestWhatAServerSaysCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	if got := clean("a\x1b[31mb\r\nc\u202ed\u009be\tä"); got != "a[31mbcdeä" {
		t.Errorf("got %q", got)
	}
}

func TestSizesAreShort(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 5 << 30: "5 GiB", 1<<63 - 1: "8 EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is shown as %q, want %q", n, got, want)
		}
	}
}

func TestADomainsKeysAreRotatedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	term := at(s)
	term.ok(t, "domain", "create", "keys.test", "--dkim", "none")
	made := object[mailserver.DKIMKey](t, term, "dkim", "create", "keys.test", "--algorithm", "ed25519", "--selector", "one")
	if made.Selector != "one" || made.Algorithm != mailserver.DKIMKeyAlgorithmEd25519 || made.State != mailserver.DKIMKeyStateActive {
		t.Errorf("made %+v", made)
	}
	if got := object[mailserver.DKIMKey](t, term, "dkim", "get", "keys.test", "one"); got.ID != made.ID || got.RecordValue != made.RecordValue {
		t.Errorf("got %+v", got)
	}
	pem := term.ok(t, "dkim", "export", "keys.test", "one")
	if !strings.HasPrefix(pem, "-----BEGIN PRIVATE KEY-----\n") || !strings.HasSuffix(pem, "-----END PRIVATE KEY-----\n") {
		t.Errorf("exported %q", pem)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if out := object[exported](t, term, "dkim", "export", "keys.test", made.ID, "--output", file); out.PrivateKey != "" || out.File != file {
		t.Errorf("exported %+v", out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file: %v, %v", info, err)
	}
	if text := term.ok(t, "dkim", "retire", "keys.test", "one"); !strings.Contains(text, "retiring") {
		t.Errorf("retired:\n%s", text)
	}
	if code, _, stderr := term.run(t, "dkim", "delete", "keys.test", "one"); code != exitError || !strings.Contains(stderr, "(409)") {
		t.Errorf("a key that others still look for was deleted: exit %d, %q", code, stderr)
	}
	term.ok(t, "domain", "create", "heir.test", "--dkim", "none")
	heir := object[mailserver.DKIMKey](t, term, "dkim", "import", "heir.test", file, "--selector", "two")
	if heir.RecordName != "two._domainkey.heir.test" || heir.RecordValue != made.RecordValue {
		t.Errorf("imported %+v", heir)
	}
	if text := term.ok(t, "dkim", "activate", "heir.test", "two"); !strings.Contains(text, "state      active") {
		t.Errorf("activated:\n%s", text)
	}
	if table := term.ok(t, "dkim", "list", "heir.test"); !strings.Contains(table, "two       ed25519    active") {
		t.Errorf("the table reads\n%s", table)
	}
	table := term.ok(t, "domain", "dns", "heir.test")
	for _, want := range []string{"FOR ", "dkim ", "two._domainkey.heir.test     v=DKIM1", "mx ", "MX "} {
		if !strings.Contains(table, want) {
			t.Errorf("the records lack %q:\n%s", want, table)
		}
	}
	if zone := term.ok(t, "domain", "dns", "heir.test", "--zone"); !strings.Contains(zone, "two._domainkey.heir.test. 3600 IN TXT \"v=DKIM1") {
		t.Errorf("the zone reads\n%s", zone)
	}
	if code, _, stderr := term.run(t, "dkim", "activate", "heir.test", "three"); code != exitError || !strings.Contains(stderr, "dkim list heir.test") {
		t.Errorf("a selector that is not there: exit %d, %q", code, stderr)
	}
	term.stdin = "no key"
	if code, _, stderr := term.run(t, "dkim", "import", "heir.test", "-"); code != exitError || !strings.Contains(stderr, "body.private_key") {
		t.Errorf("no key: exit %d, %q", code, stderr)
	}
}

func TestWaitingMailIsSeenHeldReleasedAndDropped(t *testing.T) {
	t.Parallel()
	// Mail leaves for real, to a port where nobody listens; as long as the destinations are held all of it waits.
	s := testenv.Start(t, testenv.WithConfig(func(c *config.Config) {
		c.Outbound.Mode, c.Outbound.Routes = "direct", map[string]string{"slow.test": "127.0.0.1:1", "fast.test": "127.0.0.1:1"}
	}))
	term := at(s)
	for _, name := range []string{"slow.test", "fast.test"} {
		if d := object[mailserver.QueueDestination](t, term, "queue", "hold", "--destination", name); d.State != mailserver.QueueDestinationStateHeld {
			t.Fatalf("held %+v", d)
		}
	}
	accepted, err := s.SDK(t).Emails.Send(t.Context(), mailserver.EmailSend{From: "a@demo.test", To: []string{"x@slow.test", "y@slow.test", "z@fast.test"}, Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	waiting := object[list[mailserver.QueueEntry]](t, term, "queue", "list", "--destination", "slow.test", "--email", accepted.ID, "--domain", "demo.test")
	if len(waiting.Items) != 2 || !strings.HasSuffix(waiting.Items[0].Recipient, "@slow.test") || waiting.Items[0].Status != mailserver.QueueEntryStatusQueued {
		t.Fatalf("waiting: %+v", waiting.Items)
	}
	if table := term.ok(t, "queue", "list"); !strings.HasPrefix(table, "STATUS ") || strings.Count(table, "  a@demo.test  0 ") != 3 {
		t.Errorf("the table reads\n%s", table)
	}
	x, y := waiting.Items[0].ID, waiting.Items[1].ID
	held := object[list[mailserver.QueueEntryChanged]](t, term, "queue", "hold", x, y)
	if len(held.Items) != 2 || held.Items[1].ID != y || held.Items[1].Status != mailserver.QueueEntryChangedStatusHeld {
		t.Errorf("held %+v", held)
	}
	if text := term.ok(t, "queue", "release", x); !strings.Contains(text, x+"  queued  "+accepted.ID) {
		t.Errorf("released:\n%s", text)
	}
	if code, _, stderr := term.run(t, "queue", "release", x); code != exitError || !strings.Contains(stderr, "state-conflict (409)") {
		t.Errorf("released twice: exit %d, %q", code, stderr)
	}
	term.ok(t, "queue", "retry", x)
	if got := object[mailserver.QueueRetried](t, term, "queue", "retry", "--all"); got.Recipients != 2 {
		t.Errorf("due: %+v; want the two that are not held", got)
	}
	if got := object[list[mailserver.QueueEntryChanged]](t, term, "queue", "drop", y); got.Items[0].Status != mailserver.QueueEntryChangedStatusCancelled {
		t.Errorf("dropped %+v", got)
	}
	if left := object[list[mailserver.QueueEntry]](t, term, "queue", "list"); len(left.Items) != 2 {
		t.Errorf("after the drop %d wait", len(left.Items))
	}

	table := term.ok(t, "queue", "destinations")
	if strings.Count(table, "\n") != 3 || !strings.Contains(table, "fast.test    held   1 ") || !strings.Contains(table, "slow.test    held   1 ") {
		t.Errorf("the table reads\n%s", table)
	}
	if text := term.ok(t, "queue", "release", "--destination", "slow.test"); strings.Contains(text, "held") || !strings.Contains(text, "waiting      1\n") {
		t.Errorf("released:\n%s", text)
	}
	if got := object[mailserver.QueueDestination](t, term, "queue", "retry", "--destination", "slow.test"); got.Name != "slow.test" {
		t.Errorf("retried %+v", got)
	}
	for _, args := range [][]string{{"queue", "retry"}, {"queue", "retry", x, "--all"}, {"queue", "hold"}, {"queue", "release", x, "--destination", "slow.test"}, {"queue", "drop"}} {
		if code, stdout, stderr := term.run(t, args...); code != exitUsage || stdout != "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
}
