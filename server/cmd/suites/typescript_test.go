package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCountsOfNodesTests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream          string
		err             error
		passed, skipped int
		failed          []string
		said            string // somewhere in the output of the first failure
	}{
		"all well": {stream: "TAP version 13\n# Subtest: a\nok 1 - a\n  ---\n  duration_ms: 1\n  ...\nok 2 - b # not a directive\n1..2\n", passed: 2},
		"a failure with its output": {
			stream: "ok 1 - a\nnot ok 2 - b\n  ---\n  error: 'no'\n  ...\nok 3 - c\n  ---\n  duration_ms: 1\n1..3\n", err: errors.New("exit status 1"),
			passed: 2, failed: []string{"b"}, said: "error: 'no'",
		},
		"tests below a test are its own":   {stream: "    ok 1 - inner\n    not ok 2 - inner\nok 1 - outer\n1..1\n", passed: 1},
		"a skip with a reason":             {stream: "ok 1 - a # SKIP needs a network\nok 2 - b\n1..2\n", passed: 1, skipped: 1},
		"a skip without a reason":          {stream: "ok 1 - a # SKIP\nok 2 - b\n1..2\n", passed: 1, failed: []string{"a"}, said: "without a reason"},
		"it does not compile":              {stream: "src/x.ts(1,1): error TS1: no\n", err: errors.New("exit status 2"), failed: []string{"the tests as a whole"}, said: "TS1"},
		"no test at all":                   {stream: "TAP version 13\n1..0\n", failed: []string{"the tests as a whole"}, said: "no test"},
		"it ended in the middle":           {stream: "TAP version 13\nok 1 - a\n", passed: 1, failed: []string{"the tests as a whole"}, said: "to its end"},
		"nothing was printed, but no harm": {failed: []string{"the tests as a whole"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := &tapReport{}
			for line := range strings.Lines(c.stream) {
				report.add(strings.TrimSuffix(line, "\n"))
			}
			var r result
			report.finish(&r, c.err)
			if r.passed != c.passed || r.skipped != c.skipped || !slices.Equal(names(r.failures), c.failed) {
				t.Fatalf("got %d passed, %d skipped, failed %q; want %d, %d, %q", r.passed, r.skipped, names(r.failures), c.passed, c.skipped, c.failed)
			}
			if c.said != "" && !strings.Contains(strings.Join(r.failures[0].output, "\n"), c.said) {
				t.Errorf("the failure shows %q, want %q in it", r.failures[0].output, c.said)
			}
		})
	}
}

func TestEveryDifferenceOfTwoFoldersIsNamed(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"one/same": "x", "two/same": "x", "one/sub/other": "a\nb", "two/sub/other": "a\nc", "one/gone": "x", "two/new": "x",
	} {
		file := filepath.Join(map[bool]string{true: one, false: two}[strings.HasPrefix(name, "one/")], name[4:])
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := differences(one, two)
	want := []string{"gone is not written any more", "new is missing", "sub/other, line 2\ncommitted: b\nthe code:  c"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err := differences(one, one); err != nil || len(got) != 0 {
		t.Errorf("a folder differs from itself: %q, %v", got, err)
	}
	if _, err := differences(one, t.TempDir()); err == nil {
		t.Error("a generator that wrote nothing passed")
	}
}
