package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"
)

const (
	linter      = ".bin/golangci-lint"
	server      = "bin/mailserver"
	contract    = "openapi/openapi.yaml"
	redocly     = "openapi/node_modules/.bin/redocly"
	archPackage = "./server/archtest"
	e2ePackages = "./server/testenv/e2e/..."
	// wholePackage holds the test of a whole server, which runs as a normal user and as root.
	wholePackage = "./server/testenv"
)

// plan returns every suite in the order they run: the quick ones first. On an idle machine with two cores all of them together
// have 25 minutes; the times here are what each may take on a loaded one.
func plan() []suite {
	return []suite{
		{"format", "gofumpt and import order of every Go file", 3 * time.Minute, checkFormat},
		{"build", "bin/mailserver builds", 8 * time.Minute, checkBuild},
		{"generated", "the API contract and the SDKs are current, and the contract lints with zero warnings", 5 * time.Minute, checkGenerated},
		{"arch", "the import table of server/archtest", 3 * time.Minute, func(ctx context.Context, r *recorder) {
			r.goTest(ctx, archPackage)
		}},
		{"sdk-go", "the Go SDK: vet, lint, tests under the race detector", 5 * time.Minute, testGoSDK},
		{"sdk-ts", "the TypeScript SDK compiles, builds and keeps its promises", 4 * time.Minute, testTypeScript},
		{"console", "the console: Biome, TypeScript, unit tests, build, size", 5 * time.Minute, testConsole},
		{"lint", "golangci-lint", 10 * time.Minute, func(ctx context.Context, r *recorder) {
			r.check(ctx, "golangci-lint", linter, "run", "--color=never", "./...")
		}},
		{"go", "every Go test, against a real PostgreSQL", 15 * time.Minute, testGo},
		{"race", "mailbox, imapd, outbound, bus and limit under the race detector", 12 * time.Minute, testRace},
		{"whole-user", "a whole server as a normal user", 5 * time.Minute, func(ctx context.Context, r *recorder) {
			testWhole(ctx, r, false)
		}},
		{"whole-root", "a whole server as root", 5 * time.Minute, func(ctx context.Context, r *recorder) {
			testWhole(ctx, r, true)
		}},
		{"e2e", "curl, swaks, mbsync and the TypeScript SDK against bin/mailserver", 8 * time.Minute, testE2E},
		{"browser", "the console of bin/mailserver in Chromium", 6 * time.Minute, testBrowser},
		{"kill", "60 seconds of kills under load, and nothing acknowledged is lost", 6 * time.Minute, testKill},
	}
}

// goFiles lists the Go files of the repository, new ones included and ignored ones not.
func goFiles(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "-c", "safe.directory=*",
		"ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.go").Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of the repository: %w", err)
	}
	var files []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if _, err := os.Stat(name); err == nil && !strings.HasPrefix(name, "sdk/") {
			files = append(files, name)
		}
	}
	return files, nil
}

// checkFormat names every file that is not formatted; the log has the differences.
func checkFormat(ctx context.Context, r *recorder) {
	files, err := goFiles(ctx)
	if err != nil || len(files) == 0 {
		r.fail("format", []string{fmt.Sprintf("no Go file found: %v", err)})
		return
	}
	var wrong, tail []string
	err = lines(prepared(ctx, linter, append([]string{"fmt", "--diff"}, files...)...), func(line string) {
		fmt.Fprintln(r.log, line)
		tail = keep(tail, line)
		if names := strings.Fields(line); len(names) == 3 && names[0] == "diff" {
			wrong = append(wrong, names[2])
		}
	})
	switch {
	case len(wrong) > 0:
		r.fail(fmt.Sprintf("%d files are not formatted", len(wrong)), append(wrong, "`make fmt` puts this right"))
	case err != nil:
		r.fail("the formatter", append(tail, err.Error()))
	default:
		r.pass()
	}
}

func checkBuild(ctx context.Context, r *recorder) {
	r.check(ctx, "bin/mailserver", "make", "--no-print-directory", "build")
}

func checkGenerated(ctx context.Context, r *recorder) {
	compareContract(ctx, r)
	compareGoSDK(ctx, r)
	compareTypeScript(ctx, r)
	lintContract(ctx, r)
}

// compareContract fails when the code describes another API than the committed document.
func compareContract(ctx context.Context, r *recorder) {
	const name = contract + " is what the code says"
	committed, err := os.ReadFile(contract)
	if err != nil {
		r.fail(name, []string{err.Error()})
		return
	}
	var stderr bytes.Buffer
	cmd := prepared(ctx, server, "openapi")
	cmd.Stderr = &stderr
	written, err := cmd.Output()
	switch {
	case err != nil:
		r.fail(name, []string{strings.TrimSpace(stderr.String()), server + " openapi: " + err.Error()})
	case !bytes.Equal(committed, written):
		r.fail(name, append(firstDifference(string(committed), string(written)), "`make gen` writes it anew"))
	default:
		r.pass()
	}
}

// firstDifference shows the first line in which two documents differ.
func firstDifference(committed, written string) []string {
	old, fresh := strings.Split(committed, "\n"), strings.Split(written, "\n")
	n := 0
	for n < len(old) && n < len(fresh) && old[n] == fresh[n] {
		n++
	}
	line := func(text []string) string {
		if n < len(text) {
			return text[n]
		}
		return "(the document ends)"
	}
	return []string{fmt.Sprintf("line %d", n+1), "committed: " + line(old), "the code:  " + line(fresh)}
}

// lintContract runs Redocly and wants neither errors nor warnings.
func lintContract(ctx context.Context, r *recorder) {
	const name = contract + " lints with zero warnings"
	var stderr bytes.Buffer
	cmd := prepared(ctx, redocly, "lint", contract, "--config", "openapi/redocly.yaml", "--format=json", "--max-problems=1000")
	cmd.Env = append(cmd.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	fmt.Fprintf(r.log, "%s%s\n", stderr.String(), out)
	problems, parseErr := redoclyProblems(out)
	switch {
	case parseErr != nil:
		r.fail(name, []string{stderr.String(), fmt.Sprintf("redocly: %v, %v", err, parseErr)})
	case len(problems) > 0:
		r.fail(name, problems)
	case err != nil:
		r.fail(name, []string{stderr.String(), err.Error()})
	default:
		r.pass()
	}
}

// redoclyProblems reads Redocly's JSON report into one line per problem.
func redoclyProblems(out []byte) ([]string, error) {
	var report struct {
		Totals *struct {
			Errors   int `json:"errors"`
			Warnings int `json:"warnings"`
		} `json:"totals"`
		Problems []struct {
			Rule     string `json:"ruleid"`
			Severity string `json:"severity"`
			Message  string `json:"message"`
			Location []struct {
				Pointer string `json:"pointer"`
			} `json:"location"`
		} `json:"problems"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("read its report: %w", err)
	}
	if report.Totals == nil {
		return nil, fmt.Errorf("its report has no totals: %.200s", out)
	}
	var problems []string
	for _, p := range report.Problems {
		where := ""
		if len(p.Location) > 0 {
			where = p.Location[0].Pointer
		}
		problems = append(problems, fmt.Sprintf("%s %s: %s %s", p.Severity, p.Rule, p.Message, where))
	}
	if n := report.Totals.Errors + report.Totals.Warnings; n > 0 && len(problems) == 0 {
		problems = append(problems, fmt.Sprintf("%d problems, none of them shown", n))
	}
	return problems, nil
}

// testGo runs all packages but those that are suites of their own.
func testGo(ctx context.Context, r *recorder) {
	out, err := exec.CommandContext(ctx, "go", "list", "-e", "./...").Output()
	if err != nil {
		r.fail("go list", []string{err.Error()})
		return
	}
	own := map[string]bool{
		modulePath + strings.TrimPrefix(archPackage, "."):  true,
		modulePath + strings.TrimPrefix(wholePackage, "."): true,
	}
	args := []string{"-p", "2", "-timeout", "10m"}
	for name := range strings.FieldsSeq(string(out)) {
		if !own[name] {
			args = append(args, name)
		}
	}
	r.goTest(ctx, args...)
}

// testRace runs the packages where goroutines share state.
func testRace(ctx context.Context, r *recorder) {
	if _, err := exec.LookPath("gcc"); err != nil {
		r.skip("the race detector needs a C compiler: apt-get install -y gcc libc6-dev")
		return
	}
	args := []string{"-race", "-p", "2", "-timeout", "10m"}
	for _, name := range []string{"mailbox", "imapd", "outbound", "bus", "limit"} {
		if dir := path.Join("server", name); isDir(dir) {
			args = append(args, "./"+dir+"/...")
		}
	}
	if !strings.HasPrefix(args[len(args)-1], "./") {
		r.fail("race", []string{"none of the packages is there: run the suites from the root of the repository"})
		return
	}
	cmd := prepared(ctx, "go", append([]string{"test", "-json", "-vet=off"}, args...)...)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1")
	r.goStream(cmd)
}

// testE2E runs the real clients; without one of them there is nothing to run.
func testE2E(ctx context.Context, r *recorder) {
	if missing := missingPackages(exec.LookPath); len(missing) > 0 {
		r.skip("a client is missing: apt-get install -y " + strings.Join(missing, " "))
		return
	}
	r.goTest(ctx, "-tags", "e2e", "-count=1", "-p", "1", "-timeout", "7m", e2ePackages)
}

// missingPackages names the Debian packages of the clients that are not on PATH.
func missingPackages(look func(string) (string, error)) []string {
	var missing []string
	for _, client := range []struct{ program, debian string }{{"curl", "curl"}, {"swaks", "swaks"}, {"mbsync", "isync"}} {
		if _, err := look(client.program); err != nil {
			missing = append(missing, client.debian)
		}
	}
	return missing
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
