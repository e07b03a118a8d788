package actions_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/reach/actions"
	"github.com/stile-aws/stile/policy"
)

func TestDescribe(t *testing.T) {
	all := []string{"a:One", "a:Two", "b:One", "b:Three", "b:Two", "c:One"}
	for _, c := range []struct {
		name, pattern        string
		some                 []string
		covered              int
		wantActions, wantBut []string
	}{
		{"all of it", "*", all, 6, []string{"*"}, nil},
		{"all that the statement covers, which is not all", "*", all[:5], 5, []string{"*"}, []string{"c:*"}},
		{"most of it", "*", []string{"a:One", "a:Two", "b:One", "b:Three"}, 6, []string{"*"}, []string{"b:Two", "c:*"}},
		{"whole services", "*", []string{"a:One", "a:Two"}, 6, []string{"a:*"}, nil},
		{"a few", "*", []string{"b:One", "c:One"}, 6, []string{"b:One", "c:*"}, nil},
		{"a few of a narrow pattern", "?:*One", []string{"c:One"}, 6, []string{"c:One"}, nil},
	} {
		got, but := actions.Describe(c.pattern, all, c.some, c.covered)
		if !slices.Equal(got, c.wantActions) || !slices.Equal(but, c.wantBut) {
			t.Errorf("%s: %q but for %q, want %q but for %q", c.name, got, but, c.wantActions, c.wantBut)
		}
	}
}

// TestOverlap compares with a search for a text that both patterns describe.
func TestOverlap(t *testing.T) {
	var texts []string
	for _, n := range []int{0, 1, 2, 3, 4} {
		texts = append(texts, words("ab", n)...)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		a, b := pattern(rng), pattern(rng)
		want := slices.ContainsFunc(texts, func(s string) bool { return policy.Glob(a, s) && policy.Glob(b, s) })
		if got := actions.Overlap(a, b); got != want {
			t.Fatalf("Overlap(%q, %q) = %v, want %v", a, b, got, want)
		}
	}
}

func words(letters string, n int) []string {
	if n == 0 {
		return []string{""}
	}
	var out []string
	for _, rest := range words(letters, n-1) {
		for _, l := range letters {
			out = append(out, string(l)+rest)
		}
	}
	return out
}

// pattern makes up a pattern of at most two letters and two wildcards, so that a
// text of four letters shows every overlap.
func pattern(rng *rand.Rand) string {
	out := ""
	for range rng.IntN(3) {
		out += string("ab*?"[rng.IntN(4)])
	}
	return out
}
