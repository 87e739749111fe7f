//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a newcomer does first: the two printed commands, then Ctrl-C, then again.
func TestThePrintedCommandsWorkVerbatimAndMailSurvivesARestart(t *testing.T) {
	need(t, "curl", "curl")
	dir, env := t.TempDir(), freePorts(t)
	openUp(t, dir)
	s := start(t, dir, env, "--seed", "none")
	sent := s.shell(t, s.command(t, "Send one:"))
	var answer struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	if err := json.Unmarshal([]byte(sent), &answer); err != nil || !strings.HasPrefix(answer.ID, "eml_") {
		t.Fatalf("the printed curl answered %q (%v)", sent, err)
	}
	read := s.command(t, "Read it:")
	var got string
	eventually(t, "the letter is in the mailbox", func() bool {
		got, _ = s.tryShell(t, read)
		return strings.Contains(got, "it works")
	})
	if !strings.Contains(got, "Subject: hello") || !strings.Contains(got, "From: app@demo.test") {
		t.Errorf("the letter reads\n%s", got)
	}
	first := s.devInfo
	checkPrivate(t, first)
	s.stop(t)

	again := start(t, dir, env, "--seed", "none")
	if again.took > 3*time.Second {
		t.Errorf("the second start took %s; the promise is 3 s", again.took)
	}
	if again.APIKey != first.APIKey || again.Users[0] != first.Users[0] || again.Owner != first.Owner {
		t.Error("credentials changed between two starts")
	}
	if got := again.shell(t, again.command(t, "Read it:")); !strings.Contains(got, "it works") {
		t.Errorf("after the restart the letter reads\n%s", got)
	}
}

// openUp lets the account of PostgreSQL pass, as a checkout's folder does.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func checkPrivate(t *testing.T, info devInfo) {
	t.Helper()
	for _, name := range []string{"env", "dev.json"} {
		stat, err := os.Stat(filepath.Join(info.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if stat.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o: others can read the passwords", name, stat.Mode().Perm())
		}
	}
}

func TestTwoServersShareOnlyTheMachine(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	openUp(t, one)
	openUp(t, two)
	a := start(t, one, freePorts(t), "--seed", "none")
	b := start(t, two, freePorts(t), "--seed", "none")
	if a.APIKey == b.APIKey || a.Users[0].Password == b.Users[0].Password {
		t.Error("two installations have the same credentials")
	}
	if out, err := a.tryShell(t, fmt.Sprintf("curl -sf %s/domains -H 'Authorization: Bearer %s'", b.APIURL, a.APIKey)); err == nil {
		t.Errorf("the key of one opened the other: %s", out)
	}
	// A second server on the same data must say so instead of starting.
	out, err := a.tryShell(t, binary(t)+" dev --data .run")
	if err == nil {
		t.Errorf("two servers run on one data directory:\n%s", out)
	}
}

// SEED=demo is what make run does: sample mail arrives through the normal path.
func TestSampleMailIsThere(t *testing.T) {
	need(t, "curl", "curl")
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t))
	eventually(t, "alice finds three sample letters", func() bool {
		out, err := s.tryShell(t, `. ./.run/env; curl -s --cacert $CA "imaps://`+s.Listen["imaps"]+`/" -u "alice@demo.test:$ALICE_PASSWORD" -X 'STATUS INBOX (MESSAGES)'`)
		return err == nil && strings.Contains(out, "MESSAGES 3")
	})
	eventually(t, "the sink kept the letter for another domain", func() bool {
		out, err := s.tryShell(t, `. ./.run/env; curl -s $API/sink/messages -H "Authorization: Bearer $KEY"`)
		return err == nil && strings.Contains(out, "someone@elsewhere.test")
	})
}
