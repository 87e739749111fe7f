package config

import "strings"

// nearest returns the known name that was probably meant: one whose last part
// is exactly the given last part, if there is just one, else the one with the
// smallest edit distance if that is small for the length of the name.
func nearest(name string, known []string, sep string) string {
	const longest = 120
	if len(name) > longest {
		return ""
	}
	best, distance, suffix, suffixes := "", 1+min(3, len(name)/4), "", 0
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
		if last(k, sep) == last(name, sep) {
			suffix = k
			suffixes++
		}
	}
	if best == "" && suffixes == 1 {
		return suffix
	}
	return best
}

func last(name, sep string) string { return name[strings.LastIndex(name, sep)+1:] }

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
