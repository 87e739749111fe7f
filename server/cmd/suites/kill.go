package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
)

// testKill runs the short form of make chaos: 60 seconds of kills under load, a killed database, a few restarts.
func testKill(ctx context.Context, r *recorder) {
	r.chaos(prepared(ctx, "go", "run", "./server/cmd/chaos", "-short", "-json"))
}

// chaos runs a command that prints chaos's JSON report on standard output and its progress on standard error.
func (r *recorder) chaos(cmd *exec.Cmd) {
	var report bytes.Buffer
	var tail []string
	cmd.Stdout = &report
	last := "starting"
	r.locked(func() { r.status = func() string { return last } })
	err := lines(cmd, func(line string) {
		r.locked(func() {
			tail = keep(tail, line)
			if line != "" {
				last = line
			}
		})
		fmt.Fprintln(r.log, line)
	})
	fmt.Fprintf(r.log, "%s\n", report.Bytes())
	r.locked(func() {
		r.status = nil
		countChaos(report.Bytes(), &r.result, err, tail)
	})
}

// chaosReport is what the suites need of the report.
type chaosReport struct {
	OK    *bool  `json:"ok"`
	Seed  uint64 `json:"seed"`
	Parts []struct {
		Name    string `json:"name"`
		Ran     bool   `json:"ran"`
		Skipped string `json:"skipped"`
	} `json:"parts"`
	Total struct {
		Acknowledged int `json:"acknowledged"`
	} `json:"total"`
	Violations []struct {
		Class string `json:"class"`
		Text  string `json:"text"`
	} `json:"violations"`
}

// countChaos counts each part as one check, and as one more that nothing acknowledged is lost. A run in which nothing was
// acknowledged has shown nothing.
func countChaos(report []byte, into *result, err error, tail []string) {
	const whole, kept = "the run", "nothing acknowledged is lost"
	var all chaosReport
	if parseErr := json.Unmarshal(report, &all); parseErr != nil || all.OK == nil {
		into.fail(whole, append(tail, fmt.Sprintf("no report: %v, %v", err, parseErr)))
		return
	}
	for _, part := range all.Parts {
		switch {
		case part.Skipped != "":
			into.skip(part.Name, part.Skipped)
		case !part.Ran:
			into.fail(part.Name, append(tail, "this part did not run to its end"))
		default:
			into.passed++
		}
	}
	var said []string
	for _, v := range all.Violations {
		said = keep(said, v.Class+": "+v.Text)
	}
	said = append(said, fmt.Sprintf("again: make chaos ARGS='-short -seed %d'", all.Seed))
	switch {
	case !*all.OK:
		into.fail(kept, said)
	case err != nil:
		into.fail(whole, append(tail, err.Error()))
	case len(all.Parts) == 0 || all.Total.Acknowledged == 0:
		into.fail(kept, append(tail, "nothing was acknowledged, so nothing is shown"))
	default:
		into.passed++
	}
}
