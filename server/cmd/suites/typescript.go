package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	typescript = "sdk/typescript"
	// typescriptCode is the part of the SDK that is written from the contract.
	typescriptCode = typescript + "/src/generated"
	// typescriptTools is made when the compilers and the generator are installed.
	typescriptTools = typescript + "/node_modules/.installed"
)

// testTypeScript checks the TypeScript SDK with both compilers and runs its tests.
func testTypeScript(ctx context.Context, r *recorder) {
	if !r.check(ctx, "its tools are installed", "make", "--no-print-directory", typescriptTools) {
		return
	}
	r.check(ctx, "it compiles with TypeScript 7", "npm", "--prefix", typescript, "run", "--silent", "check")
	if r.check(ctx, "it builds with TypeScript 5", "npm", "--prefix", typescript, "run", "--silent", "build") {
		r.nodeTest(prepared(ctx, "npm", "--prefix", typescript, "run", "--silent", "test"))
	}
}

// compareTypeScript fails when the contract gives another client than the committed one.
func compareTypeScript(ctx context.Context, r *recorder) {
	const name = typescriptCode + " is what the contract says"
	dir, err := os.MkdirTemp("", "generated-")
	if err != nil {
		r.fail(name, []string{err.Error()})
		return
	}
	defer os.RemoveAll(dir)
	var said []string
	cmd := prepared(ctx, "node", typescript+"/scripts/generate.mjs", dir)
	if err := lines(cmd, func(line string) { said = keep(said, line); fmt.Fprintln(r.log, line) }); err != nil {
		r.fail(name, append(said, err.Error(), "`make tools` installs the generator"))
		return
	}
	different, err := differences(typescriptCode, dir)
	switch {
	case err != nil:
		r.fail(name, []string{err.Error()})
	case len(different) > 0:
		r.fail(name, append(different, "`make gen` writes it anew"))
	default:
		r.pass()
	}
}

// differences names the files that two folders do not have alike, and the first line in which they differ.
func differences(committed, written string) ([]string, error) {
	old, err := contents(committed)
	if err != nil {
		return nil, err
	}
	fresh, err := contents(written)
	if err != nil {
		return nil, err
	}
	if len(fresh) == 0 {
		return nil, fmt.Errorf("nothing was written into %s", written)
	}
	all := maps.Clone(old)
	maps.Copy(all, fresh)
	var found []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, before := old[name]
		is, now := fresh[name]
		switch {
		case !before:
			found = append(found, name+" is missing")
		case !now:
			found = append(found, name+" is not written any more")
		case !bytes.Equal(was, is):
			found = append(found, name+", "+strings.Join(firstDifference(string(was), string(is)), "\n"))
		}
	}
	return found, nil
}

// contents reads every file of a folder, by its name below it.
func contents(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files[below], err = os.ReadFile(name)
		return err
	})
	return files, err
}
