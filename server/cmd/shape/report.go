package main

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
)

const (
	longFunc  = 60  // 95 % of the functions stay below
	hardFunc  = 120 // no function goes beyond
	hardFile  = 800 // no file goes beyond
	wantShare = 95
)

// sizes is what the table needs of a set of functions or files.
type sizes []int

func (s sizes) percentile(p int) int {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[(len(sorted)-1)*p/100]
}

// report prints the table of packages, the total and the long functions and files.
func report(out io.Writer, files []goFile) {
	var dirs []string
	funcs, lengths := map[string]sizes{}, map[string]sizes{}
	var allFuncs, allFiles sizes
	for _, file := range files {
		dir := path.Dir(file.name)
		if _, seen := lengths[dir]; !seen {
			dirs = append(dirs, dir)
		}
		lengths[dir] = append(lengths[dir], file.lines)
		allFiles = append(allFiles, file.lines)
		for _, f := range file.funcs {
			funcs[dir] = append(funcs[dir], f.lines)
			allFuncs = append(allFuncs, f.lines)
		}
	}
	fmt.Fprintf(out, "%-32s %6s %6s %5s %5s   %5s %6s %5s %5s\n", "package", "funcs", "median", "p95", "max", "files", "median", "max", "lines")
	for _, dir := range slices.Sorted(slices.Values(dirs)) {
		row(out, dir, funcs[dir], lengths[dir])
	}
	row(out, "all", allFuncs, allFiles)
	printLong(out, files, allFuncs)
}

func row(out io.Writer, name string, funcs, files sizes) {
	total := 0
	for _, n := range files {
		total += n
	}
	fmt.Fprintf(out, "%-32s %6d %6d %5d %5d   %5d %6d %5d %5d\n", name, len(funcs), funcs.percentile(50), funcs.percentile(95),
		funcs.percentile(100), len(files), files.percentile(50), files.percentile(100), total)
}

// printLong lists the functions and files beyond the house's numbers, the longest first.
func printLong(out io.Writer, files []goFile, all sizes) {
	type long struct {
		lines int
		text  string
	}
	var functions, tooLong []long
	for _, file := range files {
		for _, f := range file.funcs {
			if f.lines > longFunc {
				functions = append(functions, long{f.lines, fmt.Sprintf("%s:%d %s", file.name, f.line, f.name)})
			}
		}
		if file.lines > hardFile {
			tooLong = append(tooLong, long{file.lines, file.name})
		}
	}
	share := 100.0
	if len(all) > 0 {
		share = 100 * float64(len(all)-len(functions)) / float64(len(all))
	}
	fmt.Fprintf(out, "\nfunctions over %d lines: %d; %.1f %% are within (wanted: %d %%)\n", longFunc, len(functions), share, wantShare)
	byLength := func(a, b long) int { return cmp.Compare(b.lines, a.lines) }
	slices.SortStableFunc(functions, byLength)
	for _, f := range functions {
		mark := ""
		if f.lines > hardFunc {
			mark = fmt.Sprintf("  over the hard limit of %d", hardFunc)
		}
		fmt.Fprintf(out, "  %4d  %s%s\n", f.lines, f.text, mark)
	}
	fmt.Fprintf(out, "files over %d lines: %d\n", hardFile, len(tooLong))
	slices.SortStableFunc(tooLong, byLength)
	for _, f := range tooLong {
		fmt.Fprintf(out, "  %4d  %s\n", f.lines, f.text)
	}
}
