package verify_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
)

// applied is a case with the inventory as it is once its Wanted is applied.
type applied struct {
	name string
	*compiletest.Case
	w   *compile.Wanted
	inv *inventory.Inventory
}

// cases are the compiler's golden archives that compile.
func cases(tb testing.TB) []applied {
	tb.Helper()
	files, err := filepath.Glob("../compile/testdata/*.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	var out []applied
	for _, file := range files {
		c := compiletest.Load(tb, file)
		w, inv, diags := c.Compile(tb)
		if diags.HasErrors() {
			continue
		}
		out = append(out, applied{strings.TrimSuffix(filepath.Base(file), ".txtar"), c, w, effective.After(inv, w)})
	}
	if len(out) < 5 {
		tb.Fatalf("%d golden archives compile; want at least 5", len(out))
	}
	return out
}

func TestWhatIsCompiledAndAppliedVerifies(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			r := verify.Check(c.w, c.inv, c.Ledger)
			allowed := 0
			for _, f := range r.Findings {
				if f.Kind == verify.Allowed {
					allowed++
				}
				if !f.OK() && !(c.name == "permissionset" && f.Kind == verify.Denied) {
					t.Errorf("%s: %s: %s", f.Kind, f.What, f.Text)
				}
			}
			if allowed < len(c.w.Routes) {
				t.Errorf("%d findings allowed; want one at least for each of %d routes", allowed, len(c.w.Routes))
			}
		})
	}
}
