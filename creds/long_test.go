package creds_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-aws/stile/creds"
)

func TestRetrieveLong(t *testing.T) {
	const least = 15 * time.Minute
	for _, c := range []struct {
		name  string
		life  time.Duration
		after time.Duration
		down  bool
		want  string // access key id
	}{
		{"plenty is left", time.Hour, 44 * time.Minute, false, "ASIA1"},
		{"too little is left", time.Hour, 45*time.Minute + time.Second, false, "ASIA2"},
		{"too little is left, before half of its life", 18 * time.Minute, 4 * time.Minute, false, "ASIA2"},
		{"there never is more", 15 * time.Minute, 7 * time.Minute, false, "ASIA1"},
		{"there never is more, past half of its life", 15 * time.Minute, 8 * time.Minute, false, "ASIA2"},
		{"AWS is down", time.Hour, 50 * time.Minute, true, "ASIA1"},
		{"it lasts for ever", 0, 1000 * time.Hour, false, "ASIA1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &source{life: c.life, delay: time.Second}
			bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
				get(t, p)
				time.Sleep(c.after)
				if c.down {
					s.fail(errors.New("no answer"))
				}
				got, err := p.RetrieveLong(t.Context(), least)
				if err != nil || got.AccessKeyID != c.want {
					t.Errorf("RetrieveLong = %s, %v, want %s", got.AccessKeyID, err, c.want)
				}
				start := time.Now()
				if _, err := p.RetrieveLong(t.Context(), least); err != nil || time.Since(start) > 0 {
					t.Errorf("the next one took %s, %v, want none, whatever became of the first", time.Since(start), err)
				}
				synctest.Wait()
			})
		})
	}
}
