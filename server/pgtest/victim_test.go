package pgtest_test

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/pgtest"
)

var victim = flag.String("victim", "", "file to write before waiting for death")

// TestVictim is run by TestKilledTestProcessLeavesNothing in a process of its own.
func TestVictim(t *testing.T) {
	if *victim == "" {
		return
	}
	u, err := url.Parse(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(filepath.Dir(u.Query().Get("host")), "data")
	pidFile, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(pidFile), "\n")
	if err := os.WriteFile(*victim, []byte(pid+" "+data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-t.Context().Done()
}
