package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printTable prints rows below their heads for a terminal. Cells come from the server: nothing in them may steer the terminal.
func (e environment) printTable(heads []string, rows [][]string) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = dash(clean(cell))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// printFields prints one object, a line for each field.
func (e environment) printFields(fields [][2]string) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		fmt.Fprintf(w, "%s\t%s\n", f[0], dash(clean(f[1])))
	}
	return w.Flush()
}

// clean leaves out what moves the cursor, changes colours or breaks a line.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
}

// when writes a time as people read it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// whenever writes a time that may be null.
func whenever(t interface{ Get() (time.Time, error) }) string {
	at, err := t.Get()
	if err != nil {
		return ""
	}
	return when(at)
}

// bytesText writes a size to three digits.
func bytesText(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/step, "KMGTPE"
	i := 0
	for value >= step && i < len(units)-1 {
		value, i = value/step, i+1
	}
	return fmt.Sprintf("%.3g %ciB", value, units[i])
}
