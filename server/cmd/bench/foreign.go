package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// foreignVariable names the folder of the independent generator.
const foreignVariable = "MAILBENCH"

// foreignConnections is the ingest that both generators measure.
const foreignConnections = 8

// generator is the independent load generator, built.
type generator struct {
	binary string
	dir    string // of the run
}

// buildGenerator builds the program of the folder into dir and changes nothing in the folder.
func buildGenerator(ctx context.Context, folder, dir string) (*generator, error) {
	g := &generator{binary: filepath.Join(dir, "mailbench"), dir: dir}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", g.binary, ".")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w: %.600s", folder, err, out)
	}
	return g, nil
}

// foreignResult is the line that it writes about a run.
type foreignResult struct {
	OK      bool               `json:"ok"`
	Metrics map[string]float64 `json:"metrics"`
	Errors  map[string]int     `json:"errors"`
}

// run carries out one command of the generator on a server.
func (g *generator) run(b *bout, most time.Duration, verb string, args ...string) (foreignResult, error) {
	var res foreignResult
	file := filepath.Join(g.dir, "mailbench.json")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return res, err
	}
	var pids []string
	for _, p := range b.server.processes {
		pids = append(pids, strconv.Itoa(p.pid()))
	}
	all := append([]string{
		verb, "-label", b.server.name, "-out", file, "-pids", strings.Join(pids, ","), "-src", "127.0.0.0/8", "-deadline", most.String(),
		"-users", strconv.Itoa(users), "-pass", password,
	}, args...)
	cmd := exec.CommandContext(b.ctx, g.binary, all...)
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killedWithin
	out, failed := cmd.CombinedOutput()
	raw, err := os.ReadFile(file)
	if err != nil {
		return res, fmt.Errorf("mailbench %s: %w: %.600s", verb, errors.Join(failed, err), out)
	}
	if err := json.Unmarshal(bytes.TrimSpace(raw), &res); err != nil {
		return res, fmt.Errorf("mailbench %s: %w", verb, err)
	}
	if !res.OK {
		return res, fmt.Errorf("mailbench %s: %.600s", verb, bytes.TrimSpace(out))
	}
	return res, nil
}

// take copies figures under the names of ours.
func (r foreignResult) take(v values, names map[string]string) {
	for theirs, key := range names {
		if value, ok := r.Metrics[theirs]; ok {
			v[foreignPrefix+key] = value
		}
	}
}

// foreignPrefix stands before the keys of figures that the independent generator gave.
const foreignPrefix = "mailbench."

func (r *runner) foreignIngest(b *bout, l load) error {
	res, err := r.generator.run(b, r.plan.most+r.plan.drain, "smtp-ingest", "-addr", b.server.smtp, "-imap-addr", b.server.imaps,
		"-imap-tls", "implicit", "-conns", strconv.Itoa(l.connections), "-n", strconv.Itoa(l.letters))
	key := fmt.Sprintf("ingest.c%d.", l.connections)
	res.take(b.values, map[string]string{
		"delivered_per_s": key + "visible_per_s", "accepted_per_s": key + "accepted_per_s", "dot_p50_ms": key + "dot_p50_ms",
		"dot_p99_ms": key + "dot_p99_ms", "server_cpu_ms_per_msg": key + "cpu_ms",
	})
	return errors.Join(err, foreignLosses(res))
}

// foreignLosses says what the generator missed or saw twice; extra copies do not fail it by themselves.
func foreignLosses(res foreignResult) error {
	if lost, doubled := res.Metrics["missing"], res.Metrics["duplicated"]; lost+doubled > 0 {
		return fmt.Errorf("mailbench counts %.0f lost and %.0f doubled letters", lost, doubled)
	}
	return nil
}

func (r *runner) foreignPush(b *bout) error {
	res, err := r.generator.run(b, r.plan.most+r.plan.drain+time.Minute, "imap-idle", "-addr", b.server.imaps, "-tls", "implicit",
		"-n", strconv.Itoa(r.plan.idle), "-smtp", b.server.smtp, "-probes", strconv.Itoa(r.plan.probes))
	// It takes the time from before MAIL on.
	res.take(b.values, map[string]string{"push_p50_ms": "push.mail_p50_ms", "push_p95_ms": "push.mail_p95_ms", "push_p99_ms": "push.mail_p99_ms"})
	return err
}
