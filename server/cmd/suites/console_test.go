package main

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestCountsOfBrowserTests(t *testing.T) {
	t.Parallel()
	const whole = "the browser tests as a whole"
	spec := func(title, test string) string { return `{"title":"` + title + `","tests":[` + test + `]}` }
	report := func(specs ...string) string {
		return `{"suites":[{"title":"a.spec.ts","specs":[` + strings.Join(specs, ",") + `]}],"errors":[]}`
	}
	const passed = `{"projectName":"","status":"expected","results":[{"status":"passed","errors":[]}]}`
	for name, c := range map[string]struct {
		report          string
		err             error
		passed, skipped int
		failed          []string
		said            string // somewhere in the output of the first failure
	}{
		"all well": {report: report(spec("x", passed), spec("y", passed)), passed: 2},
		"a failure with its output": {
			report: report(spec("x", passed), spec("y", `{"status":"unexpected","results":[{"errors":[{"message":"\u001b[31mError\u001b[39m: no\nhere"}]}]}`)),
			err:    errors.New("exit status 1"), passed: 1, failed: []string{"a.spec.ts: y"}, said: "Error: no|here",
		},
		"tests in a group": {report: `{"suites":[{"title":"a.spec.ts","suites":[{"title":"group","specs":[` + spec("x", passed) + `]}]}]}`, passed: 1},
		"passed at the second try": {
			report: report(spec("x", `{"status":"flaky","results":[{"errors":[{"message":"first"}]},{"errors":[]}]}`)),
			failed: []string{"a.spec.ts: x"}, said: "first",
		},
		"a skip with a reason":    {report: report(spec("x", passed), spec("y", `{"status":"skipped","annotations":[{"type":"skip","description":"needs a camera"}]}`)), passed: 1, skipped: 1},
		"a skip without a reason": {report: report(spec("x", `{"status":"skipped","annotations":[]}`)), failed: []string{"a.spec.ts: x"}, said: "without a reason"},
		"a file that does not load": {
			report: `{"suites":[],"errors":[{"message":"SyntaxError: x"}]}`, err: errors.New("exit status 1"), failed: []string{whole}, said: "SyntaxError",
		},
		"it failed and no test says why": {report: report(spec("x", passed)), err: errors.New("exit status 1"), passed: 1, failed: []string{whole}, said: "the end of its output|exit status 1"},
		"no test at all":                 {report: `{"suites":[]}`, failed: []string{whole}, said: "no test ran"},
		"no report":                      {report: "x", failed: []string{whole}, said: "read the report"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r result
			countPlaywright([]byte(c.report), &r, c.err, []string{"the end of its output"})
			if r.passed != c.passed || r.skipped != c.skipped || !slices.Equal(names(r.failures), c.failed) {
				t.Fatalf("got %d passed, %d skipped, failed %q; want %d, %d, %q", r.passed, r.skipped, names(r.failures), c.passed, c.skipped, c.failed)
			}
			if c.said != "" && !strings.Contains(strings.Join(r.failures[0].output, "|"), c.said) {
				t.Errorf("the failure shows %q, want %q in it", r.failures[0].output, c.said)
			}
		})
	}
}

func TestABrowserIsFoundByTheNamesItHas(t *testing.T) {
	t.Parallel()
	machine := func(programs ...string) func(string) (string, error) {
		return func(name string) (string, error) {
			if slices.Contains(programs, name) {
				return "/usr/bin/" + name, nil
			}
			return "", exec.ErrNotFound
		}
	}
	env := func(chosen string) func(string) string {
		return func(name string) string { return map[string]string{"CHROMIUM": chosen}[name] }
	}
	for name, c := range map[string]struct {
		chosen   string
		programs []string
		want     string
	}{
		"Debian's":          {"", []string{"chromium"}, "/usr/bin/chromium"},
		"Chromium first":    {"", []string{"google-chrome", "chromium-browser"}, "/usr/bin/chromium-browser"},
		"Google's":          {"", []string{"google-chrome-stable"}, "/usr/bin/google-chrome-stable"},
		"another":           {"special", []string{"chromium", "special"}, "/usr/bin/special"},
		"another, mistyped": {"special", []string{"chromium"}, ""},
		"none":              {"", nil, ""},
	} {
		if got := findBrowser(env(c.chosen), machine(c.programs...)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCountsOfVitest(t *testing.T) {
	t.Parallel()
	report := &tapReport{}
	for line := range strings.Lines(`TAP version 13
1..3
ok 1 - src/format.test.ts > a size is short # time=2.81ms
not ok 2 - src/format.test.ts > a time is relative # time=3.10ms
    ---
    error:
        name: "AssertionError"
    ...
ok 3 - src/format.test.ts > later # SKIP
`) {
		report.add(strings.TrimSuffix(line, "\n"))
	}
	var r result
	report.finish(&r, errors.New("exit status 1"))
	if r.passed != 1 || len(r.failures) != 2 || r.failures[1].name != "src/format.test.ts > a time is relative" {
		t.Fatalf("%d passed, failed %q", r.passed, names(r.failures))
	}
	if !strings.Contains(strings.Join(r.failures[1].output, "|"), "AssertionError") {
		t.Errorf("the failure shows %q", r.failures[1].output)
	}
}
