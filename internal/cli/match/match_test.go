package match_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/match"
)

func TestMatch(t *testing.T) {
	text := []string{"orders-prod/ReadOnly", "222222222222/ReadOnly", "env=prod"}
	for _, c := range []struct {
		name, query string
		want        match.Grade
	}{
		{"nothing typed", "", match.Start},
		{"the beginning", "orders", match.Start},
		{"the beginning of a word", "prod", match.Start},
		{"a capital begins a word", "only", match.Start},
		{"within a word", "rders", match.Inside},
		{"upper and lower case", "ORDERS-prod/readonly", match.Start},
		{"letters in their order", "ordro", match.Letters},
		{"letters in another order", "roord", match.None},
		{"an id", "2222", match.Start},
		{"digits are not scattered", "22/22", match.None},
		{"both sides of the slash", "prod/read", match.Start},
		{"both sides, by id", "222222222222/only", match.Start},
		{"a side without", "/read", match.Start},
		{"too many sides", "orders/prod/read", match.None},
		{"a label", "env=prod", match.Start},
		{"the value of a label", "=prod", match.Start},
		{"several words, all fit", "read  orders", match.Start},
		{"several words, the worst counts", "orders rea ordro", match.Letters},
		{"several words, one does not fit", "orders admin", match.None},
		{"longer than everything", strings.Repeat("o", 100), match.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, prepared := match.Parse(c.query), match.Prepare(text...)
			if got, _ := q.Match(&prepared); got != c.want {
				t.Errorf("Match(%q) = %v, want %v", c.query, got, c.want)
			}
		})
	}
}

// Of two texts that fit equally well the first is the better one.
func TestBetterOnesScoreMore(t *testing.T) {
	for query, texts := range map[string][2]string{
		"prod": {"prod/a", "prod-two/a"},
		"opr":  {"orders-prod/ReadOnly", "other-department/Reader"},
		"tm1":  {"team-1/a", "tumult-for-1/a"},
	} {
		q := match.Parse(query)
		better, worse := match.Prepare(texts[0]), match.Prepare(texts[1])
		g1, s1 := q.Match(&better)
		g2, s2 := q.Match(&worse)
		if g1 != g2 || s1 <= s2 {
			t.Errorf("%q: %s has %v, %d; %s has %v, %d; want the first better", query, texts[0], g1, s1, texts[1], g2, s2)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("prod/read", "orders-prod/ReadOnly")
	f.Add("Ünï ß", "ÜNÏCODE/ß")
	f.Add("\xff/", "\xff\x00/")
	f.Fuzz(func(t *testing.T, query, text string) {
		q, prepared := match.Parse(query), match.Prepare(text)
		grade, _ := q.Match(&prepared)
		// Whatever is in the text as it was typed, fits.
		whole := q.Empty()
		if fields := strings.Fields(query); len(fields) == 1 && !strings.Contains(query, "/") {
			whole = strings.Contains(strings.ToLower(text), strings.ToLower(fields[0]))
		}
		if whole && strings.ToValidUTF8(text, "") == text && text != "" && grade < match.Inside {
			t.Errorf("%q in %q is %v", query, text, grade)
		}
	})
}

// Each key that is typed into a picker of 3,000 things looks through them all.
func BenchmarkMatch3000(b *testing.B) {
	var texts []match.Text
	for i := range 3000 {
		texts = append(texts, match.Prepare(fmt.Sprintf("team-%d-%s/PowerUserAccess", i%700, []string{"dev", "staging", "prod"}[i%3]), fmt.Sprintf("%012d/PowerUserAccess", 1e11+i)))
	}
	for _, query := range []string{"t", "prod", "tmprdpow", "prod power 17"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				q := match.Parse(query)
				for i := range texts {
					q.Match(&texts[i])
				}
			}
		})
	}
}
