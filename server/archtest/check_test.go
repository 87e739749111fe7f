package archtest_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mailserver-dev/mailserver/server/archtest"
)

// tree makes a source tree in memory: directory to the import paths of its one file; "~" stands for our own module.
func tree(dirs map[string][]string) fstest.MapFS {
	files := fstest.MapFS{"go.mod": {Data: []byte("module " + archtest.Module + "\n")}}
	for dir, imports := range dirs {
		files[dir+"/x.go"] = source(imports)
	}
	return files
}

func source(imports []string) *fstest.MapFile {
	var text strings.Builder
	text.WriteString("package x\n")
	for _, name := range imports {
		text.WriteString("import _ \"" + strings.Replace(name, "~", archtest.Module, 1) + "\"\n")
	}
	return &fstest.MapFile{Data: []byte(text.String())}
}

func check(t *testing.T, files fstest.MapFS) []string {
	t.Helper()
	breaches, err := archtest.Check(files, archtest.Module, archtest.Table())
	if err != nil {
		t.Fatal(err)
	}
	return breaches
}

func TestPlantedFaultsAreReported(t *testing.T) {
	t.Parallel()
	for _, planted := range []struct{ name, dir, imports, want string }{
		{"an edge imports another edge", "api", "~/server/smtpd", "beside it on tier 4"},
		{"a room of an edge imports another edge", "server/imapd/imapwire", "~/server/smtpd", "beside it on tier 4"},
		{"the API reaches the database", "api", "~/server/pg", "never does"},
		{"a daemon reaches the bodies", "server/smtpd", "~/server/body", "never does"},
		{"a daemon reaches the queue", "server/imapd", "~/server/queue", "never does"},
		{"the workers reach the database", "server/jobs", "~/server/pg", "never does"},
		{"the private database counts as database", "server/webd", "~/server/pg/local", "never does"},
		{"a low package looks up", "server/mailbox", "~/server/inbound", "never looks up"},
		{"departure imports arrival", "server/outbound", "~/server/inbound", "beside it on tier 3"},
		{"a filter imports the mailbox", "server/filter", "~/server/mailbox", "beside it on tier 2"},
		{"the database imports the queue", "server/pg", "~/server/queue", "beside it on tier 1"},
		{"words import an error kind", "server/mail", "~/server/fault", "beside it on tier 0"},
		{"words import a library", "server/mail", "github.com/google/uuid", "standard library only"},
		{"pgx in an edge", "server/imapd", "github.com/jackc/pgx/v5", "belongs to"},
		{"pgx in the wiring", "server/app", "github.com/jackc/pgx/v5/pgxpool", "belongs to"},
		{"River in an edge", "server/imapd", "github.com/riverqueue/river", "belongs to"},
		{"River in a domain", "server/mailbox", "github.com/riverqueue/river/rivertype", "belongs to"},
		{"huma outside the API", "server/webd", "github.com/danielgtaylor/huma/v2", "belongs to"},
		{"go-smtp in the other half of departure", "server/outbound", "github.com/emersion/go-smtp", "belongs to"},
		{"go-imap in the mailbox", "server/mailbox", "github.com/emersion/go-imap/v2", "belongs to"},
		{"tokens in the API", "api", "github.com/golang-jwt/jwt/v5", "belongs to"},
		{"the server is its own client", "server/jobs", "~/sdk/go", "belongs to"},
		{"the program carries the test database", "server/app", "~/server/pgtest", "exists for tests"},
		{"the program carries the test network", "server/cmd/mailserver", "~/server/testenv", "exists for tests"},
		{"a package without a tier", "server/util", "fmt", "has no tier"},
		{"a package beside server", "tools", "fmt", "has no tier"},
	} {
		t.Run(planted.name, func(t *testing.T) {
			t.Parallel()
			breaches := check(t, tree(map[string][]string{planted.dir: {planted.imports}}))
			if len(breaches) != 1 || !strings.HasPrefix(breaches[0], planted.dir) || !strings.Contains(breaches[0], planted.want) {
				t.Errorf("%s importing %s: got %q, want one breach saying %q", planted.dir, planted.imports, breaches, planted.want)
			}
		})
	}
}

func TestTheJourneyIsAllowed(t *testing.T) {
	t.Parallel()
	breaches := check(t, tree(map[string][]string{
		"server/pg":                {"~/server/mail", "~/server/clock", "~/server/obs", "github.com/jackc/pgx/v5"},
		"server/pg/local":          {"~/server/pg", "~/server/config"},
		"server/pgtest":            {"~/server/schema", "~/server/pg", "~/server/pg/local", "~/migrations"},
		"server/queue":             {"~/server/pg", "github.com/riverqueue/river"},
		"server/mailbox":           {"~/server/filter", "~/server/event", "~/server/body", "~/server/bus"},
		"server/inbound":           {"~/server/outbound", "~/server/inbound/check", "~/server/mailbox"},
		"server/inbound/check":     {"~/server/dns", "github.com/emersion/go-msgauth/dkim"},
		"server/outbound/smtpout":  {"~/server/dns", "github.com/emersion/go-smtp"},
		"server/smtpd":             {"~/server/inbound", "~/server/outbound", "github.com/emersion/go-smtp"},
		"server/imapd":             {"~/server/mailbox", "~/server/imapd/imapwire"},
		"server/imapd/imapwire":    {"github.com/emersion/go-imap/v2"},
		"server/jobs":              {"~/server/queue", "~/server/outbound", "github.com/riverqueue/river"},
		"api":                      {"~/server/account", "~/server/outbound", "~/openapi", "github.com/danielgtaylor/huma/v2"},
		"server/app":               {"~/api", "~/server/smtpd", "~/server/pg/local", "~/server/schema"},
		"server/testenv":           {"~/server/app", "~/server/pgtest", "github.com/emersion/go-imap/v2/imapclient"},
		"server/cmd/mailserver":    {"~/server/app", "~/sdk/go", "github.com/alecthomas/kong"},
		"server/cmd/chaos":         {"~/server/testenv", "github.com/emersion/go-smtp"},
		"server/cmd/suites":        {"go/parser"},
		"server/testenv/e2e/inner": {"~/server/testenv"},
	}))
	if len(breaches) != 0 {
		t.Errorf("allowed imports were reported: %q", breaches)
	}
}

func TestTestsAndOtherModulesAreNotLookedAt(t *testing.T) {
	t.Parallel()
	files := tree(map[string][]string{"server/mail": {"fmt"}})
	forbidden := source([]string{"~/server/pg", "github.com/jackc/pgx/v5"})
	files["server/mail/x_test.go"] = forbidden
	files["sdk/go/go.mod"] = &fstest.MapFile{Data: []byte("module x\n")}
	files["sdk/go/client.go"] = forbidden
	files["console/node_modules/a/a.go"] = forbidden
	files["server/mail/testdata/a.go"] = forbidden
	files[".run/a.go"] = forbidden
	if breaches := check(t, files); len(breaches) != 0 {
		t.Errorf("got %q, want nothing", breaches)
	}
}

func TestAPackageOfTestsAloneNeedsATierToo(t *testing.T) {
	t.Parallel()
	files := tree(nil)
	files["server/lonely/x_test.go"] = source([]string{"testing"})
	if breaches := check(t, files); len(breaches) != 1 || !strings.Contains(breaches[0], "server/lonely has no tier") {
		t.Errorf("got %q, want server/lonely reported", breaches)
	}
}

func TestAFileThatDoesNotParseIsAnError(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"server/mail/x.go": {Data: []byte("package mail\nimport \"fmt\n")}}
	if _, err := archtest.Check(files, archtest.Module, archtest.Table()); err == nil || !strings.Contains(err.Error(), "server/mail/x.go") {
		t.Errorf("got %v, want an error naming the file", err)
	}
}

func TestTheTableIsSound(t *testing.T) {
	t.Parallel()
	table := archtest.Table()
	tier := map[string]int{}
	for height, names := range table.Tiers {
		for _, name := range names {
			if _, twice := tier[name]; twice {
				t.Errorf("%s stands in the table twice", name)
			}
			tier[name] = height
		}
	}
	for from, list := range table.Arrows {
		for _, to := range list {
			if height, ok := tier[to]; !ok || height != tier[from] {
				t.Errorf("the arrow %s → %s does not stay on one tier", from, to)
			}
			if slices.Contains(table.Arrows[to], from) {
				t.Errorf("the arrows between %s and %s make a circle", from, to)
			}
		}
	}
	for _, forbidden := range []map[string][]string{table.Never, table.Only} {
		for from, list := range forbidden {
			for _, name := range append(slices.Clone(list), from) {
				if _, ok := tier[name]; !ok {
					t.Errorf("%s is forbidden or allowed something but has no tier", name)
				}
			}
		}
	}
}
