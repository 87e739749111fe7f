package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	goSDK = "sdk/go"
	// goSDKGenerator is a module of its own, so that what it needs never reaches users of the SDK.
	goSDKGenerator = goSDK + "/internal/gen"
	goExample      = "sdk/examples/send-go"
)

// goSDKWritten are the files of the SDK that the generator writes from the contract.
func goSDKWritten() []string { return []string{"api/api.gen.go", "codes.gen.go", "types.gen.go"} }

// testGoSDK checks and tests the Go SDK, which is no part of the root module's ./... and has rules of its own for a library.
func testGoSDK(ctx context.Context, r *recorder) {
	tool, err := filepath.Abs(linter)
	if err != nil {
		r.fail("golangci-lint", []string{err.Error()})
		return
	}
	for _, module := range []string{goSDK, goSDKGenerator} {
		vet, lint := prepared(ctx, "go", "vet", "./..."), prepared(ctx, tool, "run", "--color=never", "./...")
		vet.Dir, lint.Dir = module, module
		r.checkCmd("go vet in "+module, vet)
		r.checkCmd("golangci-lint in "+module, lint)
	}
	example := prepared(ctx, "go", "vet", "./...")
	example.Dir = goExample
	r.checkCmd("go vet in "+goExample, example)
	args := []string{"test", "-json", "-vet=off", "-timeout", "3m"}
	test := prepared(ctx, "go")
	if _, err := exec.LookPath("gcc"); err == nil {
		args = append(args, "-race")
		test.Env = append(test.Environ(), "CGO_ENABLED=1")
	}
	test.Args = append(test.Args, append(args, "./...")...)
	test.Dir = goSDK
	r.goStream(test)
}

// compareGoSDK fails when the contract gives other code than the committed one.
func compareGoSDK(ctx context.Context, r *recorder) {
	const name = goSDK + " is what the contract says"
	dir, err := os.MkdirTemp("", "generated-")
	if err != nil {
		r.fail(name, []string{err.Error()})
		return
	}
	defer os.RemoveAll(dir)
	document, err := filepath.Abs(contract)
	if err != nil {
		r.fail(name, []string{err.Error()})
		return
	}
	var said []string
	cmd := prepared(ctx, "go", "run", ".", "-contract", document, "-out", dir)
	cmd.Dir = goSDKGenerator
	if err := lines(cmd, func(line string) { said = keep(said, line); fmt.Fprintln(r.log, line) }); err != nil {
		r.fail(name, append(said, err.Error()))
		return
	}
	var different []string
	for _, file := range goSDKWritten() {
		different = append(different, difference(file, filepath.Join(goSDK, file), filepath.Join(dir, file))...)
	}
	if len(different) > 0 {
		r.fail(name, append(different, "`make gen` writes it anew"))
		return
	}
	r.pass()
}

// difference says where a written file differs from the committed one; nothing when they are alike.
func difference(name, committed, written string) []string {
	old, err := os.ReadFile(committed)
	if err != nil {
		return []string{err.Error()}
	}
	fresh, err := os.ReadFile(written)
	switch {
	case err != nil:
		return []string{err.Error()}
	case string(old) == string(fresh):
		return nil
	}
	return append([]string{name}, firstDifference(string(old), string(fresh))...)
}
