package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// trust holds the rules on whom a role trusts.
func (w *part) trust(r *role) {
	if r.trust == nil || awsOwns(r.Path) {
		return
	}
	for i := range r.trust.Statements {
		st := &r.trust.Statements[i]
		if st.Effect != policy.Allow || st.Principal == nil {
			continue
		}
		for _, e := range st.Principal.Entries {
			switch e.Type {
			case "AWS":
				w.deadTrust(r, st, e.Value)
			case "Federated":
				w.deadProvider(r, e.Value)
				w.unknownCluster(r, e.Value)
			case "Service":
				w.openToClusters(r, st, e.Value)
			}
		}
	}
	w.chainedSession(r)
	w.tagsRefused(r)
	w.unused(r)
}

// deadTrust is T14 for users and roles: they do not exist, or their own
// account does not let them.
func (w *part) deadTrust(r *role, st *policy.Statement, v policy.Text) {
	who, err := arn.Parse(v.Value)
	if err != nil || who.Service != "iam" || who.Type() != "role" && who.Type() != "user" || !lint.Allows(st, assumeRole) {
		return
	}
	account := w.inv.Accounts[who.Account]
	exists, found := entity(account, who)
	if !exists {
		if found != "" {
			w.dead(r, v, found, "a principal is named by its full ARN, path included")
		}
		return
	}
	if d, denied := w.cannotAssume(v.Value, r); denied {
		w.dead(r, v, fmt.Sprintf("%s cannot assume the role: %s", v.Value, reason(d)), "allow it on the side that denies, or take it out of the trust policy")
	}
}

func (w *part) dead(r *role, v policy.Text, summary, hint string) {
	w.add(r.subject, v.Pos, v.Value, rule.Finding{Code: rule.DeadTrust, Summary: summary, Hint: hint})
}

// entity looks for a user or role. gone says in words what is the matter when
// it is certain that there is none of that ARN.
func entity(account *inventory.Account, a arn.ARN) (exists bool, gone string) {
	if account == nil {
		return false, ""
	}
	have, state := "", inventory.NotAsked
	if a.Type() == "role" {
		r, s := account.Role(a.Name())
		if state = s; r != nil {
			have = r.ARN
		}
	} else {
		u, s := account.User(a.Name())
		if state = s; u != nil {
			have = u.ARN
		}
	}
	switch {
	case state == inventory.Exists && have == a.String():
		return true, ""
	case state == inventory.Exists:
		return false, fmt.Sprintf("there is no %s; the %s of that name is %s", a, a.Type(), have)
	case state != inventory.Absent:
		return false, ""
	}
	gone = fmt.Sprintf("there is no %s", a)
	if near := nearest(account, a); near != "" {
		gone += ", did you mean " + near + "?"
	}
	return false, gone
}

// nearest is the ARN of the user or role with a name like that of a.
func nearest(account *inventory.Account, a arn.ARN) string {
	arns := map[string]string{}
	if a.Type() == "role" {
		for _, r := range account.Roles {
			if r != nil {
				arns[r.Name] = r.ARN
			}
		}
	} else {
		for _, u := range account.Users {
			if u != nil {
				arns[u.Name] = u.ARN
			}
		}
	}
	return arns[policy.Closest(a.Name(), slices.Sorted(maps.Keys(arns)))]
}

const assumeRole = "sts:AssumeRole"

// caller is a user or role with what it brings to every request.
type caller struct {
	principal authz.Principal
	side      *effective.Side
	known     bool
}

func (w *world) caller(principal string) *caller {
	if known, ok := w.callers.Load(principal); ok {
		return known.(*caller)
	}
	c := &caller{}
	if p, err := w.view.Principal(principal); err == nil {
		c.principal, c.side, c.known = p, w.view.Caller(p), true
	}
	known, _ := w.callers.LoadOrStore(principal, c)
	return known.(*caller)
}

// cannotAssume asks whether a principal is certainly refused, and why.
func (w *world) cannotAssume(principal string, r *role) (authz.Decision, bool) {
	c := w.caller(principal)
	if !c.known {
		return authz.Decision{}, false
	}
	return w.refused(effective.Question{Principal: c.principal, Action: assumeRole, Resource: r.ARN}, c.side, r.guard())
}

// refused asks whether q is certainly denied: whatever the values of condition
// keys are that depend on how the caller asks. The sides are those of q.
func (w *world) refused(q effective.Question, caller, guard *effective.Side) (authz.Decision, bool) {
	if !isDenied(w.view.Decide(q, caller, guard)) {
		return authz.Decision{}, false
	}
	q.Context = open(q, caller, guard)
	if !isDenied(w.view.Decide(q, caller, guard)) {
		return authz.Decision{}, false
	}
	return w.view.Explain(q, caller, guard), true
}

func isDenied(o authz.Outcome) bool { return o == authz.ImplicitDeny || o == authz.ExplicitDeny }

// reason is a decision's summary without the word that it begins with.
func reason(d authz.Decision) string {
	_, why, found := strings.Cut(d.Summary(), ": ")
	if !found {
		return d.Summary()
	}
	return why
}

// deadProvider is T14 for identity providers.
func (w *part) deadProvider(r *role, v policy.Text) {
	a, err := arn.Parse(v.Value)
	account := w.inv.Accounts[a.Account]
	if err != nil || account == nil {
		return
	}
	state := inventory.NotAsked
	switch a.Type() {
	case "oidc-provider":
		_, state = inventory.Get(account.Providers, a.Name())
		if state == inventory.NotAsked && account.Kind(inventory.KindProviders, "") == inventory.Exists {
			state = inventory.Absent
		}
	case "saml-provider":
		_, state = inventory.Get(account.SAML, v.Value)
		if state == inventory.NotAsked && account.Kind(inventory.KindSAML, "") == inventory.Exists {
			state = inventory.Absent
		}
	}
	if state == inventory.Absent {
		w.dead(r, v, fmt.Sprintf("there is no identity provider %s", v.Value), "create the provider, or take it out of the trust policy")
	}
}

// unknownCluster is T19: whoever runs the cluster of an issuer says which
// service accounts there are.
func (w *part) unknownCluster(r *role, v policy.Text) {
	a, err := arn.Parse(v.Value)
	if err != nil || a.Type() != "oidc-provider" {
		return
	}
	issuer := strings.TrimPrefix(a.Resource, "oidc-provider/")
	rest, eks := strings.CutPrefix(issuer, "oidc.eks.")
	region, _, _ := strings.Cut(rest, ".")
	if !eks || w.issuers[issuer] || !w.whole(inventory.KindClusters, region) {
		return
	}
	w.add(r.subject, v.Pos, v.Value, rule.Finding{
		Code: rule.UnknownCluster, Summary: fmt.Sprintf("no cluster of your accounts has the issuer %s", issuer),
		Detail: "The cluster was deleted, or is somebody else's.",
		Hint:   "take the provider out of the trust policy, and delete it",
	})
}

// openToClusters is the second half of T18.
func (w *part) openToClusters(r *role, st *policy.Statement, v policy.Text) {
	if v.Value != "pods.eks.amazonaws.com" || len(r.clusters) != 1 || len(r.account.Clusters) < 2 ||
		lint.Restricts(st, "aws:SourceArn", "aws:RequestTag/eks-cluster-arn", "aws:RequestTag/eks-cluster-name") {
		return
	}
	cluster := slices.Sorted(maps.Keys(r.clusters))[0]
	w.add(r.subject, v.Pos, v.Value, rule.Finding{
		Code: rule.PodOpen, Summary: fmt.Sprintf("any of the account's %d clusters may hand out the role, %s does", len(r.account.Clusters), cluster),
		Detail: "Whoever may make associations in another cluster and pass the role gives it to Pods there.",
		Hint:   fmt.Sprintf(`add "ArnEquals": {"aws:SourceArn": %q}`, cluster),
	})
}

// chainedSession is T21: role chaining limits sessions to an hour (IAM guide,
// "Roles terms and concepts").
func (w *part) chainedSession(r *role) {
	if r.MaxSession <= int(time.Hour/time.Second) {
		return
	}
	any := false
	for i := range r.trust.Statements {
		st := &r.trust.Statements[i]
		if st.Effect != policy.Allow || st.Principal == nil {
			continue
		}
		if st.Principal.Everyone {
			return
		}
		for _, e := range st.Principal.Entries {
			a, err := arn.Parse(e.Value.Value)
			if e.Type != "AWS" || err != nil || a.Type() != "role" {
				return
			}
			any = true
		}
	}
	if any {
		w.add(r.subject, r.trust.Pos, "document", rule.Finding{
			Code: rule.ChainedSession, Summary: fmt.Sprintf("sessions last one hour, not %s: only roles may assume this one", time.Duration(r.MaxSession)*time.Second),
			Detail: "A session started with the session of another role ends after an hour, whatever the role's maximum.",
			Hint:   "set MaxSessionDuration to 3600, so that nobody counts on more",
		})
	}
}

// tagsRefused is T22: Pod Identity's session tags are transitive, so a role
// that its sessions assume must take them (EKS guide, "Grant Pods access to
// AWS resources based on tags").
func (w *part) tagsRefused(r *role) {
	for i := range r.trust.Statements {
		st := &r.trust.Statements[i]
		if st.Principal == nil || !lint.Allows(st, assumeRole) || lint.Allows(st, "sts:TagSession") {
			continue
		}
		for _, e := range st.Principal.Entries {
			caller := w.byARN[e.Value.Value]
			if caller == nil || !caller.tagged() || w.takesTags(r, e.Value.Value) {
				continue
			}
			w.add(r.subject, e.Value.Pos, e.Value.Value, rule.Finding{
				Code: rule.TagsRefused, Summary: fmt.Sprintf("sessions of %s carry the tags of EKS Pod Identity, and the role does not take tags", caller.Name),
				Detail: "The tags are transitive: each call to assume another role passes them, and is refused without sts:TagSession.",
				Hint:   `add "sts:TagSession" to Action, or disable session tags in the association`,
			})
		}
	}
}

// tagged reports whether Pod Identity hands out sessions of r with tags.
func (r *role) tagged() bool {
	return slices.ContainsFunc(r.associations, func(a *inventory.Association) bool { return !a.NoSessionTags })
}

// takesTags reports whether another statement lets caller pass tags.
func (w *world) takesTags(r *role, caller string) bool {
	return slices.ContainsFunc(r.trust.Statements, func(st policy.Statement) bool {
		return st.Principal != nil && lint.Allows(&st, "sts:TagSession") && names(st.Principal, caller)
	})
}

// names reports whether a principal element can mean the user or role.
func names(p *policy.Principals, who string) bool {
	a, err := arn.Parse(who)
	return p.Everyone || slices.ContainsFunc(p.Entries, func(e policy.PrincipalEntry) bool {
		return e.Type == "AWS" && (e.Value.Value == who || e.Value.Value == "*" ||
			err == nil && (e.Value.Value == string(a.Account) || e.Value.Value == arn.Root(a.Partition, a.Account).String()))
	})
}

// unused is R14.
func (w *part) unused(r *role) {
	if w.options.Now.IsZero() || r.LastUsed == nil || !w.opens(r) {
		return
	}
	f := rule.Finding{
		Code: rule.UnusedRole, Severity: rule.Info, // it may be new: the inventory does not know its age
		Summary: "the role lets others in, and was never used as far back as AWS knows (some 400 days)",
		Hint:    "delete the role, or take those out of its trust policy who do not need it",
	}
	if at := r.LastUsed.At; !at.IsZero() {
		if w.options.Now.Sub(at) <= w.options.Unused {
			return
		}
		f.Severity = rule.OfRule
		f.Summary = fmt.Sprintf("the role lets others in, and was last used on %s", at.Format(time.DateOnly))
	}
	w.add(r.subject, r.trust.Pos, "document", f)
}

// opens reports whether a role trusts somebody outside its account: another
// account or the bearers of an identity provider's tokens.
func (w *world) opens(r *role) bool {
	for i := range r.trust.Statements {
		st := &r.trust.Statements[i]
		if st.Effect != policy.Allow || st.Principal == nil {
			continue
		}
		for _, e := range st.Principal.Entries {
			id, _ := arn.ParseAccountID(e.Value.Value)
			if a, err := arn.Parse(e.Value.Value); err == nil {
				id = a.Account
			}
			if e.Type == "Federated" || e.Type == "AWS" && id != r.arn.Account {
				return true
			}
		}
	}
	return false
}
