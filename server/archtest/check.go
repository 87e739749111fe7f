package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Check reads the imports of every Go package below root and returns one sentence per breach of the rules, each saying where
// it is and what to do. A file that does not parse is an error.
func Check(root fs.FS, module string, rules Rules) ([]string, error) {
	found, err := imports(root)
	if err != nil {
		return nil, err
	}
	c := checker{module: module, rules: rules, tier: rules.tiers()}
	for _, dir := range sortedKeys(found) {
		c.pkg(dir, found[dir])
	}
	return c.breaches, nil
}

// imports maps each directory with Go files, tests not counted, to the import paths in them. A directory with tests only is
// there with no import, because it too needs a place in the table.
func imports(root fs.FS) (map[string][]string, error) {
	found := map[string][]string{}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") {
			found[dir] = append(found[dir], []string(nil)...)
			return nil
		}
		list, err := fileImports(root, name)
		found[dir] = append(found[dir], list...)
		return err
	})
	return found, err
}

// enter says whether the walk goes into a directory: not into hidden ones, node_modules, testdata, and modules of their own.
func enter(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || base == "vendor" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func fileImports(root fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, fmt.Errorf("read the imports of %s: %w", name, err)
	}
	list := make([]string, 0, len(file.Imports))
	for _, spec := range file.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("read the imports of %s: %w", name, err)
		}
		list = append(list, importPath)
	}
	return list, nil
}

type checker struct {
	module   string
	rules    Rules
	tier     map[string]int
	breaches []string
}

func (c *checker) report(format string, args ...any) {
	c.breaches = append(c.breaches, fmt.Sprintf(format, args...))
}

// pkg checks one directory and what it imports.
func (c *checker) pkg(dir string, list []string) {
	group, ok := c.group(dir)
	if !ok {
		c.report("%s has no tier: give it a place in server/archtest/table.go (or move it below a package that has one)", dir)
		return
	}
	slices.Sort(list)
	for _, importPath := range slices.Compact(list) {
		own, isOwn := strings.CutPrefix(importPath, c.module+"/")
		switch {
		case isOwn && !c.fenced(importPath):
			c.own(dir, group, own)
		case !standard(importPath):
			c.thirdParty(dir, group, importPath)
		}
	}
}

// own checks an import of another package of this module.
func (c *checker) own(dir, group, imported string) {
	target, ok := c.group(imported)
	if !ok || target == group {
		return // a package without a tier is reported once, where it is
	}
	from, to := c.tier[group], c.tier[target]
	switch {
	case slices.Contains(c.rules.Never[group], target):
		c.report("%s imports %s: %s never does, whatever the tiers say; ask a service of tier 2 or 3 for it", dir, imported, group)
	case c.rules.Only[target] != nil && !slices.Contains(c.rules.Only[target], group):
		c.report("%s imports %s, which exists for tests: only %s may", dir, imported, strings.Join(c.rules.Only[target], ", "))
	case to > from:
		c.report("%s (tier %d) imports %s (tier %d): a package never looks up; declare a small interface in %s and let server/app wire it",
			dir, from, imported, to, group)
	case to == from && !c.arrow(group, target, map[string]bool{}):
		c.report("%s imports %s beside it on tier %d, and no arrow of the table allows that: move what both need down, or declare a small interface in %s and let server/app wire it",
			dir, imported, from, group)
	}
}

// arrow says whether from may import to inside their tier, along any number of arrows.
func (c *checker) arrow(from, to string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, next := range c.rules.Arrows[from] {
		if next == to || c.arrow(next, to, seen) {
			return true
		}
	}
	return false
}

// thirdParty checks an import from outside this module and the standard library.
func (c *checker) thirdParty(dir, group, importPath string) {
	tier := c.tier[group]
	if slices.Contains(c.rules.StandardOnly, tier) {
		c.report("%s imports %s: tier %d uses the standard library only; move what needs it up", dir, importPath, tier)
		return
	}
	for _, fence := range c.rules.Fences {
		if below(importPath, fence.Library) && !slices.ContainsFunc(fence.Inside, func(home string) bool { return below(dir, home) }) {
			c.report("%s imports %s, which belongs to %s: %s", dir, importPath, strings.Join(fence.Inside, ", "), fence.Instead)
		}
	}
}

// fenced says whether an import path under our own prefix is another module of ours, kept behind a fence.
func (c *checker) fenced(importPath string) bool {
	return slices.ContainsFunc(c.rules.Fences, func(fence Fence) bool {
		return strings.HasPrefix(fence.Library, c.module+"/") && below(importPath, fence.Library)
	})
}

// group returns the named package that a directory is or lies below; the longest name wins.
func (c *checker) group(dir string) (string, bool) {
	for name := dir; name != "." && name != "/"; name = path.Dir(name) {
		if _, ok := c.tier[name]; ok {
			return name, true
		}
	}
	return "", false
}

// tiers maps each named package to its tier.
func (r Rules) tiers() map[string]int {
	all := map[string]int{}
	for height, names := range r.Tiers {
		for _, name := range names {
			all[name] = height
		}
	}
	return all
}

// below says whether name is parent or lies below it.
func below(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}

// standard says whether an import path is of the standard library: its first element has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
