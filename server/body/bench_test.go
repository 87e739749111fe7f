package body

import (
	"fmt"
	"testing"
)

// BenchmarkOpen opens and closes bodies of so many owners in turn, as FETCH of many messages does.
func BenchmarkOpen(b *testing.B) {
	for _, owners := range []int{1, 100, 2 * maxHandles} {
		b.Run(fmt.Sprintf("owners=%d", owners), func(b *testing.B) {
			s, _ := newStore(b, nil)
			refs := make([]Ref, owners)
			for i := range refs {
				refs[i] = mustPut(b, s, someone(), "x")
			}
			i := 0
			for b.Loop() {
				ref := refs[i%owners]
				i++
				f, err := s.Open(b.Context(), ref.Owner, ref.File)
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
