package smtpd

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// What the quick look lets pass must be what the look at each octet gives.
func FuzzCleaner(f *testing.F) {
	f.Add([]byte("one\r\ntwo\r\n"), uint8(5), true)
	f.Add([]byte("bare\nlf\r\rcr\r"), uint8(3), false)
	f.Add([]byte("a\rbcd"), uint8(1), false)
	f.Add([]byte("nul\x00"), uint8(1), true)
	f.Add(bytes.Repeat([]byte("long"), 30), uint8(100), false)
	f.Fuzz(func(t *testing.T, text []byte, cut uint8, strict bool) {
		quick, slow := cleaner{strict: strict, maxLine: 40}, cleaner{strict: strict, maxLine: 40}
		for piece := range slices.Chunk(text, int(cut)+1) {
			got, err := quick.feed(piece)
			want, wanted := slow.octets(piece)
			if fmt.Sprint(err) != fmt.Sprint(wanted) || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("%q gave %q, %v; octet by octet %q, %v", piece, got, err, want, wanted)
			}
			if err != nil {
				return
			}
		}
		err, wanted := quick.end(), slow.end()
		if fmt.Sprint(err) != fmt.Sprint(wanted) || !bytes.Equal(quick.out, slow.out) {
			t.Fatalf("the end gave %q, %v; octet by octet %q, %v", quick.out, err, slow.out, wanted)
		}
	})
}
