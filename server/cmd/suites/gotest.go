package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// keptLines is how many lines of one test's output are kept for the failure report.
const keptLines = 60

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action      string `json:"action"`
	Package     string `json:"package"`
	Test        string `json:"test"`
	Output      string `json:"output"`
	ImportPath  string `json:"importpath"`
	FailedBuild string `json:"failedbuild"`
}

// testState is what is known of one test, or of a whole package when its name is empty.
type testState struct {
	pkg, name string
	action    string // run, pass, fail or skip
	output    []string
	parent    bool // it has subtests, and they are counted instead
}

// goReport gathers a stream of `go test -json`. Not safe for concurrent use.
type goReport struct {
	tests    map[[2]string]*testState
	order    []*testState
	builds   map[string][]string // what the compiler said, by import path
	packages int                 // packages that ended
	stray    []string            // lines that were no JSON: what the go command itself had to say
}

func newGoReport() *goReport {
	return &goReport{tests: map[[2]string]*testState{}, builds: map[string][]string{}}
}

// add takes one line of the stream and returns the text in it, for the log.
func (r *goReport) add(line string) string {
	e, ok := parseEvent(line)
	if !ok {
		r.stray = keep(r.stray, line)
		return line + "\n"
	}
	switch e.Action {
	case "build-output":
		r.builds[e.ImportPath] = keep(r.builds[e.ImportPath], strings.TrimSuffix(e.Output, "\n"))
	case "output":
		r.output(e)
	case "run", "pass", "fail", "skip":
		r.state(e)
	}
	return e.Output
}

// parseEvent reads one line of `go test -json`; a line that is something else is reported by false.
func parseEvent(line string) (event, bool) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		return event{}, false
	}
	return e, e.Action != ""
}

func (r *goReport) test(e event) *testState {
	key := [2]string{e.Package, e.Test}
	t, ok := r.tests[key]
	if !ok {
		t = &testState{pkg: e.Package, name: e.Test, action: "run"}
		r.tests[key] = t
		r.order = append(r.order, t)
	}
	return t
}

func (r *goReport) output(e event) {
	text := strings.TrimSuffix(e.Output, "\n")
	if strings.HasPrefix(text, "=== ") {
		return
	}
	t := r.test(e)
	t.output = keep(t.output, text)
}

func (r *goReport) state(e event) {
	t := r.test(e)
	t.action = e.Action
	if e.Test == "" {
		r.packages++
		if e.FailedBuild != "" {
			t.output = append(slices.Clone(r.builds[e.FailedBuild]), t.output...)
		}
	}
	if e.Action == "pass" {
		t.output = nil
	}
	if cut := strings.LastIndexByte(e.Test, '/'); cut > 0 {
		r.test(event{Package: e.Package, Test: e.Test[:cut]}).parent = true
	}
}

// progress is the state of the run in one short line.
func (r *goReport) progress() string {
	var c result
	r.count(&c)
	return fmt.Sprintf("%d packages done, %d passed, %d failed, %d skipped", r.packages, c.passed, len(c.failures), c.skipped)
}

// count adds the outcome so far to a result, without the tests that still run.
func (r *goReport) count(into *result) {
	explained := r.explained()
	for _, t := range r.order {
		switch {
		case t.name == "":
		case t.action == "pass" && !t.parent:
			into.passed++
		case t.action == "skip" && !t.parent:
			into.skip(t.where(), skipReason(t.output))
		case t.action == "fail" && !explained[[2]string{t.pkg, t.name}]:
			into.fail(t.where(), t.output)
		}
	}
	r.countPackages(into, explained)
}

// explained returns the packages and the tests whose failure is that of a test inside them.
func (r *goReport) explained() map[[2]string]bool {
	all := map[[2]string]bool{}
	for _, t := range r.order {
		if t.action != "fail" || t.name == "" {
			continue
		}
		all[[2]string{t.pkg, ""}] = true
		if cut := strings.LastIndexByte(t.name, '/'); cut > 0 {
			all[[2]string{t.pkg, t.name[:cut]}] = true
		}
	}
	return all
}

// countPackages counts a package that failed though none of its tests did: it did not build, it panicked or ran out of time.
func (r *goReport) countPackages(into *result, explained map[[2]string]bool) {
	for _, t := range r.order {
		if t.name != "" || t.action != "fail" || explained[[2]string{t.pkg, ""}] {
			continue
		}
		output := t.output
		for _, other := range r.order {
			if other.pkg == t.pkg && other.name != "" && other.action == "run" {
				output = append(slices.Clone(other.output), output...)
			}
		}
		into.fail(t.where(), output)
	}
}

// finish counts everything after the stream has ended. A test that never ended counts as failed, and so does a command that
// failed without any test to blame.
func (r *goReport) finish(into *result, err error) {
	failedBefore := len(into.failures)
	r.count(into)
	failed := map[string]bool{}
	for _, t := range r.order {
		if t.name == "" && t.action == "fail" {
			failed[t.pkg] = true
		}
	}
	for _, t := range r.order {
		if t.action == "run" && t.name != "" && !t.parent && !failed[t.pkg] {
			into.fail(t.where(), append(slices.Clone(t.output), "the test never ended"))
		}
	}
	if err != nil && len(into.failures) == failedBefore {
		into.fail("the go command", append(slices.Clone(r.stray), err.Error()))
	}
}

// where names a test as a reader types it: package below the module, then the test.
func (t *testState) where() string {
	pkg := strings.TrimPrefix(t.pkg, modulePath+"/")
	if t.name == "" {
		return pkg
	}
	return pkg + " " + t.name
}

// skipReason finds the reason in the output of a skipped test: the text after file and line.
func skipReason(output []string) string {
	for _, line := range slices.Backward(output) {
		if found := skipLine.FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
	return ""
}

var skipLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.+)`)

// keep appends a line and lets the oldest go when there are too many.
func keep(lines []string, line string) []string {
	lines = append(lines, line)
	if len(lines) > keptLines {
		lines = lines[len(lines)-keptLines:]
	}
	return lines
}
