//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// typescriptProject is a program's folder outside the tree, with the packed SDK installed in it. It needs no registry: the
// package depends on nothing.
type typescriptProject struct{ dir, sdk string }

func newTypescriptProject(t *testing.T, s *server) typescriptProject {
	t.Helper()
	sdk, err := filepath.Abs("../../../sdk/typescript")
	if err != nil {
		t.Fatal(err)
	}
	p := typescriptProject{dir: filepath.Join(s.dir, "project"), sdk: sdk}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.dir, "package.json"), `{"name":"project","private":true,"type":"module"}`)
	s.shell(t, fmt.Sprintf("cd '%s' && npm pack --silent --pack-destination '%s'", sdk, p.dir))
	s.shell(t, fmt.Sprintf("cd '%s' && npm install --silent --offline --no-audit --no-fund ./mailserver-dev-sdk-*.tgz", p.dir))
	return p
}

// run compiles a program as strictly as the compiler can, runs it against the server and gives what it printed.
func (p typescriptProject) run(t *testing.T, s *server, name, program string) string {
	t.Helper()
	write(t, filepath.Join(p.dir, name+".ts"), program)
	s.shell(t, fmt.Sprintf("cd '%s' && node '%s/node_modules/typescript7/bin/tsc' --strict --target es2022 --module nodenext --types node --typeRoots '%s/node_modules/@types' %s.ts",
		p.dir, p.sdk, p.sdk, name))
	return s.shell(t, fmt.Sprintf("cd '%s' && MAILSERVER_API_URL='%s' MAILSERVER_API_KEY='%s' node %s.js", p.dir, s.APIURL, s.APIKey, name))
}

func TestAProgramOutsideTheTreeProvisionsAndSendsWithTheTypeScriptSDK(t *testing.T) {
	need(t, "npm", "npm")
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t), "--seed", "none")
	p := newTypescriptProject(t, s)
	program, err := os.ReadFile("testdata/sdk.ts")
	if err != nil {
		t.Fatal(err)
	}
	want := `refused: 422 sender-not-verified true
domain: example.test verified true
unchanged: true true
users: a@example.test b@example.test c@example.test
delivered: a@example.test customer@elsewhere.test
sent: true delivered 2 true
`
	if got := p.run(t, s, "program", string(program)); got != want {
		t.Errorf("the program printed\n%s\nwant\n%s", got, want)
	}
	example := readmeExample(t, filepath.Join(p.sdk, "README.md"))
	if got := p.run(t, s, "readme", example); !strings.HasPrefix(got, "delivered [") {
		t.Errorf("the example of the README printed\n%s", got)
	}
}

// readmeExample takes the first TypeScript block of a README, verbatim.
func readmeExample(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```ts\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("%s has no TypeScript in it", path)
	}
	return string(block[1])
}
