//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkout is the root of the tree, seen from this package.
const checkout = "../../.."

// readme is README.md of the checkout, verbatim.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readmeBlock takes the only fenced block of a language below a heading of README.md, up to the next heading of any level.
func readmeBlock(t *testing.T, heading, language string) string {
	t.Helper()
	_, section, found := strings.Cut(readme(t), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no heading %q", heading)
	}
	// A heading begins with # in column one, which in a block of these languages nothing does.
	if end := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(section); end != nil {
		section = section[:end[0]]
	}
	blocks := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(section, -1)
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d blocks of %s below %q, want 1", len(blocks), language, heading)
	}
	return blocks[0][1]
}

// reader is somebody who types what README.md says about sending, in a checkout with a running development server.
type reader struct {
	*server
	first string // what is typed before everything else
}

// startReading makes a folder that looks like a checkout to the commands of the README and starts a server in it.
func startReading(t *testing.T) reader {
	t.Helper()
	need(t, "curl", "curl")
	dir := t.TempDir()
	openUp(t, dir)
	for _, name := range []string{"bin", "sdk"} {
		target, err := filepath.Abs(filepath.Join(checkout, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return reader{start(t, dir, freePorts(t), "--seed", "none"), readmeBlock(t, "## Sending", "sh")}
}

// types runs a block of the README in a folder below the checkout and gives what it printed.
func (r reader) types(t *testing.T, folder, block string) string {
	t.Helper()
	// The registry of npm must not decide about this test: the package depends on nothing.
	return r.shell(t, "set -e\n"+r.first+"export npm_config_offline=true\ncd '"+folder+"'\n"+block)
}

// folder makes a new folder with the reader's files in it.
func (r reader) folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	if err := os.Mkdir(filepath.Join(r.dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range files {
		write(t, filepath.Join(r.dir, name, file), content)
	}
	return name
}

// sentOnce fails unless exactly one email has the subject, and it was delivered.
func (r reader) sentOnce(t *testing.T, subject string) {
	t.Helper()
	var page struct {
		Items []struct {
			Subject, Status, From string
			Recipients            []struct{ Email, Status, Transport string }
		}
	}
	out := r.shell(t, r.first+`curl -s "$API/emails" -H "Authorization: Bearer $KEY"`)
	if err := json.Unmarshal([]byte(out), &page); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	found := 0
	for _, e := range page.Items {
		if e.Subject != subject {
			continue
		}
		found++
		if e.From != "app@demo.test" || e.Status != "delivered" || len(e.Recipients) != 1 || e.Recipients[0].Email != "customer@elsewhere.test" ||
			e.Recipients[0].Status != "delivered" || e.Recipients[0].Transport != "sink" {
			t.Errorf("%s: %+v", subject, e)
		}
	}
	if found != 1 {
		t.Errorf("%d emails are called %q, want 1:\n%s", found, subject, out)
	}
	kept := r.shell(t, r.first+`curl -s "$API/sink/messages" -H "Authorization: Bearer $KEY"`)
	if n := strings.Count(kept, `"`+subject+`"`); n != 1 {
		t.Errorf("the sink has %q %d times:\n%s", subject, n, kept)
	}
}

// What the README shows first is what people copy. Each of its programs sends, waits until the email is delivered, and sees the
// problem of a bad sender; run again, it sends nothing twice.
func TestTheExamplesOfTheREADMEDeliver(t *testing.T) {
	r := startReading(t)
	t.Run("curl", func(t *testing.T) {
		block := readmeBlock(t, "### curl", "sh")
		if n := len(regexp.MustCompile(`(?m)^(ID=|until |curl )`).FindAllString(block, -1)); n != 3 {
			t.Errorf("%d commands, want 3", n)
		}
		for range 2 {
			if got, want := r.types(t, ".", block), "email.delivered\n\"code\":\"sender-not-verified\"\n"; got != want {
				t.Errorf("the commands printed\n%s\nwant\n%s", got, want)
			}
		}
		r.sentOnce(t, "Receipt 42")
	})
	t.Run("Go", func(t *testing.T) {
		r.runGo(t, readmeBlock(t, "### Go", "go"), readmeBlock(t, "### Go", "sh"))
		r.sentOnce(t, "Receipt 43")
	})
	t.Run("TypeScript", func(t *testing.T) {
		need(t, "npm", "npm")
		r.runTypeScript(t, readmeBlock(t, "### TypeScript", "ts"), readmeBlock(t, "### TypeScript", "sh"))
		r.sentOnce(t, "Receipt 44")
	})
}

func (r reader) runGo(t *testing.T, program, commands string) {
	t.Helper()
	atMostLines(t, program, 30)
	// The checksums are those of the example in the tree, so that no other server is asked for them.
	sums, err := os.ReadFile(filepath.Join(checkout, "sdk/examples/send-go/go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	folder := r.folder(t, "receipt-go", map[string]string{"main.go": program, "go.sum": string(sums)})
	out := r.types(t, folder, commands)
	out += r.types(t, folder, "go vet ./...\ngo run .\n")
	if strings.Count(out, " delivered 250 ") != 2 || strings.Count(out, " refused: 422 sender-not-verified: ") != 2 {
		t.Errorf("the program printed\n%s", out)
	}
	if out := r.types(t, folder, "gofmt -l ."); out != "" {
		t.Errorf("gofmt would change %s", out)
	}
}

func (r reader) runTypeScript(t *testing.T, program, commands string) {
	t.Helper()
	atMostLines(t, program, 20)
	folder := r.folder(t, "receipt-ts", map[string]string{"receipt.mjs": program})
	want := "delivered 250 2.0.0 kept by the sink\nrefused: sender-not-verified "
	if out := r.types(t, folder, commands); !strings.Contains(out, want) {
		t.Errorf("the program printed\n%s", out)
	}
	r.types(t, folder, "npm pkg set type=module")
	sdk, err := filepath.Abs(filepath.Join(checkout, "sdk/typescript"))
	if err != nil {
		t.Fatal(err)
	}
	strict := typescriptProject{dir: filepath.Join(r.dir, folder), sdk: sdk}
	if out := strict.run(t, r.server, "strict", program); !strings.HasPrefix(out, want) {
		t.Errorf("compiled, the program printed\n%s", out)
	}
}

func atMostLines(t *testing.T, program string, most int) {
	t.Helper()
	if n := strings.Count(program, "\n"); n > most {
		t.Errorf("the program has %d lines, which is more than %d", n, most)
	}
}

// The commands for the queue, the DNS and the keys need no key to be looked up and no mail to wait.
func TestTheManagementCommandsOfTheREADMERun(t *testing.T) {
	r := startReading(t)
	commands := readmeBlock(t, "### The queue", "sh")
	for _, typed := range []string{commands, r.first + commands} { // in a fresh terminal, and in that of the examples
		out := r.shell(t, "set -e\n"+typed)
		for _, want := range []string{"STATUS  RECIPIENT", "DESTINATION  STATE", "state        held\n", "state        idle\n", "v=DKIM1; k=rsa; p=", "ed25519    active", "rsa2048    active"} {
			if !strings.Contains(out, want) {
				t.Errorf("the commands did not print %q:\n%s", want, out)
			}
		}
	}
}

// A claim of the README names the test that shows it: one that is gone or was called differently shows nothing.
func TestTheTestsThatTheREADMENamesExist(t *testing.T) {
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, dir := range []string{"api", "server", "sdk/go"} {
		err := filepath.WalkDir(filepath.Join(checkout, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range declared.FindAllSubmatch(text, -1) {
				there[string(name[1])] = true
			}
			if errors.Is(err, fs.ErrNotExist) { // somebody is editing
				return nil
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(readme(t), -1)
	if len(named) == 0 {
		t.Fatal("README.md names no test")
	}
	for _, name := range named {
		if !there[name[1]] {
			t.Errorf("there is no test %s", name[1])
		}
	}
}

// The settings that the README shows are those of the program.
func TestTheSettingsThatTheREADMENamesExist(t *testing.T) {
	s := &server{dir: t.TempDir()}
	known := strings.Fields(s.shell(t, binary(t)+" config"))
	// Only keys of groups: a name with a dot may also be a file.
	named := regexp.MustCompile("`((?:outbound|domains|dkim)\\.[a-z_.]+)").FindAllStringSubmatch(readme(t), -1)
	if len(named) < 10 {
		t.Fatalf("README.md names only %d settings", len(named))
	}
	for _, key := range named {
		if !slices.Contains(known, key[1]) {
			t.Errorf("there is no setting %s", key[1])
		}
	}
}
