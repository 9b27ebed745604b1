package ring

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed operation.go
var operationSource string

// TestOperationTable holds each constant to its row: a code in the wrong place is
// another operation to the kernel.
func TestOperationTable(t *testing.T) {
	names := map[string]bool{}
	for code, row := range operations {
		require.NotEmpty(t, row.name, "code %d", code)
		require.NotEmpty(t, row.since, row.name)
		require.False(t, names[row.name], row.name)
		names[row.name] = true
		require.Equal(t, row.since, FirstKernel(Op(code).String()))
	}
	require.Equal(t, "Op(200)", Op(200).String())
	require.Empty(t, FirstKernel("IORING_OP_"))
	f, err := parser.ParseFile(token.NewFileSet(), "operation.go", operationSource, 0)
	require.NoError(t, err)
	list := f.Scope.Lookup("operations").Decl.(*ast.ValueSpec).Values[0].(*ast.CompositeLit)
	for _, e := range list.Elts {
		row := e.(*ast.KeyValueExpr)
		key, ok := row.Key.(*ast.Ident)
		if !ok {
			continue // of a code that no queue performs
		}
		name := row.Value.(*ast.CompositeLit).Elts[0].(*ast.KeyValueExpr).Value.(*ast.BasicLit).Value
		require.Equal(t, strings.ToLower(key.Name), "op"+strings.ToLower(strings.ReplaceAll(strings.Trim(name, `"`), "_", "")))
	}
}
