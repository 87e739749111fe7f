package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestCountsOfAKillRun(t *testing.T) {
	t.Parallel()
	const kept = "nothing acknowledged is lost"
	for name, c := range map[string]struct {
		report          string
		err             error
		passed, skipped int
		failed          []string
		said            string // somewhere in the output of the first failure
	}{
		"all well": {report: `{"ok":true,"parts":[{"name":"kills","ran":true},{"name":"postgres","ran":true}],"total":{"acknowledged":9000}}`, passed: 3},
		"a part left out": {
			report: `{"ok":true,"parts":[{"name":"kills","ran":true},{"name":"disk","skipped":"needs root"}],"total":{"acknowledged":9}}`, passed: 2, skipped: 1,
		},
		"something is lost": {
			report: `{"ok":false,"seed":7,"parts":[{"name":"kills","ran":true}],"total":{"acknowledged":9},"violations":[{"class":"lost","text":"op 5"}]}`,
			err:    errors.New("exit status 1"), passed: 1, failed: []string{kept}, said: "lost: op 5|again: make chaos ARGS='-short -seed 7'",
		},
		"a part that ended early": {
			report: `{"ok":true,"parts":[{"name":"kills","ran":false}],"total":{"acknowledged":9}}`, passed: 1, failed: []string{"kills"}, said: "the last line",
		},
		"nothing happened":        {report: `{"ok":true,"parts":[{"name":"kills","ran":true}]}`, passed: 1, failed: []string{kept}, said: "nothing was acknowledged"},
		"it failed and is silent": {report: `{"ok":true,"parts":[{"name":"kills","ran":true}],"total":{"acknowledged":9}}`, err: errors.New("exit status 1"), passed: 1, failed: []string{"the run"}},
		"no report":               {report: "", err: errors.New("exit status 2"), failed: []string{"the run"}, said: "the last line|no report: exit status 2"},
		"another report":          {report: `{}`, failed: []string{"the run"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r result
			countChaos([]byte(c.report), &r, c.err, []string{"the last line"})
			if r.passed != c.passed || r.skipped != c.skipped || !slices.Equal(names(r.failures), c.failed) {
				t.Fatalf("got %d passed, %d skipped, failed %q; want %d, %d, %q", r.passed, r.skipped, names(r.failures), c.passed, c.skipped, c.failed)
			}
			if c.said != "" && !strings.Contains(strings.Join(r.failures[0].output, "|"), c.said) {
				t.Errorf("the failure shows %q, want %q in it", r.failures[0].output, c.said)
			}
		})
	}
}

func TestAReportOnStandardOutputIsKeptApartFromProgress(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	r := &recorder{log: &log}
	r.chaos(prepared(t.Context(), "sh", "-c", `echo progress >&2; echo '{"ok":true,"parts":[{"name":"kills","ran":true}],"total":{"acknowledged":1}}'`))
	if r.result.passed != 2 || len(r.result.failures) != 0 || !strings.Contains(log.String(), "progress") {
		t.Errorf("%+v, logged %q", r.result, log.String())
	}
}
