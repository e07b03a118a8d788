package compile_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/inventory"
)

// drawSet declares up to six random Accesses over base's accounts.
func drawSet(t *rapid.T) *situation {
	s := base()
	for i := range rapid.IntRange(1, 6).Draw(t, "accesses") {
		a := &access.Access{Metadata: access.Metadata{Name: fmt.Sprintf("a%d", i)}, Shared: rapid.Bool().Draw(t, "shared")}
		a.From = rapid.SliceOfNDistinct(rapid.SampledFrom([]access.Caller{pod, deploy, alice}), 1, 2, func(c access.Caller) string { return c.String() }).Draw(t, "from")
		a.To.Accounts = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"tooling", "orders", "network"}), 1, 3, rapid.ID[string]).Draw(t, "to")
		a.As = rapid.SampledFrom([]string{"", "", "app", "job"}).Draw(t, "as")
		a.Allow = rapid.SliceOfN(rapid.SampledFrom([]access.Allow{
			lists, {Grant: "dynamodb/read", Resources: []string{"arn:aws:dynamodb:${region}:${account}:table/T*"}},
			{Actions: []string{"s3:Get*"}, Resources: []string{"arn:aws:s3:::b/*"}, Conditions: []access.Condition{{Operator: "StringEquals", Key: "aws:PrincipalAccount", Values: []string{"111111111111"}}}},
		}), 1, 3).Draw(t, "allow")
		if rapid.Bool().Draw(t, "expires") {
			a.Expires = time.Date(2027, 1, 1+i, 0, 0, 0, 0, time.UTC)
		}
		if rapid.IntRange(0, 4).Draw(t, "tags") == 0 {
			a.Session.Tags = map[string]string{"team": "x"}
		}
		s.add(a)
	}
	return s
}

func compiled(tb rapid.TB, s *situation, inv *inventory.Inventory) string {
	w, diags := compile.Compile(s.set, inv)
	out, err := json.Marshal(struct {
		W *compile.Wanted
		D any
	}{w, diags})
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func TestEqualSetsCompileToEqualBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSet(rt)
		inv, _ := (&compiletest.Case{Set: s.set, World: s.world}).Observe(t)
		first := compiled(rt, s, inv)
		if second := compiled(rt, s, inv); second != first {
			rt.Fatalf("compiling twice:\n%s\n%s", first, second)
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		mixed := *s.set
		mixed.Accesses, mixed.Accounts = slices.Clone(mixed.Accesses), slices.Clone(mixed.Accounts)
		r.Shuffle(len(mixed.Accesses), func(i, j int) { mixed.Accesses[i], mixed.Accesses[j] = mixed.Accesses[j], mixed.Accesses[i] })
		r.Shuffle(len(mixed.Accounts), func(i, j int) { mixed.Accounts[i], mixed.Accounts[j] = mixed.Accounts[j], mixed.Accounts[i] })
		for i, a := range mixed.Accesses {
			c := *a
			c.From, c.To.Accounts = slices.Clone(a.From), slices.Clone(a.To.Accounts)
			r.Shuffle(len(c.From), func(i, j int) { c.From[i], c.From[j] = c.From[j], c.From[i] })
			r.Shuffle(len(c.To.Accounts), func(i, j int) { c.To.Accounts[i], c.To.Accounts[j] = c.To.Accounts[j], c.To.Accounts[i] })
			mixed.Accesses[i] = &c
		}
		if strings.Contains(first, `"W":null`) {
			return // faults are told in the order of the declarations' places
		}
		if got := compiled(rt, &situation{set: &mixed}, inv); got != first {
			rt.Fatalf("in another order:\n%s\n%s", first, got)
		}
	})
}

// TestNeedsEndsWhateverIsAbsentOrUnread: rounds of Needs and Fill come to an
// end, however much of the world is missing.
func TestNeedsEndsWhateverIsAbsentOrUnread(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSet(rt)
		s.add(one(deploy, shared))
		for _, id := range []arn.AccountID{tooling, orders, network} {
			switch rapid.IntRange(0, 3).Draw(rt, "world") {
			case 0:
				delete(s.world.Accounts, id)
			case 1:
				s.world.Accounts[id] = &inventory.Account{ID: id, Problems: []inventory.Problem{{What: "account", Why: "no"}}}
			case 2:
				s.world.Accounts[id].Problems = []inventory.Problem{{What: "secret " + secretAny, Why: "no"}, {What: "role app", Why: "no"}, {What: "key " + keyARN, Why: "no"}}
			}
		}
		s.set.Clusters[0].Issuer = rapid.SampledFrom([]string{"", "https://" + issuer}).Draw(rt, "issuer")
		(&compiletest.Case{Set: s.set, World: s.world}).Observe(t) // fails when it does not end
	})
}

func TestWithin(t *testing.T) {
	for _, test := range []struct {
		inner, outer string
		want         bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"abc", "a*", true}, {"a*", "a*", true}, {"a*", "a", false}, {"ab*", "a*", true},
		{"a*", "ab*", false}, {"*", "*", true}, {"?", "*", true}, {"*", "?", false}, {"a?c", "a?c", true}, {"a?c", "abc", false},
		{"*?", "?*", true}, {"a*b*c", "a*c", true}, {"a*c", "a*b*c", false}, {"", "*", true}, {"", "?", false}, {"a", "", false},
	} {
		if got := compile.Within(test.inner, test.outer); got != test.want {
			t.Errorf("Within(%q, %q) = %v, want %v", test.inner, test.outer, got, test.want)
		}
	}
	if !compile.WithinFold("S3:Getobject", "s3:Get*") {
		t.Error("WithinFold(S3:Getobject, s3:Get*) = false, want true")
	}
}

// TestWithinIsSound: whatever a text described by inner is, outer describes it
// too where Within says so.
func TestWithinIsSound(t *testing.T) {
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*?")), 0, 6, -1)
	rapid.Check(t, func(rt *rapid.T) {
		inner, outer := pattern.Draw(rt, "inner"), pattern.Draw(rt, "outer")
		if !compile.Within(inner, outer) {
			return
		}
		var example strings.Builder
		for _, r := range inner {
			switch r {
			case '*':
				example.WriteString(rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 0, 3, -1).Draw(rt, "run"))
			case '?':
				example.WriteString(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "one"))
			default:
				example.WriteRune(r)
			}
		}
		if !compile.Within(example.String(), outer) {
			rt.Fatalf("Within(%q, %q), but %q, which the first describes, is not described by the second", inner, outer, example.String())
		}
	})
}

func BenchmarkCompile100AccountsBy10Grants(b *testing.B) {
	s := base()
	var names []string
	for i := range 100 {
		id := arn.AccountID(fmt.Sprintf("5000000%05d", i))
		name := fmt.Sprintf("w%03d", i)
		s.set.Accounts = append(s.set.Accounts, &access.Account{Metadata: access.Metadata{Name: name}, ID: id, Regions: []string{"us-east-1"}, Path: "/stile/"})
		names = append(names, name)
	}
	for i := range 10 {
		a := s.add(one(access.Caller{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "n", Name: fmt.Sprintf("sa%d", i)}},
			access.Allow{Grant: "dynamodb/read", Resources: []string{"arn:aws:dynamodb:us-east-1:${account}:table/Orders"}}))
		a.Name, a.As, a.To.Accounts = fmt.Sprintf("grant%d", i), "", names
	}
	inv, _ := (&compiletest.Case{Set: s.set, World: s.world}).Observe(b)
	b.ReportAllocs()
	for b.Loop() {
		if w, diags := compile.Compile(s.set, inv); w == nil || len(w.Roles) != 1000 {
			b.Fatal(diags)
		}
	}
}
