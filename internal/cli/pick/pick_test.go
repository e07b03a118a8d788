package pick_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/cli/match"
	"github.com/stile-aws/stile/internal/cli/pick"
)

func items(names ...string) []pick.Item {
	var out []pick.Item
	for _, n := range names {
		name, weight, _ := strings.Cut(n, "*")
		out = append(out, pick.Item{Name: name, Text: match.Prepare(name), Weight: float64(len(weight))})
	}
	return out
}

// press types keys as a terminal sends them.
func press(t *testing.T, l *pick.List, keys string) pick.Outcome {
	t.Helper()
	in := []byte(keys)
	for len(in) > 0 {
		k, rest, ok := pick.Next(in)
		if !ok {
			t.Fatalf("%q is no whole key", in)
		}
		in = rest
		if o := l.Press(k); o != pick.Going {
			return o
		}
	}
	return pick.Going
}

func TestKeys(t *testing.T) {
	all := items("orders-dev/Admin", "orders-prod/Admin", "orders-prod/ReadOnly*1", "payroll-prod/Admin", "tooling/Admin*12")
	for _, c := range []struct {
		name, keys string
		outcome    pick.Outcome
		marked     string
	}{
		{"what was used most comes first", "", pick.Going, "tooling/Admin"},
		{"then by name", "\x1b[B\x1b[B", pick.Going, "orders-dev/Admin"},
		{"letters, and of what fits what was used most", "prod\r", pick.Picked, "orders-prod/ReadOnly"},
		{"arrow and enter", "prod\x1b[B\r", pick.Picked, "orders-prod/Admin"},
		{"application arrows, and ^N ^P", "\x1bOB\x0e\x0e\x10\x1bOA\r", pick.Picked, "orders-prod/ReadOnly"},
		{"no further than the end", "\x1b[F\x1b[B\r", pick.Picked, "payroll-prod/Admin"},
		{"no further than the beginning", "\x1b[B\x1b[H\x1b[A\r", pick.Picked, "tooling/Admin"},
		{"backspace", "payx\x7f\r", pick.Picked, "payroll-prod/Admin"},
		{"a word is erased", "payroll admon\x17\r", pick.Picked, "payroll-prod/Admin"},
		{"the line is erased", "zzz\x15\r", pick.Picked, "tooling/Admin"},
		{"nothing fits: enter does nothing", "zzz\r", pick.Going, ""},
		{"escape twice", "\x1b\x1b", pick.GivenUp, "tooling/Admin"},
		{"^C", "pay\x03", pick.GivenUp, "payroll-prod/Admin"},
		{"^D", "\x04", pick.GivenUp, "tooling/Admin"},
		{"keys that mean nothing", "\x1b[1;5C\x1b[200~\x1bx\x01\x1b[Z\t\r", pick.Picked, "tooling/Admin"},
		{"letters beyond ASCII", "ünï\x7f\x7f\x7f\r", pick.Picked, "tooling/Admin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := pick.New("", all)
			l.View(80, 24)
			outcome := press(t, l, c.keys)
			if item, _ := l.Marked(); outcome != c.outcome || item.Name != c.marked {
				t.Errorf("outcome %v, marked %q, want %v, %q", outcome, item.Name, c.outcome, c.marked)
			}
		})
	}
}

func TestView(t *testing.T) {
	l := pick.New("choose", []pick.Item{{Name: "a", Note: "first"}, {Name: "longer", Note: "\x1b[31mred"}, {Name: "c"}})
	want := []string{"> ", "  3 of 3 · choose", "▌ a       first", "  c", "  longer  ·[31mred"}
	if diff := cmp.Diff(want, l.View(80, 24)); diff != "" {
		t.Errorf("View (-want +got):\n%s", diff)
	}
	press(t, l, "\x1b[B\x1b[B")
	if diff := cmp.Diff([]string{"> ", "  3 of 3 ·", "▌ longer  "}, l.View(10, 3)); diff != "" {
		t.Errorf("View of three lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"> ", "▌ longe"}, l.View(7, 2)); diff != "" {
		t.Errorf("View of two lines (-want +got):\n%s", diff)
	}
	// No size breaks it, and the marked line is seen wherever two lines are.
	for width := range 20 {
		for height := range 10 {
			lines := l.View(width, height)
			if len(lines) > max(1, height) {
				t.Fatalf("%d lines of %d", len(lines), height)
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > max(1, width) {
					t.Fatalf("%q is wider than %d", line, width)
				}
			}
			if height >= 2 && width > 2 && !strings.Contains(strings.Join(lines, "\n"), "▌") {
				t.Errorf("%d×%d does not show what is marked: %q", width, height, lines)
			}
		}
	}
}

func TestNewItemsKeepTheMark(t *testing.T) {
	l := pick.New("", items("a-prod", "b-prod", "c"))
	press(t, l, "prod\x1b[B")
	l.SetItems(items("a-dev", "a-prod", "aa-prod", "b-prod", "c"))
	if item, _ := l.Marked(); item.Name != "b-prod" {
		t.Errorf("marked is %q, want b-prod", item.Name)
	}
	l.SetItems(items("aa-prod", "c"))
	if item, _ := l.Marked(); item.Name != "aa-prod" {
		t.Errorf("marked is %q, want what is left", item.Name)
	}
	l.SetItems(nil)
	if _, ok := l.Marked(); ok {
		t.Error("something is marked of nothing")
	}
	press(t, l, "\x1b[B\x1b[6~\x1b[A\r")
}

// Keys may come in any pieces: none is lost, none hangs.
func FuzzKeys(f *testing.F) {
	f.Add("prod\x1b[B\r")
	f.Add("\x1b[")
	f.Add("\x1b[1;5C\xe2\x82")
	f.Add("\x1b\x1b[A")
	f.Fuzz(func(t *testing.T, in string) {
		l := pick.New("", items("a", "b"))
		left := []byte(in)
		for {
			k, rest, ok := pick.Next(left)
			if !ok {
				break
			}
			if len(rest) >= len(left) {
				t.Fatalf("%q: a key of no length at %q", in, left)
			}
			left = rest
			l.Press(k)
			l.View(10, 5)
		}
		if len(left) > 32+utf8.UTFMax {
			t.Errorf("%q is taken for the beginning of a key", left)
		}
	})
}

// One letter typed into 3,000 things: search, order and draw.
func BenchmarkType3000(b *testing.B) {
	var all []pick.Item
	for i := range 3000 {
		name := fmt.Sprintf("team-%d-%s/PowerUserAccess", i%700, []string{"dev", "staging", "prod"}[i%3])
		all = append(all, pick.Item{Name: name, Text: match.Prepare(name, fmt.Sprintf("%012d/PowerUserAccess", 100000000000+i)), Weight: float64(i % 7)})
	}
	l := pick.New("", all)
	for _, query := range []string{"t", "prod", "tmprdpow", "prod power 17"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				l.Type(query)
				l.View(200, 60)
			}
			if per := b.Elapsed() / time.Duration(b.N); per > 0 {
				b.ReportMetric(float64(per.Microseconds())/1000, "ms/key")
			}
		})
	}
}
