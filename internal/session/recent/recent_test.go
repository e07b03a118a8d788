package recent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/session/recent"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func weights(t *testing.T, l *recent.Log) map[string]float64 {
	t.Helper()
	w, err := l.Weights(now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func add(t *testing.T, l *recent.Log, address string, ago time.Duration) {
	t.Helper()
	if err := l.Add(t.Context(), address, now.Add(-ago)); err != nil {
		t.Fatal(err)
	}
}

func TestOftenAndOfLateWeighMore(t *testing.T) {
	l := &recent.Log{Dir: filepath.Join(t.TempDir(), "state")}
	if w := weights(t, l); len(w) != 0 {
		t.Errorf("without a file there is %v", w)
	}
	const day = 24 * time.Hour
	add(t, l, "long ago", 70*day)
	add(t, l, "twice last week", 7*day)
	add(t, l, "twice last week", 7*day)
	add(t, l, "thrice", day)
	add(t, l, "thrice", day)
	add(t, l, "thrice", day)
	add(t, l, "today", time.Hour)
	add(t, l, "tomorrow", -day)
	add(t, l, "it's \"odd\"\nreally", 0)
	w := weights(t, l)
	if !(w["thrice"] > w["tomorrow"] && w["tomorrow"] == 1 && w["tomorrow"] > w["today"] && w["today"] > 0.9 && w["long ago"] < 0.01) {
		t.Errorf("weights %v", w)
	}
	if got := w["twice last week"]; got != 1 {
		t.Errorf("two uses a week ago weigh %v, want 1", got)
	}
	if w["it's \"odd\"\nreally"] != 1 {
		t.Errorf("an odd address is lost: %v", w)
	}
	info, err := os.Stat(filepath.Join(l.Dir, "recent"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestDamageCostsWhatIsDamaged(t *testing.T) {
	l := &recent.Log{Dir: t.TempDir()}
	add(t, l, "a", 0)
	path := filepath.Join(l.Dir, "recent")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]string{
		"half a line":   string(text) + string(text[:len(text)/2]),
		"binary":        "\x00\xff\xfe\n" + string(text),
		"no number":     "x \"b\"\n" + string(text),
		"no quotes":     "17 b\n" + string(text),
		"empty":         "\n\n" + string(text),
		"far too large": strings.Repeat("\x00", 1<<20) + "\n" + string(text),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			add(t, l, "b", 0)
			if w := weights(t, l); w["a"] != 1 || w["b"] != 1 || len(w) != 2 {
				t.Errorf("weights %v, want a and b", w)
			}
			if info, err := os.Stat(path); err != nil || info.Size() > 128<<10 {
				t.Errorf("it has %d bytes, %v", info.Size(), err)
			}
		})
	}
}

func TestLogStaysShortAndKeepsTheLatest(t *testing.T) {
	l := &recent.Log{Dir: t.TempDir()}
	long := strings.Repeat("x", 1000)
	for i := range 200 {
		add(t, l, fmt.Sprint(long, i), 0)
	}
	info, err := os.Stat(filepath.Join(l.Dir, "recent"))
	if err != nil || info.Size() > 66<<10 {
		t.Fatalf("%d bytes, %v", info.Size(), err)
	}
	if w := weights(t, l); w[long+"199"] != 1 {
		t.Error("the last use is lost")
	}
}

func TestUsesAtOnceAreAllKept(t *testing.T) {
	l := &recent.Log{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			other := &recent.Log{Dir: l.Dir}
			for range 20 {
				if err := other.Add(t.Context(), "a", now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if w := weights(t, l); w["a"] != 160 {
		t.Errorf("weight %v, want 160", w["a"])
	}
}

func TestLatestComeFirst(t *testing.T) {
	l := &recent.Log{Dir: filepath.Join(t.TempDir(), "state")}
	if got, err := l.Latest(); err != nil || len(got) != 0 {
		t.Errorf("without a file: %v, %v", got, err)
	}
	add(t, l, "b", 2*time.Hour)
	add(t, l, "a", 3*time.Hour)
	add(t, l, "c", time.Hour)
	add(t, l, "a", time.Minute)
	add(t, l, "late in the file", 4*time.Hour)
	got, err := l.Latest()
	if want := []string{"a", "c", "b", "late in the file"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Latest = %q, %v, want %q", got, err, want)
	}
}
