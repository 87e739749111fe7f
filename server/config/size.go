package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with a unit such as 35MiB or 1000MB.
type Size int64

// unit is a suffix and the number of bytes it stands for.
type unit struct {
	suffix string
	bytes  int64
}

// units returns the suffixes with the longest first, so that MiB is not read as B.
func units() []unit {
	return []unit{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"kB", 1e3},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"B", 1},
	}
}

// ParseSize reads a whole number of bytes with an optional unit: B, kB, MB,
// GB, TB in thousands, KiB, MiB, GiB, TiB in steps of 1024.
func ParseSize(text string) (Size, error) {
	number, factor := text, int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return 0, errors.New("is not a size like 35MiB")
	}
	if int64(n) > math.MaxInt64/factor {
		return 0, errors.New("is too large for a size")
	}
	return Size(int64(n) * factor), nil
}

// String writes the size with the largest unit that divides it.
func (s Size) String() string {
	n := int64(s)
	for _, u := range []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"MB", 1e6}} {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
