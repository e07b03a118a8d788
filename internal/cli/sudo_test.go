package cli_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/term"
)

// What root writes into a person's home is closed to the person.
func TestRootIsToldOfAHomeThatIsAnothers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give directories away")
	}
	theirs := t.TempDir()
	if err := os.Chown(theirs, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		home, caller string
		told         bool
	}{{theirs, "65534", true}, {theirs, "", false}, {t.TempDir(), "65534", false}} {
		t.Setenv("SUDO_UID", c.caller)
		var out, errs bytes.Buffer
		s := &term.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(name string) (string, bool) { return c.home, name == "HOME" }}
		if code := cli.Main([]string{"--version"}, s); code != 0 {
			t.Errorf("exit %d, %s", code, errs.String())
		}
		if told := strings.Contains(errs.String(), "sudo -H"); told != c.told {
			t.Errorf("home %s, called by %q: said %q, want told %t", c.home, c.caller, errs.String(), c.told)
		}
	}
}
