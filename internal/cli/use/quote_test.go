package use_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/deliver/env"
)

// odd is what shells do something with.
var odd = []string{
	"'", `"`, "`", "$", "$(id)", "${HOME}", `\`, `\'`, `\n`, "\n", "\r", "\t", " ", "  ", "!", "!!", "#", "*", "?", "~", "{a,b}", "[x]", ";", "&", "&&", "|", "<", ">",
	"(", ")", "%", "%s", "=", "-", "--", "@", "^", "a", "Z", "7", "é", "日本", "\x01", "\x1b[31m", "'\\''", "\\\n",
}

func value(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString(odd[r.IntN(len(odd))])
	}
	return b.String()
}

// Words survive the shells exactly.
func TestQuote(t *testing.T) {
	w := &routetest.World{Dir: t.TempDir()}
	words := slices.Concat(odd, []string{"", "\n", "\n\n", "trailing\n", "\nleading"})
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		words = append(words, value(r))
	}
	everywhere(t, func(t *testing.T, sh shell) {
		var quoted []string
		for _, word := range words {
			quoted = append(quoted, env.Quote(sh.name, word))
		}
		cmd := w.Command(t, sh.name, append(sh.args, `printf '%s\0' `+strings.Join(quoted, " "))...)
		got := strings.Split(strings.TrimSuffix(routetest.Run(t, cmd).Stdout, "\x00"), "\x00")
		if len(got) != len(words) {
			t.Fatalf("%d words came out, want %d", len(got), len(words))
		}
		for i := range words {
			if got[i] != words[i] {
				t.Errorf("%q came out as %q", words[i], got[i])
			}
		}
	})
}

// What the environment held comes back exactly, whatever it was: what programs may
// see, and what the shell kept to itself.
func TestValuesComeBackExactly(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	names := []string{"AWS_ROLE_SESSION_NAME", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SECURITY_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}
	for i := range 30 {
		names = append(names, fmt.Sprintf("AWS_CONTAINER_%d", i))
	}
	everywhere(t, func(t *testing.T, sh shell) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 2 {
			environ := []string{"LC_ALL=C.UTF-8"} // in others fish alters letters beyond ASCII as it starts
			for _, name := range names {
				environ = append(environ, name+"="+value(r))
			}
			got := sh.run(t, w, environ, "stile use orders-prod/payroll-api", "env -0 >inside", "stile use --off", "env -0 >after")
			if got.Code != 0 || got.Stderr != "" && !strings.Contains(got.Stderr, "stile-use") {
				t.Fatalf("exit %d, %s", got.Code, got.Stderr)
			}
			inside, after := strings.Split(read(t, w, "inside"), "\x00"), strings.Split(read(t, w, "after"), "\x00")
			for _, v := range environ[1:] {
				if name, _, _ := strings.Cut(v, "="); slices.ContainsFunc(inside, func(have string) bool { return strings.HasPrefix(have, name+"=") }) {
					t.Errorf("programs of the shell see %s", name)
				}
				if !slices.Contains(after, v) {
					t.Errorf("%q did not come back", v)
				}
			}
		}
	})
}

// Names of accounts are others' to choose.
func TestAddressesAreNoCode(t *testing.T) {
	w := routetest.New(t)
	for _, name := range []string{`$(touch code)`, "`touch code`", `';touch code;'`, "a\ntouch code\n", `\'; touch code #`} {
		w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: me\n    profile: {name: network}\n")
		everywhere(t, func(t *testing.T, sh shell) {
			r := sh.run(t, w, nil, "stile use --env --region "+env.Quote(sh.name, name)+" me", `printf '%s' "$AWS_REGION" >region`)
			if r.Code != 0 {
				t.Errorf("exit %d, %s", r.Code, r.Stderr)
			}
			if got := read(t, w, "region"); got != name {
				t.Errorf("the Region is %q, want %q", got, name)
			}
			if slices.Contains(names(t, w), "code") {
				t.Errorf("%q was run", name)
			}
		})
	}
}
