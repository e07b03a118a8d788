// Package layers_test holds the floors of docs/architecture.md: a package
// imports from lower floors only, the pure core imports nothing that acts, and
// libraries that must stay out of most of the program do.
package layers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stile-aws/stile"

// floors, ground first. A name covers the packages below it; the longest name
// that fits a package counts. Packages of one floor may import each other only
// inside one name.
var floors = [][]string{
	{"arn", "internal/glob", "internal/growth", "internal/atomicfile", "internal/filelock", "internal/peer", "internal/surroundings", "internal/used", "internal/scalar", "internal/scene", "internal/machine"},
	{"policy"},
	{"authz", "internal/diag", "internal/awserr"},
	{"authz/remedy", "internal/catalog", "internal/corpus", "internal/settings"},
	{"access", "internal/inventory"},
	{"internal/ledger", "internal/importer"},
	{"internal/compile"},
	{"internal/effective"},
	{"internal/reach", "internal/plan", "internal/verify", "internal/render", "internal/localaws"},
	{"internal/lint"},
	{"creds", "internal/kube", "internal/secretstore", "internal/awsendpoint", "internal/program"},
	{""}, // package stile, the module's root
	{"internal/observe", "internal/apply", "internal/probe", "internal/session", "internal/guard", "internal/issuelog"},
	{"internal/scope", "internal/handout"},
	{"internal/deliver", "api"},
	{"internal/broker", "stiletest"},
	{"internal/early", "internal/operator", "internal/agent", "internal/web", "internal/demo"},
	{"internal/cli"},
	{"cmd", "tools"},
}

// pure packages take no context, clock, network, logger, environment or AWS SDK.
var pure = []string{
	"arn", "internal/glob", "internal/scalar", "policy", "authz", "internal/diag", "internal/catalog", "access", "internal/inventory", "internal/ledger", "internal/importer",
	"internal/effective", "internal/compile", "internal/plan", "internal/verify", "internal/reach", "internal/lint", "internal/render",
}

var impure = []string{"net", "net/http", "os/exec", "log", "log/slog", "context", "github.com/aws/"}

// quarantine maps an import prefix to the names that may have it.
var quarantine = map[string][]string{
	"k8s.io/":                {"api", "internal/operator", "internal/agent", "cmd/stile-operator", "cmd/stile-agent"},
	"sigs.k8s.io/":           {"api", "internal/operator", "internal/agent", "cmd/stile-operator", "cmd/stile-agent"},
	"github.com/spf13/cobra": {"internal/cli"},
}

// forLocalAWS is what the embedded AWS may import of this module: it must stay
// independent of what is tested against it.
var forLocalAWS = []string{"arn", "policy", "authz", "internal/catalog", "internal/localaws"}

// elsewhere is what the command line links none of: people start it all day.
var elsewhere = []string{"k8s.io/", "sigs.k8s.io/", "github.com/kubernetes"}

func TestTheCommandLineLinksNoKubernetes(t *testing.T) {
	all := linked(t, "cmd/stile")
	if !slices.Contains(all, module+"/internal/cli") {
		t.Fatalf("go list gave %d packages, and internal/cli is none of them", len(all))
	}
	for _, name := range all {
		if slices.ContainsFunc(elsewhere, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			t.Errorf("the command line links %s", name)
		}
	}
}

// early is what package early may link of this module. More would be initialised
// before it answers, or would have it answer later than it could.
var early = []string{
	"internal/early", "internal/handout", "internal/surroundings", "internal/used", "internal/issuelog", "internal/session/shelf", "internal/deliver/process/wire",
}

// A test of cmd/stile looks at the real order; this one says where an import came from.
func TestEarlyLinksLittle(t *testing.T) {
	for _, name := range linked(t, "internal/early") {
		ours, isOurs := strings.CutPrefix(name, module+"/")
		late := slices.Contains([]string{"path/filepath", "net", "regexp", "mime", "text/template", "math/big", "net/http"}, name)
		foreign := !isOurs && strings.Contains(strings.SplitN(name, "/", 2)[0], ".")
		if late || foreign || isOurs && !slices.Contains(early, ours) {
			t.Errorf("internal/early links %s", name)
		}
	}
}

// linked lists what a package links, itself last.
func linked(t *testing.T, name string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/"+name)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing what %s links: %v", name, err)
	}
	return strings.Fields(string(out))
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "examples") {
			continue
		}
		from, owner := floorOf(name)
		if from < 0 {
			t.Errorf("%s stands on no floor: give it one here and in docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			checkImport(t, name, owner, from, imp)
		}
	}
}

func checkImport(t *testing.T, name, owner string, from int, imp string) {
	t.Helper()
	for prefix, allowed := range quarantine {
		if strings.HasPrefix(imp, prefix) && !slices.ContainsFunc(allowed, func(a string) bool { return within(name, a) }) {
			t.Errorf("%s imports %s, which only %v may", name, imp, allowed)
		}
	}
	if slices.ContainsFunc(pure, func(p string) bool { return within(name, p) }) {
		for _, bad := range impure {
			if imp == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(imp, bad) {
				t.Errorf("%s is pure and imports %s", name, imp)
			}
		}
	}
	rest, ours := strings.CutPrefix(imp, module)
	if !ours {
		return
	}
	imported := strings.TrimPrefix(rest, "/")
	to, toOwner := floorOf(imported)
	switch {
	case owner == toOwner:
	case to >= from:
		t.Errorf("%s (floor %d) imports %s (floor %d): only lower floors", name, from, imported, to)
	}
	if within(name, "internal/localaws") && !slices.ContainsFunc(forLocalAWS, func(a string) bool { return within(imported, a) }) {
		t.Errorf("%s imports %s: the local AWS must not depend on what it tests", name, imported)
	}
}

// floorOf returns the floor of a package and the name it stands under.
func floorOf(name string) (int, string) {
	floor, owner := -1, ""
	for i, names := range floors {
		for _, n := range names {
			if within(name, n) && (floor < 0 || len(n) > len(owner)) && (n != "" || name == "") {
				floor, owner = i, n
			}
		}
	}
	return floor, owner
}

func within(name, owner string) bool {
	return name == owner || owner != "" && strings.HasPrefix(name, owner+"/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list gave %d packages, want the whole module", len(all))
	}
	return all
}
