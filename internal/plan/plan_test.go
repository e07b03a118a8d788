package plan_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/internal/plan"
)

// archives are the compiler's cases that compile: plan is tried on all of them.
func archives(t *testing.T) map[string]*compiletest.Case {
	t.Helper()
	files, err := filepath.Glob("../compile/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding archives: %d files, %v", len(files), err)
	}
	out := map[string]*compiletest.Case{}
	for _, f := range files {
		c := compiletest.Load(t, f)
		if w, _, diags := c.Compile(t); w != nil && !diags.HasErrors() {
			out[filepath.Base(f)] = c
		}
	}
	if len(out) < 4 {
		t.Fatalf("%d archives compile, want at least 4", len(out))
	}
	return out
}

// world compiles a case and returns what Make looks at.
func world(t *testing.T, c *compiletest.Case) plan.Input {
	t.Helper()
	w, inv, diags := c.Compile(t)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return plan.Input{Set: c.Set, Wanted: w, Inventory: inv, Ledger: c.Ledger}
}

func mustMake(t *testing.T, in plan.Input) *plan.Plan {
	t.Helper()
	p, diags := plan.Make(in)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// applied is in as it is once p was carried out.
func applied(in plan.Input, p *plan.Plan) plan.Input {
	var gone []ledger.Entry
	for _, s := range p.Steps {
		gone = append(gone, s.Drops...)
	}
	in.Inventory = effective.After(in.Inventory, in.Wanted, gone...)
	in.Ledger = &p.Ledger
	return in
}

func summaries(p *plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, string(s.Verb)+" "+string(s.Account)+" "+s.Summary)
	}
	return out
}

func TestPlanningAgainAfterApplyFindsNothing(t *testing.T) {
	for name, c := range archives(t) {
		t.Run(name, func(t *testing.T) {
			in := world(t, c)
			p := mustMake(t, in)
			if !p.Changes() {
				t.Fatal("the first plan has no steps: this case tests nothing")
			}
			again := mustMake(t, applied(in, p))
			if again.Changes() {
				t.Errorf("planning again after apply gives %q, want nothing", summaries(again))
			}
			if diff := cmp.Diff(p.Ledger, again.Ledger); diff != "" {
				t.Errorf("the ledger changed without a step (-first +again):\n%s", diff)
			}
		})
	}
}

func TestDestroyRemovesWhatWasMadeAndNothingElse(t *testing.T) {
	for name, c := range archives(t) {
		t.Run(name, func(t *testing.T) {
			in := world(t, c)
			after := applied(in, mustMake(t, in))
			after.Wanted, after.Destroy = &compile.Wanted{Scope: c.Set.Scope.Name}, true
			for id := range after.Inventory.Accounts {
				after.Inventory.Accounts[id].Complete = true
			}
			p := mustMake(t, after)
			if len(p.Ledger.Entries) != 0 {
				t.Errorf("destroying leaves %d entries in the ledger: %v", len(p.Ledger.Entries), p.Ledger.Entries)
			}
			left := applied(after, p).Inventory
			for id, a := range left.Accounts {
				before := in.Inventory.Accounts[id]
				for key, r := range a.Roles {
					if r != nil && before.Roles[key] == nil {
						t.Errorf("role %s of %s is left", r.Name, id)
					}
				}
				for key, r := range before.Roles {
					if r != nil && a.Roles[key] == nil {
						t.Errorf("role %s of %s was there before and is gone", r.Name, id)
					}
				}
				if diff := cmp.Diff(before.Secrets, a.Secrets); diff != "" {
					t.Errorf("secrets of %s differ from before (-before +left):\n%s", id, diff)
				}
				if diff := cmp.Diff(before.Keys, a.Keys); diff != "" {
					t.Errorf("keys of %s differ from before (-before +left):\n%s", id, diff)
				}
			}
		})
	}
}

func TestStepsStandBehindWhatTheyWaitFor(t *testing.T) {
	for name, c := range archives(t) {
		t.Run(name, func(t *testing.T) {
			p := mustMake(t, world(t, c))
			done := map[string]bool{}
			for _, s := range p.Steps {
				for _, id := range s.After {
					if !done[id] {
						t.Errorf("step %s stands before %s, which it waits for", s.ID, id)
					}
				}
				done[s.ID] = true
			}
		})
	}
}

func TestAPlanSurvivesSaving(t *testing.T) {
	for name, c := range archives(t) {
		t.Run(name, func(t *testing.T) {
			in := world(t, c)
			p := mustMake(t, in)
			text, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			read, err := plan.Decode(text)
			if err != nil {
				t.Fatal(err)
			}
			again, err := read.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(text, again) {
				t.Errorf("a saved plan changes when it is read and saved again:\n%s", cmp.Diff(string(text), string(again)))
			}
			if moved := read.Moved(in.Inventory); len(moved) > 0 {
				t.Errorf("Moved in the inventory it was made from = %q, want none", moved)
			}
		})
	}
}

func TestDecodeRefusesWhatIsNoPlanOfThisVersion(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":         "steps:",
		"another format":   `{"format": 99}`,
		"no format":        `{"scope": "x"}`,
		"a field too many": `{"format": 1, "extra": true}`,
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := plan.Decode([]byte(text)); err == nil {
				t.Errorf("Decode(%s) = %+v, want an error", text, p)
			}
		})
	}
}

func TestDecodeRefusesStepsNobodyPlanned(t *testing.T) {
	for name, test := range map[string]struct{ steps, want string }{
		"no operation":        {`{"id":"a","verb":"create","op":{}}`, "step a has 0 operations"},
		"two operations":      {`{"id":"a","verb":"create","op":{"detach":{"role":"r","policy":"p"},"inline":{"kind":"role","name":"r","policyName":"p"}}}`, "step a has 2 operations"},
		"another verb":        {`{"id":"a","verb":"replace","op":{"detach":{"role":"r","policy":"p"}}}`, `"replace"`},
		"waits for no step":   {`{"id":"a","verb":"delete","after":["b"],"op":{"detach":{"role":"r","policy":"p"}}}`, "waits for b"},
		"two steps of one id": {`{"id":"a","verb":"delete","op":{"detach":{"role":"r","policy":"p"}}},{"id":"a","verb":"delete","op":{"detach":{"role":"r","policy":"q"}}}`, `id "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.Decode([]byte(`{"format": 1, "steps": [` + test.steps + `]}`))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Decode = %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := plan.Decode([]byte(`{"format": 1, "steps": [{"id":"a","verb":"delete","op":{"detach":{"role":"r","policy":"p"}}}]}`)); err != nil {
		t.Errorf("Decode of one good step: %v", err)
	}
}

func TestAForeignRoleIsNeverTouched(t *testing.T) {
	c := archives(t)["webidentity.txtar"]
	in := world(t, c)
	want := in.Wanted.Roles[0]
	foreign := &inventory.Role{ARN: want.ARN().String(), Name: want.Name, Path: want.Path, ID: "AROAFOREIGN", Trust: want.Trust.String(), MaxSession: 3600}
	for name, tags := range map[string]map[string]string{
		"untagged":      nil,
		"another scope": {compile.TagScope: "other"},
	} {
		t.Run(name, func(t *testing.T) {
			foreign.Tags = tags
			in.Inventory.Accounts[want.Account].Roles[strings.ToLower(want.Name)] = foreign
			p, diags := plan.Make(in)
			if p != nil || !diags.HasErrors() {
				t.Fatalf("Make over a foreign role = %v, want a refusal", p)
			}
			if diags[0].Code != plan.CodeNotOurs {
				t.Errorf("code %s, want %s", diags[0].Code, plan.CodeNotOurs)
			}
		})
	}
	t.Run("another scope's role is not adopted either", func(t *testing.T) {
		foreign.Tags, in.Adopt = map[string]string{compile.TagScope: "other"}, true
		if p, _ := plan.Make(in); p != nil {
			t.Error("Make with Adopt took another scope's role")
		}
	})
	t.Run("an untagged role is adopted when asked", func(t *testing.T) {
		foreign.Tags, in.Adopt = nil, true
		p := mustMake(t, in)
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Op.Role != nil })
		if i < 0 || p.Steps[i].Verb != plan.Update || p.Steps[i].Op.Role.Tags[compile.TagScope] != c.Set.Scope.Name {
			t.Errorf("steps %q, want the role tagged", summaries(p))
		}
	})
}

func TestAProviderThatOthersTrustIsKept(t *testing.T) {
	c := archives(t)["webidentity.txtar"]
	in := world(t, c)
	after := applied(in, mustMake(t, in))
	after.Wanted, after.Destroy = &compile.Wanted{Scope: c.Set.Scope.Name}, true
	provider := in.Wanted.Providers[0]
	account := after.Inventory.Accounts[provider.Account]
	account.Complete = true
	account.Roles["theirs"] = &inventory.Role{Name: "theirs", ARN: "arn:aws:iam::222222222222:role/theirs", Path: "/",
		Trust: strings.ReplaceAll(in.Wanted.Roles[0].Trust.String(), "payroll", "other")}
	p := mustMake(t, after)
	for _, s := range p.Steps {
		if s.Op.Provider != nil && s.Account == provider.Account {
			t.Errorf("step %q deletes the provider that role theirs trusts", s.Summary)
		}
	}
	if !slices.ContainsFunc(p.Kept, func(k string) bool { return strings.Contains(k, "theirs") }) {
		t.Errorf("Kept = %q, want it to name role theirs", p.Kept)
	}
	if p.Ledger.Find(provider.Account, ledger.Provider, "arn:aws:iam::222222222222:oidc-provider/"+provider.URL) == nil {
		t.Error("the provider left the ledger although it is kept")
	}
}

func TestStatementsOfOthersStayAndChangedOnesOfOursAreNotOverwritten(t *testing.T) {
	c := archives(t)["resourcepolicy.txtar"]
	in := world(t, c)
	p := mustMake(t, in)
	after := applied(in, p)
	changed := false
	for _, a := range after.Inventory.Accounts {
		for _, s := range a.Secrets {
			if s != nil && strings.Contains(s.Policy, `"Stile`) {
				s.Policy = strings.Replace(s.Policy, "secretsmanager:GetSecretValue", "secretsmanager:*", 1)
				changed = true
			}
		}
	}
	if !changed {
		t.Fatal("no secret policy holds a statement of ours: this case tests nothing")
	}
	if again, diags := plan.Make(after); again != nil || diags[0].Code != plan.CodeNotOurs {
		t.Errorf("Make over a statement that somebody changed = %v %v, want a refusal", again, diags)
	}
	after.Wanted, after.Destroy = &compile.Wanted{Scope: c.Set.Scope.Name}, true
	for _, a := range after.Inventory.Accounts {
		a.Complete = true
	}
	end := mustMake(t, after)
	if !slices.ContainsFunc(end.Kept, func(k string) bool { return strings.Contains(k, "changed by somebody") }) {
		t.Errorf("Kept = %q, want the changed statement", end.Kept)
	}
}

func TestTextLeadsWithAccess(t *testing.T) {
	c := archives(t)["chain.txtar"]
	p := mustMake(t, world(t, c))
	var out bytes.Buffer
	if err := p.Text(&out, true); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	last := 0
	for _, head := range []string{"ACCESS", "PATTERNS", "STEPS", "BUDGETS"} {
		at := strings.Index(text, "\n"+head+"\n")
		if at < last {
			t.Errorf("%s stands at %d, want it behind %d:\n%s", head, at, last, text)
		}
		last = at
	}
}
