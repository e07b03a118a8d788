package machine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/machine"
)

// noted is a test that notes how it ends.
type noted struct {
	testing.TB
	end string
}

func (n *noted) Helper() {}

func (n *noted) Fatalf(format string, a ...any) { n.end = "failed: " + fmt.Sprintf(format, a...) }

func (n *noted) Skipf(format string, a ...any) { n.end = "skipped: " + fmt.Sprintf(format, a...) }

func TestNeeds(t *testing.T) {
	missing := errors.New("no such file")
	for _, c := range []struct {
		ci   string
		err  error
		want string
	}{
		{"", nil, ""},
		{"true", nil, ""},
		{"", missing, "skipped: zsh is not installed: no such file"},
		{"true", missing, "failed: zsh is not installed: no such file"},
	} {
		t.Setenv("CI", c.ci)
		n := &noted{}
		machine.Needs(n, "zsh", c.err)
		if !strings.HasPrefix(n.end, c.want) || c.want == "" && n.end != "" {
			t.Errorf("CI=%q, %v: %q, want %q", c.ci, c.err, n.end, c.want)
		}
	}
}
