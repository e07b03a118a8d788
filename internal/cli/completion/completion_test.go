package completion_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/completion"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/machine"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// world is somebody's files, as stile and AWS's tools leave them, and no network:
// what would call or ask fails.
func world(t *testing.T) *routetest.World {
	t.Helper()
	dir := t.TempDir()
	w := &routetest.World{Dir: dir, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL=http://127.0.0.1:1", "STILE_NO_LOGIN=1", "STILE_BROKER=off", "GORACE=atexit_sleep_ms=0",
	}}
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
  - name: other
    identityCenter: {startURL: "https://other.awsapps.com/start", region: us-east-1}
  - name: dana
    user: {}
sessions:
  - {name: prod-db, source: acme, account: orders-prod, role: Admin, labels: {env: prod, team: orders}}
groups: [{name: friday, members: [prod-db, "pay roll/Power User"]}]
`)
	w.Write(t, ".cache/stile/idc/acme.json", `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":[{"id":"222222222222","name":"orders-prod"},{"id":"333333333333","name":"orders-dev"},{"id":"444444444444","name":"pay roll"}]}`)
	w.Write(t, ".cache/stile/idc/acme/222222222222.json", `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":["Admin","ReadOnly"]}`)
	w.Write(t, ".cache/stile/idc/acme/444444444444.json", `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":["Power User"]}`)
	w.Write(t, ".cache/stile/idc/other.json", "{broken")
	w.Write(t, ".aws/config", "[profile mine]\naws_access_key_id = x\n[profile region-only]\nregion = eu-west-1\n[profile ours]\ncredential_process = stile credential-process x/y\n")
	w.Write(t, ".local/state/stile/scopes/payroll/routes.json", `{"scope":"payroll","accounts":{"222222222222":"orders-prod"},"labels":{"222222222222":{"env":"prod"}},
		"routes":[{"access":"a","address":"orders-prod/payroll-api","caller":{"name":"serviceaccount:ci/payroll/api"},"hops":[{"role":"arn:aws:iam::222222222222:role/payroll-api"}]}]}`)
	return w
}

// complete asks as the shells' scripts do, and gives the names and the directive.
func complete(t *testing.T, w *routetest.World, words ...string) (names []string, directive string) {
	t.Helper()
	r := w.Stile(t, nil, append([]string{"__complete"}, words...)...)
	if r.Code != 0 || strings.Contains(r.Stderr, "stile:") {
		t.Errorf("stile __complete %q: exit %d, %s", words, r.Code, r.Stderr)
	}
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

const noFile, noSpace, files = ":4", ":6", ":0"

func TestComplete(t *testing.T) {
	w := world(t)
	for _, c := range []struct {
		words     string // by |
		want      []string
		directive string
	}{
		{"exec|", []string{"dana", "mine", "orders-dev/", "orders-prod/", "orders-prod/payroll-api", "pay roll/", "prod-db"}, noSpace},
		{"exec|orders-prod/", []string{"orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api"}, noFile},
		{"exec|222222222222/R", []string{"222222222222/ReadOnly"}, noFile},
		{"exec|acme:orders-p", []string{"acme:orders-prod/"}, noSpace},
		{"exec|acme:orders-prod/A", []string{"acme:orders-prod/Admin"}, noFile},
		{"exec|pay roll/", []string{"pay roll/Power User"}, noFile},
		{"exec|nothing", nil, noFile},
		{"exec|prod-db|--|", nil, files},
		{"exec|prod-db|--|aws|", nil, files},
		{"use|prod-d", []string{"prod-db"}, noFile},
		{"use|prod-db|", nil, noFile},
		{"env|--confirm|orders-", []string{"orders-dev", "orders-prod"}, noFile},
		{"env|--confirm|2222", []string{"222222222222"}, noFile},
		{"env|--as|", []string{"serviceaccount:ci/payroll/api"}, noFile},
		{"each|prod-db|p", []string{"pay roll/"}, noSpace},
		{"each|prod-db|f", []string{"friday"}, noFile},
		{"each|--except|f", []string{"friday"}, noFile},
		{"exec|f", nil, noFile},
		{"ls|--group|", []string{"friday"}, noFile},
		{"sessions|add|x|--member|prod", []string{"prod-db"}, noFile},
		{"sessions|edit|f", []string{"friday"}, noFile},
		{"each|prod-db|--|", nil, files},
		{"config|write|orders-prod/R", []string{"orders-prod/ReadOnly"}, noFile},
		{"login|", []string{"acme", "dana", "other"}, noFile},
		{"rotate|", []string{"dana", "mine"}, noFile},
		{"sessions|rm|prod-db|", []string{"acme", "dana", "friday", "other"}, noFile},
		{"ls|--label|", []string{"env=", "team="}, noSpace},
		{"ls|--label|env=", []string{"env=prod"}, noFile},
		{"ls|--source|a", []string{"acme"}, noFile},
		{"console|--region|eu-west-", []string{"eu-west-1", "eu-west-2", "eu-west-3"}, noFile},
		{"lint|--own-accounts|222222222222,orders-d", []string{"222222222222,orders-dev"}, noFile},
		{"lint|--fail-on|h", []string{"high"}, noFile},
		{"shell-init|", []string{"bash", "fish", "zsh"}, noFile},
	} {
		t.Run(c.words, func(t *testing.T) {
			got, directive := complete(t, w, strings.Split(c.words, "|")...)
			slices.Sort(got)
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" || directive != c.directive {
				t.Errorf("directive %s, want %s; names (-want +got):\n%s", directive, c.directive, diff)
			}
		})
	}
}

// Declarations of the working directory may have been applied by others.
func TestDeclarationsAreKnownBeforeTheyAreApplied(t *testing.T) {
	w := world(t)
	w.Env = append(w.Env, "STILE_DECLARATIONS="+routetest.Example(t, "payroll"))
	got, _ := complete(t, w, "use", "orders-prod/")
	slices.Sort(got)
	if want := []string{"orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api", "orders-prod/target-account-iam-role"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

// What is broken is not known, and nothing is said of it at a prompt.
func TestNothingFailsAtThePrompt(t *testing.T) {
	w := world(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources: [")
	w.Write(t, ".local/state/stile/scopes/payroll/routes.json", "{")
	if got, _ := complete(t, w, "exec", ""); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("names %q, want what is left", got)
	}
	w.Env = []string{"PATH=" + os.Getenv("PATH")}
	if got, _ := complete(t, w, "exec", ""); len(got) != 0 {
		t.Errorf("without HOME there is %q", got)
	}
}

// Every command that takes an address completes it: a new one has to be named in
// package completion too.
func TestEveryCommandThatTakesAnAddressCompletesIt(t *testing.T) {
	root := cli.Root(cli.System())
	completion.Add(root, cli.System(), nil)
	n := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Flags().Lookup("no-broker") != nil { // of route.Options
			n++
			if c.ValidArgsFunction == nil {
				t.Errorf("%s takes addresses and does not complete them", c.CommandPath())
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if n < 8 {
		t.Errorf("only %d commands take addresses", n)
	}
}

// The generated scripts, in the shells themselves.
func TestScripts(t *testing.T) {
	const bashCompletion = "/usr/share/bash-completion/bash_completion"
	w := world(t)
	for _, c := range []struct {
		shell, script string
		need          string // a file, "" for none
		want          string
	}{
		{"bash", `source ` + bashCompletion + `
source <(stile completion bash)
COMP_LINE='stile exec orders-prod/' COMP_POINT=23 COMP_WORDS=(stile exec orders-prod/) COMP_CWORD=2 COMP_TYPE=9
__start_stile
printf '%s\n' "${COMPREPLY[@]}" | sort`, bashCompletion, "orders-prod/Admin\norders-prod/ReadOnly\norders-prod/payroll-api"},
		{"fish", "stile completion fish | source\ncomplete -C 'stile exec orders-prod/' | sort", "", "orders-prod/Admin\norders-prod/ReadOnly\norders-prod/payroll-api"},
		{"zsh", `autoload -U compinit && compinit -D -u
source <(stile completion zsh)
compadd() { : }; _describe() { eval "print -rl -- \"\${(@P)2}\"" | sort; return 0 }
words=(stile exec orders-prod/) CURRENT=3
_stile`, "", "orders-prod/Admin\norders-prod/ReadOnly\norders-prod/payroll-api"},
	} {
		t.Run(c.shell, func(t *testing.T) {
			_, err := exec.LookPath(c.shell)
			if _, missing := os.Stat(c.need); err == nil && c.need != "" {
				err = missing
			}
			machine.Needs(t, c.shell, err)
			args := map[string][]string{"bash": {"--norc", "-c"}, "zsh": {"-f", "-c"}, "fish": {"--no-config", "-c"}}[c.shell]
			routetest.Run(t, w.Command(t, c.shell, append(args, c.script)...)).Want(t, c.want)
		})
	}
}

// A prompt waits for this: 3,000 roles of 700 accounts are known.
func BenchmarkComplete(b *testing.B) {
	dir := b.TempDir()
	w := &routetest.World{Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
	w.Write(b, ".config/stile/sessions.yaml", "sources:\n  - name: acme\n    identityCenter: {startURL: \"https://acme.awsapps.com/start\", region: us-east-1}\n")
	var accounts []string
	for i := range 700 {
		accounts = append(accounts, fmt.Sprintf(`{"id":"%012d","name":"team-%d"}`, i, i))
		w.Write(b, filepath.Join(".cache/stile/idc/acme", fmt.Sprintf("%012d.json", i)), `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":["Admin","Power","ReadOnly","View"]}`)
	}
	w.Write(b, ".cache/stile/idc/acme.json", `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":[`+strings.Join(accounts, ",")+`]}`)
	for _, text := range []string{"", "team-17/"} {
		b.Run("text="+text, func(b *testing.B) {
			for b.Loop() {
				w.Stile(b, nil, "__complete", "exec", text)
			}
		})
	}
}

// What several names begin with a shell puts onto the command line as it is, and runs
// what is in it when it is asked again.
func TestNamesThatAShellWouldRunAreNotCompleted(t *testing.T) {
	w := world(t)
	w.Write(t, ".cache/stile/idc/acme.json", `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":[`+
		`{"id":"222222222222","name":"dev$(touch ran)1"},{"id":"333333333333","name":"dev$(touch ran)2"},{"id":"444444444444","name":"-x"},{"id":"555555555555","name":"R&D `+"`id`"+`"}]}`)
	w.Write(t, ".cache/stile/idc/acme/555555555555.json", `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":["Admin"]}`)
	for words, want := range map[string][]string{
		"exec|":              {"222222222222/", "333333333333/", "444444444444/", "555555555555/", "dana", "mine", "orders-prod/payroll-api", "prod-db"},
		"exec|dev":           {},
		"exec|acme:5":        {"acme:555555555555/"},
		"exec|555555555555/": {"555555555555/Admin"},
		"exec|--confirm|":    {"222222222222", "333333333333", "444444444444", "555555555555", "orders-prod"},
	} {
		if got, _ := complete(t, w, strings.Split(words, "|")...); !cmp.Equal(got, want) {
			t.Errorf("%s: %s", words, cmp.Diff(want, got))
		}
	}
}
