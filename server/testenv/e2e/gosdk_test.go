//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/config"
)

// A program of somebody else's, in a folder of its own, with nothing but the SDK: it hosts a domain, sends, waits until the email
// is delivered, and gets a problem that it can branch on when the sender is wrong.
func TestAProgramOutsideTheTreeSendsWithTheGoSDK(t *testing.T) {
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t), "--seed", "none")
	program := buildOutside(t)
	send := func(from string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, "-domain", "shop.test", "-from", from, "-to", "someone@elsewhere.test")
		cmd.Env = append(config.Environ(), "MAILSERVER_API_URL="+s.APIURL, "MAILSERVER_API_KEY="+s.APIKey)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, round := range []string{"first", "again"} {
		out, err := send("shop@shop.test")
		if err != nil {
			t.Fatalf("%s: %v\n%s", round, err, out)
		}
		for _, want := range []string{"domain shop.test verified\n", "accepted eml_", "event email.accepted\n", "event email.delivered\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: the program did not say %q:\n%s", round, want, out)
			}
		}
	}
	out, err := send("shop@not-hosted.test")
	if exitCode(err) != 1 || !strings.Contains(out, "problem sender-not-verified: ") || !strings.Contains(out, "\nfield body.from\n") || !strings.Contains(out, "\nrequest req_") {
		t.Errorf("a wrong sender: %v\n%s", err, out)
	}
}

// buildOutside copies sdk/examples/send-go out of the tree and builds it there. Only the SDK is taken from the tree.
func buildOutside(t *testing.T) string {
	t.Helper()
	sdk, err := filepath.Abs("../../../sdk/go")
	if err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.CopyFS(outside, os.DirFS("../../../sdk/examples/send-go")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mod", "edit", "-replace=github.com/mailserver-dev/mailserver/sdk/go=" + sdk},
		{"vet", "./..."},
		{"build", "-o", "send-go", "."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = outside
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return filepath.Join(outside, "send-go")
}

// Who runs a server administers it from the same folder without looking for a key.
func TestTheCommandLineFindsTheServerBesideIt(t *testing.T) {
	dir, ports := t.TempDir(), freePorts(t)
	openUp(t, dir)
	s := start(t, dir, ports, "--seed", "none")
	if out := s.shell(t, binary(t)+" domain list"); !strings.Contains(out, "demo.test  verified") {
		t.Errorf("domain list says\n%s", out)
	}
	if out := s.shell(t, binary(t)+" user list --json"); !strings.HasPrefix(out, "{") || !strings.Contains(out, `"alice@demo.test"`) {
		t.Errorf("user list --json says\n%s", out)
	}
	elsewhere := t.TempDir()
	out, err := s.tryShell(t, "cd "+elsewhere+" && "+binary(t)+" domain list --data .")
	if exitCode(err) != 3 || !strings.Contains(out, "MAILSERVER_API_URL") {
		t.Errorf("without a server: %v\n%s", err, out)
	}
	// A server that was killed leaves everything behind but its lock, and its port may be anybody's by now.
	s.kill(t)
	out, err = s.tryShell(t, binary(t)+" domain list")
	if exitCode(err) != 3 || !strings.Contains(out, `.run is not running; start it with "make run"`) {
		t.Errorf("after kill -9: %v\n%s", err, out)
	}
	again := start(t, dir, ports, "--seed", "none")
	production := "export MAILSERVER_API_URL=http://127.0.0.1:1 MAILSERVER_API_KEY=x; "
	if out := again.shell(t, production+binary(t)+" domain list --data .run"); !strings.Contains(out, "demo.test  verified") {
		t.Errorf("after the next start domain list says\n%s", out)
	}
}
