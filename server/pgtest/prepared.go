package pgtest

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// PrepareAll prepares every string constant whose name begins with "sql" of the Go package in dir (usually "."), so that a
// statement with a wrong column, table or type fails in a test and not in front of a user. Parts of statements must have other
// names. It fails when the package has no such constant.
func PrepareAll(t testing.TB, pool *pg.Pool, dir string) {
	t.Helper()
	statements, err := constants(dir)
	if err != nil {
		t.Fatalf("pgtest: read the package in %s: %v", dir, err)
	}
	if len(statements) == 0 {
		t.Fatalf("pgtest: the package in %s has no constant sql...", dir)
	}
	Prepare(t, pool, statements)
}

// Prepare prepares named statements and reports each that PostgreSQL refuses.
func Prepare(t testing.TB, pool *pg.Pool, statements map[string]string) {
	t.Helper()
	err := pool.AcquireFunc(t.Context(), func(conn *pgxpool.Conn) error {
		for _, name := range slices.Sorted(maps.Keys(statements)) {
			if err := prepareOne(t.Context(), conn.Conn(), statements[name]); err != nil {
				t.Errorf("%s: %v\n%s", name, err, statements[name])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

func prepareOne(ctx context.Context, conn *pgx.Conn, sql string) error {
	// The unnamed statement leaves nothing behind.
	_, err := conn.PgConn().Prepare(ctx, "", sql, nil)
	return err
}

// constants evaluates the string constants of a package: literals, other constants of the package, and sums of them.
func constants(dir string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	values := map[string]ast.Expr{}
	files := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		collect(file, values)
	}
	statements := map[string]string{}
	for name := range values {
		if !strings.HasPrefix(name, "sql") {
			continue
		}
		text, err := evaluate(values[name], values, 0)
		if err != nil {
			return nil, fmt.Errorf("constant %s: %w", name, err)
		}
		statements[name] = text
	}
	return statements, nil
}

// collect finds constants of the package and of its functions.
func collect(file *ast.File, values map[string]ast.Expr) {
	ast.Inspect(file, func(node ast.Node) bool {
		decl, ok := node.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			return true
		}
		for _, spec := range decl.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, name := range value.Names {
				if i < len(value.Values) {
					values[name.Name] = value.Values[i]
				}
			}
		}
		return true
	})
}

// maxDepth stops constants that refer to each other, which do not compile anyway.
const maxDepth = 50

func evaluate(expr ast.Expr, values map[string]ast.Expr, depth int) (string, error) {
	if depth > maxDepth {
		return "", fmt.Errorf("refers to itself")
	}
	switch e := expr.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return strconv.Unquote(e.Value)
		}
	case *ast.ParenExpr:
		return evaluate(e.X, values, depth+1)
	case *ast.Ident:
		if value, ok := values[e.Name]; ok {
			return evaluate(value, values, depth+1)
		}
	case *ast.BinaryExpr:
		left, err := evaluate(e.X, values, depth+1)
		if err != nil {
			return "", err
		}
		if e.Op != token.ADD {
			return "", fmt.Errorf("operator %s", e.Op)
		}
		right, err := evaluate(e.Y, values, depth+1)
		return left + right, err
	}
	return "", fmt.Errorf("not a string that can be read from this package alone")
}
