package authz_test

import (
	"os"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

// cases loads the corpus.
func cases(tb testing.TB) []corpus.Case {
	tb.Helper()
	all, err := corpus.LoadDir(os.DirFS("../testdata/corpus"))
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func build(tb testing.TB, c *corpus.Case, compile corpus.Compile) (*authz.Request, *authz.Policies) {
	tb.Helper()
	req, pols, err := c.Build(compile)
	if err != nil {
		tb.Fatal(err)
	}
	return req, pols
}

func TestCorpus(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.ID, func(t *testing.T) {
			req, pols := build(t, &c, authz.Compile)
			d := authz.Evaluate(req, pols, nil)
			if d.Outcome != c.Expected {
				t.Errorf("Evaluate = %v, want %v (%s:%d)\n%s", d.Outcome, c.Expected, c.File, c.Line, d.Text())
			}
			if got := authz.Decide(req, pols, nil); got != d.Outcome {
				t.Errorf("Decide = %v, Evaluate = %v", got, d.Outcome)
			}
		})
	}
}

func TestDisablingARuleMakesItsCasesFail(t *testing.T) {
	byRule := map[string][]corpus.Case{}
	for _, c := range cases(t) {
		if _, ok := authz.NewWithout(c.Rule); !ok {
			t.Errorf("%s: the evaluator has no rule %q", c.ID, c.Rule)
		}
		byRule[c.Rule] = append(byRule[c.Rule], c)
	}
	for _, rule := range authz.Rules() {
		without, _ := authz.NewWithout(rule)
		failed := 0
		for i := range byRule[rule] {
			c := &byRule[rule][i]
			req, pols, err := c.Build(without.Compile)
			if err != nil || without.Evaluate(req, pols).Outcome != c.Expected {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("rule %s: none of its %d cases fails without it", rule, len(byRule[rule]))
		}
	}
}
