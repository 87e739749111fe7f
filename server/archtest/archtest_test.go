package archtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/archtest"
)

// TestTreeKeepsToTheTable reads the repository itself. _test.go files and build tags are not looked at.
func TestTreeKeepsToTheTable(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatalf("the test must run two folders below the module root: %v", err)
	}
	if !strings.HasPrefix(string(mod), "module "+archtest.Module+"\n") {
		t.Fatalf("go.mod does not declare %s", archtest.Module)
	}
	breaches, err := archtest.Check(os.DirFS(root), archtest.Module, archtest.Table())
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range breaches {
		t.Error(breach)
	}
}
