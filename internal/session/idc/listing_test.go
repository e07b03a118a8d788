package idc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/session/idc"
)

// A clock that was put back makes no list good for ever.
func TestListsFromTimesToComeAreOld(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	for at, want := range map[time.Time]int{time.Now().Add(-time.Hour): 1, time.Now().Add(time.Hour): 2, time.Now().Add(-13 * time.Hour): 2} {
		text := fmt.Appendf(nil, `{"startURL":"https://acme.awsapps.com/start","at":%q,"items":[{"id":"333333333333","name":"gone"}]}`, at.UTC().Format(time.RFC3339))
		if err := os.MkdirAll(filepath.Join(d.dir, "cache"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.dir, "cache", "acme.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.client().Accounts(t.Context(), idc.GoodFor); err != nil || len(got) != want {
			t.Errorf("listed at %s: got %v, %v, want %d", at, got, err, want)
		}
	}
}
