package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestTheLastLineIsWhatProgramsRead(t *testing.T) {
	t.Parallel()
	good := result{name: "go", passed: 12, skipped: 1, reasons: map[string]int{"needs swaks": 1}}
	bad := result{name: "e2e", passed: 1, failures: []failure{{name: "TestX", output: []string{"why"}}}, log: ".run/test/e2e.log"}
	for name, c := range map[string]struct {
		results []result
		code    int
		last    string
	}{
		"all well":       {[]result{good}, exitOK, "12 passed, 0 failed, 1 skipped"},
		"one failed":     {[]result{good, bad}, exitFailed, "13 passed, 1 failed, 1 skipped"},
		"nothing at all": {nil, exitOK, "0 passed, 0 failed, 0 skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			code := printTable(&out, c.results, time.Second)
			if code != c.code || !strings.HasSuffix(out.String(), "\n"+c.last+"\n") {
				t.Errorf("exit %d, printed:\n%s\nwant exit %d and the last line %q", code, out.String(), c.code, c.last)
			}
		})
	}
}

func TestTheTableSaysWhySomethingWasSkippedAndWhatFailed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := result{name: "e2e", skipped: 3, reasons: map[string]int{"needs swaks": 2, "needs mbsync": 1}, log: "x.log"}
	r.fail("TestY", nil)
	printTable(&out, []result{r}, 0)
	for _, want := range []string{"needs swaks (2 tests); needs mbsync", "e2e: TestY  (x.log)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

func TestChoosingSuites(t *testing.T) {
	t.Parallel()
	all := []suite{{name: "a"}, {name: "b"}, {name: "c"}}
	chosen, err := choose(all, "c, a")
	if err != nil || len(chosen) != 2 || chosen[0].name != "a" || chosen[1].name != "c" {
		t.Errorf("got %v, %v; want a and c in the order of the plan", chosen, err)
	}
	if chosen, err := choose(all, ""); err != nil || len(chosen) != 3 {
		t.Errorf("an empty list chose %v, %v", chosen, err)
	}
	if _, err := choose(all, "a,typo"); err == nil || !strings.Contains(err.Error(), "typo") {
		t.Errorf("a suite that does not exist: got %v", err)
	}
}

func TestOneSuiteAfterAnotherGetsItsName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range plan() {
		if s.name == "" || len(s.name) > 12 || s.about == "" || s.timeout == 0 || s.run == nil || seen[s.name] {
			t.Errorf("the suite %q is not complete, too long for the table or there twice", s.name)
		}
		seen[s.name] = true
	}
}

func TestACheckFailsWithTheEndOfItsOutput(t *testing.T) {
	t.Parallel()
	r := &recorder{log: io.Discard}
	if r.check(t.Context(), "x", "sh", "-c", "echo out; echo err >&2; exit 3") {
		t.Error("exit 3 passed")
	}
	if got := strings.Join(r.result.failures[0].output, "|"); got != "out|err|exit status 3" {
		t.Errorf("got %q", got)
	}
	if !r.check(t.Context(), "x", "sh", "-c", "printf 'no line end'") || r.result.passed != 1 {
		t.Error("exit 0 did not pass")
	}
	if r.check(t.Context(), "x", "there-is-no-such-program") {
		t.Error("a program that is not there passed")
	}
}

func TestAnEndedContextStopsTheWholeProcessGroup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	err := lines(prepared(ctx, "sh", "-c", "sleep 60 & echo started; wait"), func(string) { cancel() })
	if err == nil || time.Since(start) > grace {
		t.Errorf("got %v after %s; the child of the child kept the suite waiting", err, time.Since(start))
	}
}

func TestContractProblemsAreListed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report string
		want   string
		err    bool
	}{
		"clean":        {report: `{"totals":{"errors":0,"warnings":0,"ignored":0},"problems":[]}`},
		"a warning":    {report: `{"totals":{"errors":0,"warnings":1},"problems":[{"ruleId":"r","severity":"warn","message":"m","location":[{"pointer":"#/p"}]}]}`, want: "warn r: m #/p"},
		"only a count": {report: `{"totals":{"errors":2,"warnings":0},"problems":[]}`, want: "2 problems, none of them shown"},
		"no report":    {report: "Cannot find module", err: true},
		"another form": {report: `{}`, err: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, err := redoclyProblems([]byte(c.report))
			if got := strings.Join(problems, "\n"); got != c.want || (err != nil) != c.err {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestTheFirstDifferenceOfTwoDocuments(t *testing.T) {
	t.Parallel()
	got := strings.Join(firstDifference("a\nb\nc", "a\nx\nc"), "|")
	if want := "line 2|committed: b|the code:  x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := strings.Join(firstDifference("a", "a\nb"), "|"); !strings.Contains(got, "(the document ends)") {
		t.Errorf("got %q", got)
	}
}

func TestMissingClientsAreNamedAsPackages(t *testing.T) {
	t.Parallel()
	look := func(name string) (string, error) {
		if name == "curl" {
			return "/usr/bin/curl", nil
		}
		return "", exec.ErrNotFound
	}
	if got := strings.Join(missingPackages(look), " "); got != "swaks isync" {
		t.Errorf("got %q, want swaks isync", got)
	}
}

func TestFuzzTargetsOfAStream(t *testing.T) {
	t.Parallel()
	targets := fuzzTargets(`{"Action":"output","Package":"p","Output":"FuzzA\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"output","Package":"q","Output":"FuzzB\n"}
`)
	if len(targets) != 2 || targets[0] != (fuzzTarget{"p", "FuzzA"}) || targets[1] != (fuzzTarget{"q", "FuzzB"}) {
		t.Errorf("got %v", targets)
	}
}

func TestASuiteOutOfTimeHasFailed(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(logDir, 0o700); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r := runSuite(t.Context(), &out, suite{name: "slow", timeout: time.Millisecond, run: func(ctx context.Context, _ *recorder) {
		<-ctx.Done()
	}})
	if len(r.failures) != 1 || !strings.Contains(out.String(), "stopped") {
		t.Errorf("got %+v, printed %s", r, out.String())
	}
	if _, err := os.Stat(r.log); err != nil {
		t.Errorf("the log is not where the table says: %v", err)
	}
}

func TestUnknownCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"typo"}, {"run", "-typo"}, {"run", "-only", "typo"}} {
		if code := command(t.Context(), args, io.Discard); code != exitUsage {
			t.Errorf("%q: exit %d, want %d", args, code, exitUsage)
		}
	}
	if err := errors.Join(notEOF(io.EOF)); err != nil {
		t.Errorf("the end of the output is no error: %v", err)
	}
}
