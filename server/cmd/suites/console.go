package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	console = "console"
	// consoleTools is made when what builds and tests the console is installed.
	consoleTools = console + "/node_modules/.installed"
	// consoleStart is made when the console is built.
	consoleStart = console + "/dist/index.html"
	// browserReport is where Playwright writes what became of each test.
	browserReport = logDir + "/browser.json"
)

// testConsole checks the console without a server: its code, its unit tests, its build and how much of it travels.
func testConsole(ctx context.Context, r *recorder) {
	if !r.check(ctx, "its tools are installed", "make", "--no-print-directory", consoleTools) {
		return
	}
	r.check(ctx, "Biome and TypeScript 7 have nothing to say", "npm", "--prefix", console, "run", "--silent", "check")
	r.nodeTest(prepared(ctx, "npm", "--prefix", console, "run", "--silent", "test", "--", "--reporter=tap-flat"))
	if r.check(ctx, "it builds", "make", "--no-print-directory", consoleStart) {
		r.check(ctx, "it is small enough", "npm", "--prefix", console, "run", "--silent", "size")
	}
}

// testBrowser drives the console of bin/mailserver with a real browser; without one there is nothing to run.
func testBrowser(ctx context.Context, r *recorder) {
	browser := findBrowser(os.Getenv, exec.LookPath) //nolint:forbidigo // the suites know nothing of the server, its configuration included
	if browser == "" {
		r.skip("needs Chromium: apt-get install -y chromium fonts-liberation")
		return
	}
	if !r.check(ctx, "its tools are installed", "make", "--no-print-directory", consoleTools) {
		return
	}
	report, err := filepath.Abs(browserReport)
	if err == nil {
		err = forget(report)
	}
	if err != nil {
		r.fail("the report of an earlier run", []string{err.Error()})
		return
	}
	cmd := prepared(ctx, "npm", "--prefix", console, "run", "--silent", "e2e", "--", "--reporter=list,json")
	cmd.Env = append(cmd.Environ(), "CHROMIUM="+browser, "PLAYWRIGHT_JSON_OUTPUT_FILE="+report, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1")
	r.playwright(cmd, report)
}

// forget removes a file that may not be there.
func forget(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// findBrowser returns the Chromium of this machine, or "". The names are those of .ci/install-packages.sh.
func findBrowser(env func(string) string, look func(string) (string, error)) string {
	names := []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	}
	if chosen := env("CHROMIUM"); chosen != "" {
		names = []string{chosen}
	}
	for _, name := range names {
		if found, err := look(name); err == nil {
			return found
		}
	}
	return ""
}

// playwright runs a command that writes Playwright's JSON report and counts its tests.
func (r *recorder) playwright(cmd *exec.Cmd, report string) {
	var tail []string
	r.locked(func() {
		r.status = func() string { return strings.TrimSpace(strings.Join(tail[max(0, len(tail)-1):], "")) }
	})
	err := lines(cmd, func(line string) {
		r.locked(func() { tail = keep(tail, line) })
		fmt.Fprintln(r.log, line)
	})
	written, readErr := os.ReadFile(report)
	r.locked(func() {
		r.status = nil
		if readErr != nil {
			r.result.fail("the browser tests as a whole", append(tail, fmt.Sprint(err), readErr.Error()))
			return
		}
		countPlaywright(written, &r.result, err, tail)
	})
}

// playwrightSuite is a file or a describe block in Playwright's report.
type playwrightSuite struct {
	Title  string            `json:"title"`
	Suites []playwrightSuite `json:"suites"`
	Specs  []playwrightSpec  `json:"specs"`
}

// playwrightSpec is one test, with one entry in Tests for each project that ran it.
type playwrightSpec struct {
	Title string `json:"title"`
	Tests []struct {
		Status      string            `json:"status"` // expected, unexpected, flaky or skipped
		Annotations []playwrightLabel `json:"annotations"`
		Results     []struct {
			Errors []playwrightError `json:"errors"`
		} `json:"results"`
	} `json:"tests"`
}

type playwrightLabel struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

type playwrightError struct {
	Message string `json:"message"`
}

// countPlaywright counts the tests of a report. A run that failed without a test to blame, or had none, has failed; a test that
// passed at the second try has failed too.
func countPlaywright(report []byte, into *result, err error, tail []string) {
	var all struct {
		Suites []playwrightSuite `json:"suites"`
		Errors []playwrightError `json:"errors"`
	}
	before := into.passed + into.skipped + len(into.failures)
	failed := len(into.failures)
	if err := json.Unmarshal(report, &all); err != nil {
		into.fail("the browser tests as a whole", append(tail, "read the report: "+err.Error()))
		return
	}
	for _, e := range all.Errors {
		into.fail("the browser tests as a whole", plainLines(e.Message))
	}
	for _, s := range all.Suites {
		s.count(s.Title, into)
	}
	switch {
	case err != nil && len(into.failures) == failed:
		into.fail("the browser tests as a whole", append(tail, err.Error()))
	case into.passed+into.skipped+len(into.failures) == before:
		into.fail("the browser tests as a whole", append(tail, "no test ran"))
	}
}

func (s playwrightSuite) count(where string, into *result) {
	for _, spec := range s.Specs {
		spec.count(where, into)
	}
	for _, inner := range s.Suites {
		inner.count(where+" "+inner.Title, into)
	}
}

func (s playwrightSpec) count(where string, into *result) {
	name := where + ": " + s.Title
	for _, t := range s.Tests {
		switch t.Status {
		case "expected":
			into.passed++
		case "skipped":
			into.skip(name, skipLabel(t.Annotations))
		default:
			output := []string{t.Status}
			for _, attempt := range t.Results {
				for _, e := range attempt.Errors {
					output = append(output, plainLines(e.Message)...)
				}
			}
			into.fail(name, output)
		}
	}
}

func skipLabel(labels []playwrightLabel) string {
	for _, l := range labels {
		if l.Type == "skip" || l.Type == "fixme" {
			return l.Description
		}
	}
	return ""
}

// colours are the terminal's escape sequences.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// plainLines splits a message and takes the colours out of it.
func plainLines(message string) []string {
	var text []string
	for line := range strings.Lines(colours.ReplaceAllString(message, "")) {
		text = keep(text, strings.TrimSuffix(line, "\n"))
	}
	return text
}
