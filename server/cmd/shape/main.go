// Command shape prints how large the functions and files of the repository are.
//
// One line per package: functions with their median, 95th percentile and longest in lines, files with the same. Then the
// functions over 60 lines, those over the hard limit of 120 marked, and the files over the hard limit of 800. Tests are left
// out unless -tests is given; generated files always are. It reports and never fails for a size: funlen and revive do that.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	tests := flag.Bool("tests", false, "count _test.go files too")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	if err := shape(os.Stdout, root, *tests); err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(1)
	}
}

// shape measures the tree below root and prints the report.
func shape(out io.Writer, root string, tests bool) error {
	files, err := measure(os.DirFS(root), tests)
	if err != nil {
		return err
	}
	report(out, files)
	return nil
}
