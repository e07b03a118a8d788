package authz_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
	"github.com/stile-aws/stile/policy"
)

// cases loads the corpus.
func cases(tb testing.TB) []corpus.Case {
	tb.Helper()
	all, err := corpus.LoadDir(os.DirFS("../testdata/corpus"))
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func build(tb testing.TB, c *corpus.Case, compile corpus.Compile) (*authz.Request, *authz.Policies) {
	tb.Helper()
	req, pols, err := c.Build(compile)
	if err != nil {
		tb.Fatal(err)
	}
	return req, pols
}

func TestCorpus(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.ID, func(t *testing.T) {
			req, pols := build(t, &c, authz.Compile)
			d := authz.Evaluate(req, pols, nil)
			if d.Outcome != c.Expected {
				t.Fatalf("Evaluate = %v, want %v (%s:%d)\n%s", d.Outcome, c.Expected, c.File, c.Line, d.Text())
			}
			if got := authz.Decide(req, pols, nil); got != d.Outcome {
				t.Errorf("Decide = %v, Evaluate = %v", got, d.Outcome)
			}
			if got := authz.Settle(req, pols, nil); got != d.Outcome {
				t.Errorf("Settle = %v, Evaluate = %v", got, d.Outcome)
			}
			if diff := cmp.Diff(c.Decides, deciding(&d)); diff != "" {
				t.Errorf("deciding layers differ (-want +got):\n%s%s", diff, d.Text())
			}
			checkExplanation(t, &d)
		})
	}
}

// deciding lists the kinds of the deciding layers, each once.
func deciding(d *authz.Decision) []authz.Layer {
	var kinds []authz.Layer
	for _, i := range d.Deciding {
		if kind := d.Layers[i].Layer; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// checkExplanation checks that what a decision shows gives its outcome.
func checkExplanation(t *testing.T, d *authz.Decision) {
	t.Helper()
	var seen [5]bool // by outcome, over the layers
	for i := range d.Layers {
		l := &d.Layers[i]
		seen[l.Outcome] = true
		denied := false
		for j := range l.Statements {
			s := &l.Statements[j]
			denied = denied || s.Effect == policy.Deny && s.Match == authz.Yes
			checkStatement(t, s)
		}
		if denied != (l.Outcome == authz.ExplicitDeny) {
			t.Errorf("%v layer is %v, but a matching Deny among its statements is %v", l.Layer, l.Outcome, denied)
		}
	}
	if seen[authz.ExplicitDeny] != (d.Outcome == authz.ExplicitDeny) {
		t.Errorf("outcome is %v, but a layer that denies explicitly is %v", d.Outcome, seen[authz.ExplicitDeny])
	}
	if len(d.Deciding) == 0 {
		t.Errorf("outcome %v without a deciding layer", d.Outcome)
	}
	for _, i := range d.Deciding {
		l := &d.Layers[i]
		// A grant that may or may not be enough is open although it matches, and
		// a layer that does not allow may be open because it could even deny.
		open := l.Layer == authz.LayerGrant || d.Outcome == authz.ImplicitDeny && l.Outcome == authz.Unknown
		if l.Outcome != d.Outcome && !open {
			t.Errorf("deciding layer %v is %v, outcome is %v", l.Layer, l.Outcome, d.Outcome)
		}
	}
	if (d.Outcome == authz.Unknown) != (len(d.Missing) > 0) {
		t.Errorf("outcome is %v, missing is %q", d.Outcome, d.Missing)
	}
	if text := d.Text(); !strings.HasPrefix(text, d.Summary()+"\n") {
		t.Errorf("Text does not begin with Summary %q:\n%s", d.Summary(), text)
	}
	checkJSON(t, d)
}

func checkStatement(t *testing.T, s *authz.StatementResult) {
	t.Helper()
	conditions := authz.Yes
	for i := range s.Conditions {
		switch s.Conditions[i].Match {
		case authz.No:
			conditions = authz.No
		case authz.Maybe:
			conditions = max(conditions, authz.Maybe)
		case authz.Yes:
		}
		if conditions == authz.No {
			break
		}
	}
	if s.Match == authz.Yes && conditions != authz.Yes {
		t.Errorf("statement %d applies, its conditions are %v", s.Index, conditions)
	}
	if (s.Match == authz.No) != (s.Failed != "") {
		t.Errorf("statement %d: match %v, failed %q", s.Index, s.Match, s.Failed)
	}
	if (s.Match == authz.Maybe) != (len(s.Open) > 0) {
		t.Errorf("statement %d: match %v, open %q", s.Index, s.Match, s.Open)
	}
}

func checkJSON(t *testing.T, d *authz.Decision) {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back authz.Decision
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*d, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("JSON round trip (-want +got):\n%s", diff)
	}
}

func TestPrintedAndParsedPoliciesMeanTheSame(t *testing.T) {
	for _, c := range cases(t) {
		reprint := func(doc *policy.Document, src authz.Source) (*authz.Policy, error) {
			back, err := policy.Parse(doc.JSON())
			if err != nil {
				t.Fatalf("%s: Parse(%s): %v", c.ID, doc, err)
			}
			if !policy.Equal(doc, back) {
				t.Errorf("%s: %s and %s are not Equal", c.ID, doc, back)
			}
			return authz.Compile(back, src)
		}
		req, pols := build(t, &c, reprint)
		if got := authz.Decide(req, pols, nil); got != c.Expected {
			t.Errorf("%s: Decide after a round trip = %v, want %v", c.ID, got, c.Expected)
		}
	}
}

// What is not known leaves an answer open or as it was, and the condition it
// then depends on gives the answer once it is known.
func TestAKeyThatIsNotKnownLeavesTheAnswerOpen(t *testing.T) {
	for _, c := range cases(t) {
		if c.Expected == authz.Unknown {
			continue
		}
		req, pols := build(t, &c, authz.Compile)
		tested := corpus.TestedKeys(pols)
		for _, key := range tested {
			checkBlanked(t, &c, req, pols, key)
		}
		if len(tested) > 1 {
			checkBlanked(t, &c, req, pols, tested...)
		}
	}
}

// checkBlanked asks with the keys not known, and then the residual with them.
func checkBlanked(t *testing.T, c *corpus.Case, req *authz.Request, pols *authz.Policies, keys ...string) {
	t.Helper()
	blanked := *req
	blanked.Context = req.Context.Clone()
	given := true
	for _, key := range keys {
		_, present, _ := req.Context.Get(key)
		given = given && (present || !follows[key])
		blanked.Context.SetUnknown(key)
	}
	d := authz.Evaluate(&blanked, pols, nil)
	switch {
	case d.Outcome == c.Expected:
	case d.Outcome == authz.ImplicitDeny && c.Expected == authz.ExplicitDeny: // denied either way
	case d.Outcome != authz.Unknown:
		t.Errorf("%s: without %q: %v, with it %v\n%s", c.ID, keys, d.Outcome, c.Expected, d.Text())
	case d.Residual == nil:
		t.Errorf("%s: without %q: Unknown, and no residual", c.ID, keys)
	case given:
		if got := d.Residual.Decide(&req.Context); got != c.Expected {
			t.Errorf("%s: without %q: depends on %v, which gives %v, want %v", c.ID, keys, d.Residual, got, c.Expected)
		}
	}
	checkJSON(t, &d)
}

// follows has the keys that follow from caller and resource: a request that
// does not give them has them all the same.
var follows = map[string]bool{
	"aws:principalarn": true, "aws:principalaccount": true, "aws:principaltype": true, "aws:userid": true, "aws:username": true,
	"aws:principalisawsservice": true, "aws:principalservicename": true, "aws:resourceaccount": true,
}

func TestDisablingARuleMakesItsCasesFail(t *testing.T) {
	byRule := map[string][]corpus.Case{}
	for _, c := range cases(t) {
		if _, ok := authz.NewWithout(c.Rule); !ok {
			t.Errorf("%s: the evaluator has no rule %q", c.ID, c.Rule)
		}
		byRule[c.Rule] = append(byRule[c.Rule], c)
	}
	for _, rule := range authz.Rules() {
		without, _ := authz.NewWithout(rule)
		failed := 0
		outcomes := map[bool]int{}
		for i := range byRule[rule] {
			c := &byRule[rule][i]
			outcomes[c.Expected == authz.Allowed]++
			req, pols, err := c.Build(without.Compile)
			if err != nil || without.Evaluate(req, pols).Outcome != c.Expected {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("rule %s: none of its %d cases fails without it", rule, len(byRule[rule]))
		}
		if outcomes[true] == 0 || outcomes[false] == 0 {
			t.Errorf("rule %s: %d of its cases are allowed and %d are not, want some of both", rule, outcomes[true], outcomes[false])
		}
	}
}

func TestEveryCaseRestsOnASentenceAndHasANeighbour(t *testing.T) {
	all := cases(t)
	if len(all) < 800 {
		t.Errorf("the corpus has %d cases, want 800 at least", len(all))
	}
	liked := map[string]bool{}
	for _, c := range all {
		liked[c.Like] = true
	}
	for _, c := range all {
		if (c.AWS == "") == (c.Paraphrase == "") || c.Page == "" {
			t.Errorf("%s: want the page and either aws or paraphrase", c.ID)
		}
		if c.Like == "" && !liked[c.ID] {
			t.Errorf("%s: no neighbour differs from it in one fact", c.ID)
		}
		if !c.HasExpected || c.Decides == nil {
			t.Errorf("%s: want expected and decides", c.ID)
		}
	}
}

// A compiled policy must not remember who asked: many principals over the
// same policies, in any order and at once, get the answers they get alone.
func TestManyPrincipalsOverOnePolicyInAnyOrder(t *testing.T) {
	type question struct {
		req  *authz.Request
		pols *authz.Policies
		want authz.Outcome
	}
	var requests []*authz.Request
	var policies []*authz.Policies
	for _, c := range cases(t) {
		req, pols := build(t, &c, authz.Compile)
		requests, policies = append(requests, req), append(policies, pols)
	}
	var questions []question
	for i, pols := range policies {
		for j := i; j < min(i+20, len(requests)); j++ {
			questions = append(questions, question{req: requests[j], pols: pols, want: authz.Decide(requests[j], pols, nil)})
		}
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for _, i := range random.Perm(len(questions)) {
				q := &questions[i]
				got := authz.Decide(q.req, q.pols, nil)
				if i%7 == 0 {
					got = authz.Evaluate(q.req, q.pols, nil).Outcome
				}
				if got != q.want && (q.want != authz.Unknown || i%7 != 0) {
					t.Errorf("%v asking for %s = %v, alone %v", q.req.Principal.String(), q.req.Action, got, q.want)
				}
			}
		})
	}
	wg.Wait()
}
