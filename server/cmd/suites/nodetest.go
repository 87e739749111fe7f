package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// tapReport gathers what `node --test --test-reporter=tap` prints, and `vitest run --reporter=tap-flat`, which has the time of a test
// behind its name (Test Anything Protocol 14). Only tests at the top count; the
// indented lines below one are what it says of itself. Not safe for concurrent use.
type tapReport struct {
	passed  int
	skipped []tapTest
	failed  []tapTest
	blamed  *tapTest // the failed test that the lines now belong to
	planned bool     // the plan was printed: the run came to its end
	stray   []string
}

type tapTest struct {
	name   string
	output []string
}

// tapLine is the result of one test, with its directive.
var tapLine = regexp.MustCompile(`^(ok|not ok) \d+ - (.*?)(?: # (?:time=[\d.]+m?s|(SKIP|TODO)\b ?(.*)))?$`)

// tapPlan says how many tests there were. Node prints it at the end, Vitest when it has run them all.
var tapPlan = regexp.MustCompile(`^1\.\.\d+$`)

func (t *tapReport) add(line string) {
	found := tapLine.FindStringSubmatch(line)
	switch {
	case found == nil && t.blamed != nil && strings.HasPrefix(line, " "):
		t.blamed.output = keep(t.blamed.output, strings.TrimPrefix(line, "  "))
	case found == nil:
		t.planned = t.planned || tapPlan.MatchString(line)
		t.stray = keep(t.stray, line)
	case found[1] == "not ok":
		t.failed = append(t.failed, tapTest{name: found[2]})
		t.blamed = &t.failed[len(t.failed)-1]
	case found[3] != "":
		t.skipped, t.blamed = append(t.skipped, tapTest{name: found[2], output: []string{found[4]}}), nil
	default:
		t.passed++
		t.blamed = nil
	}
}

// finish counts everything after the command has ended. One that failed without a test to blame, or ran none, has failed.
func (t *tapReport) finish(into *result, err error) {
	into.passed += t.passed
	for _, test := range t.skipped {
		into.skip(test.name, test.output[0])
	}
	for _, test := range t.failed {
		into.fail(test.name, test.output)
	}
	switch {
	case err != nil && len(t.failed) == 0:
		into.fail("the tests as a whole", append(t.stray, err.Error()))
	case err == nil && (!t.planned || t.passed+len(t.skipped) == 0):
		into.fail("the tests as a whole", append(t.stray, "no test ran to its end"))
	}
}

// nodeTest runs a command that prints the results of Node's test runner and counts its tests.
func (r *recorder) nodeTest(cmd *exec.Cmd) {
	report := &tapReport{}
	err := lines(cmd, func(line string) {
		fmt.Fprintln(r.log, line)
		report.add(line)
	})
	r.locked(func() { report.finish(&r.result, err) })
}
