//go:build e2e

package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a developer does to a running server by mistake must not cost its data.
func TestResetDoesNotTouchTheDataOfARunningServer(t *testing.T) {
	need(t, "curl", "curl")
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t), "--seed", "none")
	out, err := s.tryShell(t, binary(t)+" dev --reset")
	if err == nil || !strings.Contains(out, "already uses") {
		t.Errorf("a second start with --reset said %q (%v)", out, err)
	}
	if out := s.shell(t, "curl -s "+s.ConsoleURL+"/health/detailed"); !strings.Contains(out, `"status":"ok"`) {
		t.Errorf("after it the first server says %s", out)
	}
	s.stop(t)
	again := start(t, dir, freePorts(t), "--seed", "none", "--reset")
	if again.APIKey == s.APIKey {
		t.Error("--reset kept the old data")
	}
}

// Ctrl-C at any moment of the first start leaves something that starts.
func TestAnInterruptedFirstStartIsCompletedByTheNext(t *testing.T) {
	dir, env := t.TempDir(), freePorts(t)
	openUp(t, dir)
	begun := func(s *server) bool { return strings.Contains(s.stderr.String(), "starting PostgreSQL") }
	written := func(*server) bool {
		_, err := os.Stat(filepath.Join(dir, ".run", "dev.json"))
		return err == nil
	}
	for round, moment := range []func(*server) bool{begun, written, begun, written} {
		s := launch(t, dir, env, "--seed", "none")
		eventually(t, fmt.Sprintf("round %d has come to its moment", round), func() bool {
			return begun(s) && moment(s) || len(s.exited) > 0
		})
		s.interrupt(t)
	}
	s := start(t, dir, env, "--seed", "none")
	if s.APIKey == "" || s.TestAPIKey == "" || len(s.Users) != 2 || s.Owner.Password == "" {
		t.Errorf("dev.json is incomplete: %+v", s.devInfo)
	}
}

// Two servers with default ports, started at the same moment: both come up, and the one that moved says so.
func TestTwoServersStartedTogetherBothComeUp(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	openUp(t, one)
	openUp(t, two)
	first := launch(t, one, nil, "--seed", "none")
	second := launch(t, two, nil, "--seed", "none")
	first.await(t, "--seed", "none")
	second.await(t, "--seed", "none")
	for name, address := range first.Listen {
		if address != "" && address == second.Listen[name] {
			t.Errorf("both listen for %s on %s", name, address)
		}
	}
	if !strings.Contains(first.printout+second.printout, " is busy, so ") {
		t.Error("neither printout says that a port was moved")
	}
}

// DESIGN 6.2: ten seconds, whatever clients do. The helper stop asserts the time and the exit code.
func TestSlowClientsDoNotDelayTheStop(t *testing.T) {
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t), "--seed", "none")
	slowPost(t, s)
	halfData(t, s)
	idle := idling(t, s)
	s.stop(t)
	rest, _ := io.ReadAll(idle)
	if !strings.Contains(string(rest), "* BYE") {
		t.Errorf("the waiting client was told %q, not BYE", rest)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func slowPost(t *testing.T, s *server) {
	t.Helper()
	c := dial(t, s.Listen["http"])
	fmt.Fprintf(c, "POST /v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", s.APIKey)
}

func halfData(t *testing.T, s *server) {
	t.Helper()
	c := dial(t, s.Listen["smtp"])
	r := bufio.NewReader(c)
	for _, line := range []string{"", "EHLO x", "MAIL FROM:<a@outside.test>", "RCPT TO:<bob@demo.test>", "DATA"} {
		if line != "" {
			fmt.Fprintf(c, "%s\r\n", line)
		}
		for {
			reply, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if len(reply) > 3 && reply[3] == ' ' {
				break
			}
		}
	}
	fmt.Fprint(c, "Subject: half\r\n\r\nhalf a le")
}

func idling(t *testing.T, s *server) io.Reader {
	t.Helper()
	c := tls.Client(dial(t, s.Listen["imaps"]), &tls.Config{InsecureSkipVerify: true})
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "a LOGIN %s %s\r\nb SELECT INBOX\r\nc IDLE\r\n", s.Users[0].Email, s.Users[0].Password)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "+ ") {
			return r
		}
	}
}

// An operator's first minutes: serve writes a key with which everything else is made.
func TestServeCanBeAdministeredFromNothing(t *testing.T) {
	dir := t.TempDir()
	openUp(t, dir)
	env := append(freePorts(t), "MAILSERVER_DOMAINS_VERIFICATION=auto", "MAILSERVER_HOSTNAME=mail.example.test")
	s := launchCommand(t, dir, env, "serve", "--data", "srv")
	var key []byte
	eventually(t, "the owner's key is written", func() bool {
		var err error
		key, err = os.ReadFile(filepath.Join(dir, "srv", "owner.key"))
		return err == nil
	})
	if stat, err := os.Stat(filepath.Join(dir, "srv", "owner.key")); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("owner.key: %v, %v", stat, err)
	}
	api := ""
	for _, e := range env {
		if address, ok := strings.CutPrefix(e, "MAILSERVER_LISTEN_HTTP="); ok {
			api = "http://" + address
		}
	}
	eventually(t, "the server is up", func() bool {
		res, err := http.Get(api + "/health")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	for path, body := range map[string]string{"/v1/domains": `{"name":"example.test"}`} {
		if code := post(t, api+path, string(key), body); code != http.StatusCreated {
			t.Errorf("POST %s: %d", path, code)
		}
	}
	if code := post(t, api+"/v1/users", string(key), `{"email":"owner@example.test","password":"correct-horse-battery","role":"owner"}`); code != http.StatusCreated {
		t.Errorf("make the first owner: %d", code)
	}
	s.stop(t)
}

func post(t *testing.T, url, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(key))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// DESIGN 6.5: what a script reads from the exit code.
func TestExitCodesTellScriptsWhatHappened(t *testing.T) {
	dir := t.TempDir()
	openUp(t, dir)
	s := &server{dir: dir}
	write(t, filepath.Join(dir, "bad.yaml"), "hostnam: x\n")
	for _, c := range []struct {
		line string
		want int
	}{
		{"version", 0},
		{"version --json", 0},
		{"config --dev", 0},
		{"openapi", 0},
		{"nonsense", 2},
		{"dev --nonsense", 2},
		{"config --config bad.yaml", 2},
		{"config --config missing.yaml", 2},
		{"migrate --data fresh", 0},
		{"verify --data fresh --json", 0},
		{"migrate --data fresh --status", 0},
		{"migrate --data fresh --to 0", 0},
		{"verify --data fresh", 1},
	} {
		out, err := s.tryShell(t, binary(t)+" "+c.line)
		if code := max(0, exitCode(err)); err != nil && code != c.want || err == nil && c.want != 0 {
			t.Errorf("mailserver %s ended with %d (%v), want %d:\n%s", c.line, code, err, c.want, out)
		}
	}
	if os.Geteuid() != 0 {
		return // only root chooses the account of PostgreSQL
	}
	out, err := s.tryShell(t, "MAILSERVER_DATABASE_EMBEDDED_USER=nobody-has-this-name "+binary(t)+" migrate --data none")
	if exitCode(err) != 3 || !strings.Contains(out, "no such account") {
		t.Errorf("a missing account ended with %d, want 3:\n%s", exitCode(err), out)
	}
}
