package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
)

// goFile is one measured source file.
type goFile struct {
	name  string // path below the root
	lines int
	funcs []function
}

// function is one declared function or method with its length in lines, braces and signature included.
type function struct {
	name  string
	line  int // where it begins
	lines int
}

// measure reads every Go file below root: hidden folders, node_modules, testdata, sdk and generated files are left out.
func measure(root fs.FS, tests bool) ([]goFile, error) {
	var files []goFile
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(name)
		}
		if path.Ext(name) != ".go" || !tests && strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, generated, err := measureFile(root, name)
		if err == nil && !generated {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

func enter(dir string) error {
	base := path.Base(dir)
	if dir != "." && strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || dir == "sdk" {
		return fs.SkipDir
	}
	return nil
}

func measureFile(root fs.FS, name string) (file goFile, generated bool, err error) {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return goFile{}, false, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, false, fmt.Errorf("measure %s: %w", name, err)
	}
	file = goFile{name: name, lines: bytes.Count(source, []byte("\n"))}
	for _, decl := range tree.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			from, to := set.Position(f.Pos()).Line, set.Position(f.End()).Line
			file.funcs = append(file.funcs, function{name: funcName(f), line: from, lines: to - from + 1})
		}
	}
	return file, ast.IsGenerated(tree), nil
}

// funcName prints a method as Type.Method.
func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	kind := f.Recv.List[0].Type
	for {
		switch t := kind.(type) {
		case *ast.StarExpr:
			kind = t.X
		case *ast.IndexExpr:
			kind = t.X
		case *ast.IndexListExpr:
			kind = t.X
		case *ast.Ident:
			return t.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}
