package witness_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/authz/internal/witness"
	"github.com/stile-aws/stile/internal/scalar"
)

// Every number must compare with all the given ones as one of the witnesses does.
func TestNumbersStandForAllOthers(t *testing.T) {
	decimal := rapid.StringMatching(`-?[0-9]{1,3}(\.[0-9]{1,3})?`)
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.SliceOfN(decimal, 0, 4).Draw(t, "given")
		compare := func(s string) string {
			v, ok := scalar.ParseDecimal(s)
			if !ok {
				t.Fatalf("%q is no decimal", s)
			}
			var b strings.Builder
			for _, g := range given {
				d, _ := scalar.ParseDecimal(g)
				b.WriteByte("<=>"[v.Compare(d)+1])
			}
			return b.String()
		}
		have := map[string]bool{}
		for _, w := range witness.Numbers(given) {
			have[compare(w)] = true
		}
		if other := decimal.Draw(t, "other"); !have[compare(other)] {
			t.Errorf("no witness among %v compares with %v as %s does", witness.Numbers(given), given, other)
		}
	})
}

func TestTimesStandForAllOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(int64(rapid.IntRange(0, 5).Draw(t, "second")), int64(rapid.IntRange(0, 2).Draw(t, "nano")))
		})
		given := rapid.SliceOfN(moment, 0, 4).Draw(t, "given")
		compare := func(v time.Time) string {
			var b strings.Builder
			for _, g := range given {
				b.WriteByte("<=>"[v.Compare(g)+1])
			}
			return b.String()
		}
		have := map[string]bool{}
		for _, w := range witness.Times(given) {
			v, ok := scalar.ParseDate(w)
			if !ok {
				t.Fatalf("%q is no date", w)
			}
			have[compare(v)] = true
		}
		if other := moment.Draw(t, "other"); !have[compare(other)] {
			t.Errorf("no witness compares with %v as %v does", given, other)
		}
	})
}

func TestTextsEndWithOneThatIsNoneOfThem(t *testing.T) {
	got := witness.Texts([]string{"b", "~~", "a", "b"})
	if want := []string{"", "a", "b", "~~", "~~~"}; !slices.Equal(got, want) {
		t.Errorf("Texts = %q, want %q", got, want)
	}
}

func TestSpellingsDifferInCaseOnly(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want int
	}{{"ab", 2, 3}, {"ab", 9, 4}, {"12", 3, 1}, {"", 1, 1}} {
		got := witness.Spellings(tt.s, tt.n)
		if len(got) != tt.want || len(slices.Compact(slices.Sorted(slices.Values(got)))) != tt.want {
			t.Errorf("Spellings(%q, %d) = %q, want %d different", tt.s, tt.n, got, tt.want)
		}
		for _, s := range got {
			if !strings.EqualFold(s, tt.s) {
				t.Errorf("Spellings(%q) has %q", tt.s, s)
			}
		}
	}
}

func TestListsHaveSeveralValues(t *testing.T) {
	got := witness.Lists([]string{"a", "b", "c"})
	if len(got) != 3+4 {
		t.Errorf("Lists = %q, want 7", got)
	}
	for _, list := range got {
		if len(list) < 2 {
			t.Errorf("Lists has %q", list)
		}
	}
}
