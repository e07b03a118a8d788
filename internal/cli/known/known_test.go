package known_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/term"
)

// home is a person's files, by their names below HOME, and an environment.
func home(t testing.TB, files map[string]string) *term.Streams {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"HOME": dir}
	return &term.Streams{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
}

// listed is the record of what an Identity Center listed.
func listed(source, items string) string {
	return `{"startURL":"https://` + source + `.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":[` + items + `]}`
}

func center(source string) string {
	return `  - {name: ` + source + `, identityCenter: {startURL: "https://` + source + `.awsapps.com/start", region: us-east-1}}` + "\n"
}

func addresses(all []known.Entry) []string {
	out := []string{}
	for _, e := range all {
		out = append(out, e.Address+" "+e.Source)
	}
	return out
}

func TestEachAddressIsThereOnceAndMeansOneThing(t *testing.T) {
	s := home(t, map[string]string{
		".config/stile/sessions.yaml": "sources:\n" + center("acme") + center("gov") + "  - {name: vendor, process: {command: x}}\n  - {name: sso, saml: {file: f}}\n" +
			"sessions:\n  - {name: twin, source: vendor}\n",
		".cache/stile/idc/acme.json":              listed("acme", `{"id":"222222222222","name":"orders"},{"id":"333333333333","name":"both"},{"id":"444444444444","name":"same"},{"id":"555555555555","name":"same"}`),
		".cache/stile/idc/acme/222222222222.json": listed("acme", `"Admin"`),
		".cache/stile/idc/acme/333333333333.json": listed("acme", `"Admin"`),
		".cache/stile/idc/acme/444444444444.json": listed("acme", `"Admin"`),
		".cache/stile/idc/gov.json":               listed("gov", `{"id":"666666666666","name":"both"}`),
		".cache/stile/idc/gov/666666666666.json":  listed("gov", `"Admin","View"`),
		".aws/config":                             "[profile twin]\nrole_arn = x\n[profile own]\nsso_account_id=1\n[profile a/b]\nrole_arn=x\n[x]\nrole_arn=x\n[default]\nregion=x\n",
		".aws/credentials":                        "[default]\naws_access_key_id = x\n[own]\naws_access_key_id = x\n",
		".local/state/stile/scopes/s/routes.json": `{"scope":"s","accounts":{"222222222222":"orders"},"labels":{"222222222222":{"env":"prod"}},"routes":[
			{"address":"orders/Deploy","caller":{"name":"c"},"hops":[{"role":"arn:aws:iam::222222222222:role/Deploy"}]},
			{"address":"orders/Deploy","caller":{"name":"d"},"hops":[{"role":"arn:aws:iam::222222222222:role/Deploy"}]},{"caller":{"name":"e"}}]}`,
	})
	all := known.Read(s).All()
	want := []string{
		"orders/Deploy declared", "twin vendor", "vendor vendor", "orders/Admin acme", "acme:both/Admin acme", "444444444444/Admin acme", "gov:both/Admin gov", "both/View gov",
		"default profile", "own profile",
	}
	if diff := cmp.Diff(want, addresses(all)); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	if all[0].Labels["env"] != "prod" || all[0].AccountID != "222222222222" || all[0].Account != "orders" {
		t.Errorf("%+v has not what the declarations say of its account", all[0])
	}
}

func TestNothingIsKnown(t *testing.T) {
	nobody := &term.Streams{Env: func(string) (string, bool) { return "", false }}
	if all := known.Read(nobody).All(); len(all) != 0 {
		t.Errorf("without HOME there is %v", all)
	}
	if all := known.Read(home(t, nil)).All(); len(all) != 0 {
		t.Errorf("without files there is %v", all)
	}
}

// The picker shows this first: 3,000 roles in 750 accounts.
func BenchmarkAll3000(b *testing.B) {
	files := map[string]string{".config/stile/sessions.yaml": "sources:\n" + center("acme")}
	var accounts []string
	for i := range 750 {
		accounts = append(accounts, fmt.Sprintf(`{"id":"%012d","name":"team-%d"}`, i, i))
		files[fmt.Sprintf(".cache/stile/idc/acme/%012d.json", i)] = listed("acme", `"Admin","Power","ReadOnly","View"`)
	}
	files[".cache/stile/idc/acme.json"] = listed("acme", strings.Join(accounts, ","))
	s := home(b, files)
	for b.Loop() {
		if n := len(known.Read(s).All()); n != 3000 {
			b.Fatalf("%d entries", n)
		}
	}
}
