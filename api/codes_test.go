package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

// Codes of the mail protocols, which no operation of the API can answer with.
var elsewhere = []string{"relaying-denied", "mail-loop", "mailbox-disabled", "domain-disabled", "message-rejected", "no-such-user", "invalid-limit"}

func TestEveryCodeOfTheServicesIsExplainedAndEveryExplainedCodeExists(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	literal := regexp.MustCompile(`"([a-z]+(?:[-_][a-z]+)*)"`)
	faults := regexp.MustCompile(`fault\.(?:New|Wrap)\((?:[a-z]+, )?fault\.[A-Za-z]+,\s*"([a-z]+(?:[-_][a-z]+)*)"`)
	for _, dir := range []string{".", "account", "body", "domain", "event", "idem", "inbound", "limit", "mailbox", "outbound", "pg"} {
		if dir != "." {
			dir = filepath.Join("../server", dir)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "codes.go" {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range literal.FindAllStringSubmatch(string(source), -1) {
				given[m[1]] = true
			}
			for _, m := range faults.FindAllStringSubmatch(string(source), -1) {
				if !slices.Contains(elsewhere, m[1]) && !slices.ContainsFunc(api.Codes(), func(c api.Code) bool { return c.Code == m[1] }) {
					t.Errorf("%s gives the code %s, which is not explained", file, m[1])
				}
			}
		}
	}
	for _, c := range api.Codes() {
		if !given[c.Code] {
			t.Errorf("the code %s is explained, and nothing gives it", c.Code)
		}
		if c.Text == "" || c.Next == "" || http.StatusText(c.Status) == "" {
			t.Errorf("the code %s is not explained whole: %+v", c.Code, c)
		}
	}
}
