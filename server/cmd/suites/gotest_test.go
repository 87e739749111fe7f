package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// read feeds a stream to a fresh report and returns the counted result and the text for the log.
func read(stream string, err error) (result, string) {
	report := newGoReport()
	var log strings.Builder
	for line := range strings.Lines(stream) {
		log.WriteString(report.add(strings.TrimSuffix(line, "\n")))
	}
	var r result
	report.finish(&r, err)
	return r, log.String()
}

func names(failures []failure) []string {
	var all []string
	for _, f := range failures {
		all = append(all, f.name)
	}
	return all
}

func TestCountsOfAStream(t *testing.T) {
	t.Parallel()
	exit1 := errors.New("exit status 1")
	for name, c := range map[string]struct {
		stream          string
		err             error
		passed, skipped int
		failed          []string
		said            string // somewhere in the output of the first failure
	}{
		"a table counts its rows and not itself": {
			stream: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"run","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			passed: 2,
		},
		"a failed row explains its parent and its package": {
			stream: `{"Action":"run","Package":"github.com/mailserver-dev/mailserver/server/mail","Test":"TestA"}
{"Action":"run","Package":"github.com/mailserver-dev/mailserver/server/mail","Test":"TestA/one/deep"}
{"Action":"output","Package":"github.com/mailserver-dev/mailserver/server/mail","Test":"TestA/one/deep","Output":"    a_test.go:7: got 1\n"}
{"Action":"fail","Package":"github.com/mailserver-dev/mailserver/server/mail","Test":"TestA/one/deep"}
{"Action":"fail","Package":"github.com/mailserver-dev/mailserver/server/mail","Test":"TestA/one"}
{"Action":"fail","Package":"github.com/mailserver-dev/mailserver/server/mail","Test":"TestA"}
{"Action":"fail","Package":"github.com/mailserver-dev/mailserver/server/mail"}`,
			err: exit1, failed: []string{"server/mail TestA/one/deep"}, said: "got 1",
		},
		"a parent that fails on its own counts beside its rows": {
			stream: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: after all\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			err: exit1, passed: 1, failed: []string{"p TestA"}, said: "after all",
		},
		"a skip with a reason": {
			stream: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:4: needs swaks\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			skipped: 1,
		},
		"a skip without a reason is a failure": {
			stream: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			failed: []string{"p TestA"}, said: "without a reason",
		},
		"a package without tests counts nothing": {
			stream: `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`,
		},
		"a package that does not build": {
			stream: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"./a_test.go:5:2: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			err: exit1, failed: []string{"p"}, said: "undefined: x",
		},
		"a panic takes the package with it": {
			stream: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}`,
			err: exit1, passed: 1, failed: []string{"p"}, said: "panic: boom",
		},
		"a stream that stops": {
			stream: `{"Action":"run","Package":"p","Test":"TestA"}`,
			err:    errors.New("signal: killed"), failed: []string{"p TestA"}, said: "never ended",
		},
		"the go command itself fails": {
			stream: "go: cannot find main module\n",
			err:    exit1, failed: []string{"the go command"}, said: "cannot find main module",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := read(c.stream, c.err)
			if r.passed != c.passed || r.skipped != c.skipped || !slices.Equal(names(r.failures), c.failed) {
				t.Fatalf("got %d passed, %d skipped, failed %q; want %d, %d, %q", r.passed, r.skipped, names(r.failures), c.passed, c.skipped, c.failed)
			}
			if c.said != "" && !strings.Contains(strings.Join(r.failures[0].output, "\n"), c.said) {
				t.Errorf("the failure shows %q, want %q in it", r.failures[0].output, c.said)
			}
		})
	}
}

func TestTheReasonOfASkipIsKept(t *testing.T) {
	t.Parallel()
	r, log := read(`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:4: needs mbsync: apt-get install -y isync\n"}
{"Action":"skip","Package":"p","Test":"TestA"}`, nil)
	if got, want := r.skippedBecause(), "needs mbsync: apt-get install -y isync"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.Contains(log, "needs mbsync") {
		t.Errorf("the log lacks the output: %q", log)
	}
}

func TestLongOutputKeepsItsEnd(t *testing.T) {
	t.Parallel()
	var stream strings.Builder
	for range 10 * keptLines {
		stream.WriteString(`{"Action":"output","Package":"p","Test":"TestA","Output":"line\n"}` + "\n")
	}
	stream.WriteString(`{"Action":"output","Package":"p","Test":"TestA","Output":"the last\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`)
	r, _ := read(stream.String(), errors.New("exit status 1"))
	if output := r.failures[0].output; len(output) != keptLines || output[len(output)-1] != "the last" {
		t.Errorf("kept %d lines ending in %q", len(output), output[len(output)-1])
	}
}

func FuzzStream(f *testing.F) {
	f.Add(`{"Action":"run","Package":"p","Test":"TestA/b"}`)
	f.Add("{\"Action\":\"fail\"}\nnot json\n{")
	f.Fuzz(func(t *testing.T, stream string) {
		r, _ := read(stream, errors.New("exit status 1"))
		if len(r.failures) == 0 {
			t.Error("a go command that failed was counted as a success")
		}
	})
}
