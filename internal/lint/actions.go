package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// maxLookups bounds how many actions of one document are looked up and how
// many pairs of resource and type are compared: far more than AWS's quotas let
// a document have.
const (
	maxLookups     = 4_000
	maxComparisons = 10_000
	maxSuggestions = 200
)

// actions checks the actions of st against those AWS has, and against the
// resources they stand beside (Service Authorization Reference).
func (r *report) actions(st *policy.Statement) {
	for _, texts := range [][]policy.Text{st.Actions, st.NotActions} {
		for _, t := range texts {
			if r.lookups++; r.lookups > maxLookups {
				return
			}
			r.action(st, t)
		}
	}
}

func (r *report) action(st *policy.Statement, t policy.Text) {
	service, name, ok := strings.Cut(t.Value, ":")
	if !ok || service == "" || name == "" || tree.Unresolved(t.Value) || strings.ContainsAny(service, "*?") {
		return
	}
	switch {
	case !catalog.KnownService(service):
		r.unknownService(t, service)
	case strings.ContainsAny(name, "*?"):
		r.actionPattern(st, t)
	default:
		a, ok := catalog.ActionOf(t.Value)
		if !ok {
			r.unknownAction(t)
			return
		}
		r.actionResources(st, t, []catalog.Action{a})
	}
}

// unknownService is milder where nothing is near: AWS opens services faster
// than the catalog is renewed.
func (r *report) unknownService(t policy.Text, service string) {
	f := rule.Finding{
		Code: rule.UnknownService, Severity: rule.Low,
		Summary: fmt.Sprintf("no service has the prefix %q", service),
		Hint:    "look the prefix up in the Service Authorization Reference",
	}
	if near := r.suggest(t.Value); near != "" {
		f.Severity, f.Fix = rule.OfRule, near
	} else if prefix := policy.Closest(service, catalog.Services()); prefix != "" && len(service) > 3 {
		f.Severity, f.Fix = rule.OfRule, prefix+t.Value[len(service):]
	}
	if f.Fix != "" {
		f.Hint = fmt.Sprintf("did you mean %q?", f.Fix)
	}
	r.add(t.Pos, f)
}

func (r *report) unknownAction(t policy.Text) {
	if r.kind == policy.Trust {
		return // no trust policy can grant it: reported as that
	}
	f := rule.Finding{
		Code: rule.UnknownAction, Summary: fmt.Sprintf("there is no action %q", t.Value),
		Detail: "AWS accepts the policy; the action is neither allowed nor denied by it.",
		Hint:   "look the action up in the Service Authorization Reference",
	}
	if f.Fix = r.suggest(t.Value); f.Fix != "" {
		f.Hint = fmt.Sprintf("did you mean %q?", f.Fix)
	}
	r.add(t.Pos, f)
}

// suggest is catalog.SuggestAction for the first faults of a document.
func (r *report) suggest(action string) string {
	if r.suggestions++; r.suggestions > maxSuggestions {
		return ""
	}
	return catalog.SuggestAction(action)
}

func (r *report) actionPattern(st *policy.Statement, t policy.Text) {
	if strings.HasSuffix(t.Value, ":*") {
		return
	}
	found := catalog.ExpandAction(t.Value)
	if len(found) == 0 {
		r.add(t.Pos, rule.Finding{
			Code: rule.UnknownAction, Summary: fmt.Sprintf("no action fits %q", t.Value),
			Detail: "AWS accepts the policy; the pattern stands for nothing.",
			Hint:   "look the actions up in the Service Authorization Reference",
		})
		return
	}
	if len(found) <= 20 { // of more, some will do
		r.actionResources(st, t, found)
	}
}

// actionResources reports an action none of whose resources is of a kind that
// it applies to. A pattern stands for several; one that fits is enough.
func (r *report) actionResources(st *policy.Statement, t policy.Text, actions []catalog.Action) {
	if len(st.Resources) == 0 || slices.ContainsFunc(st.Resources, func(res policy.Text) bool { return !comparable(res.Value) }) {
		return
	}
	kinds := map[string]bool{}
	service, _, _ := strings.Cut(t.Value, ":")
	for i := range actions {
		for _, name := range actions[i].ResourceTypes {
			if kind, ok := catalog.ResourceTypeOf(service, name); ok {
				kinds[typePattern(kind.ARN)] = true
			} else {
				return
			}
		}
	}
	if len(kinds) == 0 {
		r.needsStar(st, t)
		return
	}
	for kind := range kinds {
		for _, res := range st.Resources {
			if r.comparisons++; r.comparisons > maxComparisons || overlaps(asPattern(res.Value), kind) {
				return
			}
		}
	}
	r.wrongResource(st, t, actions)
}

// accountsOf reports resources in accounts that cannot be: IAM does not look at
// the account of a resource when a policy is saved.
func (r *report) accountsOf(st *policy.Statement) {
	for _, t := range slices.Concat(st.Resources, st.NotResources) {
		a, err := arn.Parse(t.Value)
		if err != nil || a.Owner == "" || a.Account.Valid() || strings.Trim(a.Owner, "0123456789") != "" {
			continue
		}
		r.add(t.Pos, rule.Finding{
			Code: "policy/" + string(policy.CodeResource), Summary: fmt.Sprintf("resource %q has an account id of %d digits", t.Value, len(a.Owner)),
			Detail: "There is no such account, so the statement applies to nothing.",
			Hint:   "an account id has exactly 12 digits",
		})
	}
}

// comparable reports whether a resource says enough of itself: "*" fits
// everything, and short forms (execute-api:/…) are the services' own.
func comparable(resource string) bool {
	return strings.HasPrefix(resource, "arn:") && strings.Count(resource, ":") >= 5 && !tree.Unresolved(resource)
}

func (r *report) needsStar(st *policy.Statement, t policy.Text) {
	r.add(t.Pos, rule.Finding{
		Code: rule.NeedsStar, Summary: fmt.Sprintf("%s is on no resource: only \"*\" in Resource %s it", t.Value, verb(st.Effect)),
		Detail: "The service authorizes the action without a resource, so that no ARN matches.",
		Hint:   `put it into a statement of its own with "Resource": "*"`,
	})
}

func verb(e policy.Effect) string {
	if e == policy.Deny {
		return "denies"
	}
	return "allows"
}

func (r *report) wrongResource(st *policy.Statement, t policy.Text, actions []catalog.Action) {
	var names []string
	for i := range actions {
		names = append(names, actions[i].ResourceTypes...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 4 {
		names = append(names[:4], "…")
	}
	f := rule.Finding{
		Code: rule.WrongResource, Summary: fmt.Sprintf("%s is an action on %s, and none of the statement's resources is one", t.Value, strings.Join(names, ", ")),
		Detail: "The statement never applies to this action.",
		Hint:   "add the resource, or move the action to a statement that has it",
	}
	if kind, ok := catalog.ResourceTypeOf(strings.ToLower(beforeColon(t.Value)), names[0]); ok && len(names) == 1 {
		f.Hint = fmt.Sprintf("its resources are %s", kind.ARN)
	}
	r.add(t.Pos, f)
}
