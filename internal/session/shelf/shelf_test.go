package shelf_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/session/shelf"
)

func TestGood(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		fetched     time.Duration // before now
		left        time.Duration
		valid, good bool
	}{
		{"plenty is left", time.Hour, time.Hour, true, true},
		{"exactly the margin is left", time.Hour, shelf.Margin, true, true},
		{"less than the margin is left", time.Hour, shelf.Margin - time.Second, true, false},
		{"little is left, and there is no more to be had", 30 * time.Second, time.Minute, true, true},
		{"it has just ended", time.Hour, 0, false, false},
		{"it ended although it was just fetched", time.Second, -time.Second, false, false},
		{"clocks differ a little", -10 * time.Second, time.Hour, true, true},
		{"the clock was set back", -time.Hour, 5 * time.Hour, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := shelf.Credentials{Fetched: now.Add(-c.fetched), Expires: now.Add(c.left)}
			if k.Valid(now) != c.valid || k.Good(now) != c.good {
				t.Errorf("valid %t, good %t, want %t and %t", k.Valid(now), k.Good(now), c.valid, c.good)
			}
		})
	}
}

// Whatever is in the files, what is given is whole and of the request.
func FuzzFiles(f *testing.F) {
	f.Add([]byte(`{"key":"k","fetched":"2026-11-22T12:00:00Z","accessKeyId":"ASIA","secretAccessKey":"s","sessionToken":"t","expires":"2026-11-22T13:00:00Z"}`), []byte(`{"key":"k"}`))
	f.Add([]byte(`{"key":"k"`), []byte(`null`))
	f.Add([]byte("\x00"), []byte(`{"key":7}`))
	dir := f.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	s := shelf.At(dir)
	if s == nil {
		f.Fatal("a directory of mode 0700 is not taken")
	}
	f.Fuzz(func(t *testing.T, credentials, alias []byte) {
		for file, text := range map[string][]byte{s.Credentials("k"): credentials, s.Aliases("n"): alias} {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if c, ok := s.Get("k"); ok && (c.Key != "k" || c.AccessKeyID == "" || c.SecretAccessKey == "" || c.Expires.IsZero()) {
			t.Errorf("%q gives credentials %v", credentials, c)
		}
		if a, ok := s.Alias("n"); ok && a.Key == "" {
			t.Errorf("%q gives a name of nothing", alias)
		}
	})
}
