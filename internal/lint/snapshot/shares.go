package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// shares holds the rules on what a resource policy grants to other accounts.
func (w *part) shares(s *share) {
	for i := range s.doc.Statements {
		st := &s.doc.Statements[i]
		if st.Effect != policy.Allow || st.Principal == nil {
			continue
		}
		for _, e := range st.Principal.Entries {
			w.share(s, st, e)
		}
	}
}

// share checks what one statement grants to one principal of another account.
func (w *part) share(s *share, st *policy.Statement, e policy.PrincipalEntry) {
	who := foreigner(e, s.account.ID)
	if who.IsZero() {
		return
	}
	if s.kind == policy.Key {
		w.keyWithoutSecret(s, st, e, who)
	}
	person := who.Type() == "role" || who.Type() == "user"
	exists, gone := false, ""
	if person {
		exists, gone = entity(w.inv.Accounts[who.Account], who)
	}
	if gone != "" {
		w.add(s.subject, e.Value.Pos, e.Value.Value, rule.Finding{Code: rule.DeadShare, Summary: gone, Hint: "correct the ARN, path included, or take it out of the policy"})
		return
	}
	key := w.keyOf(s)
	if !exists {
		if key != nil && lint.Allows(st, "secretsmanager:GetSecretValue") && !keyNames(key.doc, who) {
			w.keyMismatch(s, e, fmt.Sprintf("the policy of %s does not name %s", key.subject, accountOrSelf(who)))
		}
		return
	}
	q, ok := question(s, st)
	if !ok {
		return
	}
	by := w.caller(e.Value.Value)
	if !by.known {
		return
	}
	q.Principal = by.principal
	if d, denied := w.refused(q, by.side, w.view.Guard(q)); denied {
		w.deadShare(s, e, d)
		return
	}
	if key != nil && strings.EqualFold(q.Action, "secretsmanager:GetSecretValue") {
		w.decrypt(s, e, q)
	}
	w.endpoints(s, e, q)
}

// foreigner is the IAM principal of another account that an entry names.
func foreigner(e policy.PrincipalEntry, own arn.AccountID) arn.ARN {
	if e.Type != "AWS" {
		return arn.ARN{}
	}
	if id, err := arn.ParseAccountID(e.Value.Value); err == nil && id != own {
		return arn.Root("aws", id)
	}
	a, err := arn.Parse(e.Value.Value)
	if err != nil || a.Service != "iam" || !a.Account.Valid() || a.Account == own {
		return arn.ARN{}
	}
	return a
}

func accountOrSelf(a arn.ARN) string {
	if a.Resource == "root" {
		return "account " + string(a.Account)
	}
	return a.String()
}

// question asks for what the statement grants: an action named outright, else
// one that reads and fits a pattern.
func question(s *share, st *policy.Statement) (effective.Question, bool) {
	action := ""
	for _, t := range st.Actions {
		if !strings.ContainsAny(t.Value, "*?") {
			action = t.Value
			break
		}
	}
	for _, t := range st.Actions {
		if action != "" || t.Value == "*" {
			break
		}
		for _, a := range catalog.ExpandAction(t.Value) {
			if a.Level == catalog.Read && !a.WildcardOnly() {
				action = a.Name
				break
			}
		}
	}
	if action == "" || len(st.Resources) == 0 && len(st.NotResources) > 0 {
		return effective.Question{}, false
	}
	q := effective.Question{Action: action, Resource: s.resource.String(), ResourceAccount: s.account.ID}
	for _, t := range st.Resources {
		if strings.HasPrefix(t.Value, s.resource.String()) && !strings.ContainsAny(t.Value, "?$") && objectAction(action) == strings.Contains(t.Value, "/") {
			q.Resource = strings.ReplaceAll(t.Value, "*", "example")
			break
		}
	}
	if s.resource.Service == "s3" && objectAction(action) && q.Resource == s.resource.String() {
		return effective.Question{}, false
	}
	return q, true
}

// objectAction reports whether an action is on the objects of a bucket.
func objectAction(action string) bool {
	a, ok := catalog.ActionOf(action)
	return ok && slices.Contains(a.ResourceTypes, "object")
}

// deadShare is R03.
func (w *part) deadShare(s *share, e policy.PrincipalEntry, d authz.Decision) {
	w.add(s.subject, e.Value.Pos, e.Value.Value, rule.Finding{
		Code: rule.DeadShare, Summary: fmt.Sprintf("%s gets nothing from this: %s", e.Value.Value, reason(d)),
		Detail: fmt.Sprintf("Asked for %s.", d.Action),
		Hint:   "allow it on the side that denies, or take it out of the policy",
	})
}

// keyOf is the key policy of a secret's key; nil when it has none of its own or
// it was not read.
func (w *world) keyOf(s *share) *share {
	if s.secret == nil || s.secret.KeyARN == "" {
		return nil
	}
	return w.keys[s.secret.KeyARN]
}

// keyNames reports whether some statement of a key policy lets a principal, or
// its account, decrypt.
func keyNames(doc *policy.Document, who arn.ARN) bool {
	return slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
		if st.Principal == nil || !lint.Allows(&st, "kms:Decrypt") {
			return false
		}
		return st.Principal.Everyone || slices.ContainsFunc(st.Principal.Entries, func(e policy.PrincipalEntry) bool {
			id, _ := arn.ParseAccountID(e.Value.Value)
			a, err := arn.Parse(e.Value.Value)
			return e.Value.Value == "*" || id == who.Account || err == nil && a.Account == who.Account && (who.Resource == "root" || a.Resource == "root" || a == who)
		})
	})
}

// decrypt is R02 for a principal whose side is known: nobody reads a secret
// without decrypting it (Secrets Manager guide, "Secret encryption and
// decryption").
func (w *part) decrypt(s *share, e policy.PrincipalEntry, q effective.Question) {
	if k := s.account.Keys[s.secret.KeyARN]; k == nil || k.GrantState != inventory.Exists {
		return // a grant may allow it
	}
	q.Action, q.Resource = "kms:Decrypt", s.secret.KeyARN
	q.Context.Set("kms:ViaService", "secretsmanager."+s.resource.Region+".amazonaws.com")
	q.Context.Set("kms:CallerAccount", string(q.Principal.Account()))
	q.Context.Set("kms:EncryptionContext:SecretARN", s.resource.String())
	q.Context.SetUnknown("kms:EncryptionContext:SecretVersionId")
	d, denied := w.refused(q, w.caller(e.Value.Value).side, w.view.Guard(q))
	if !denied {
		return
	}
	for _, i := range d.Deciding {
		if l := d.Layers[i]; l.Side == authz.ResourceSide {
			w.keyMismatch(s, e, reason(d))
			return
		}
	}
	w.deadShare(s, e, d)
}

func (w *part) keyMismatch(s *share, e policy.PrincipalEntry, why string) {
	w.add(s.subject, e.Value.Pos, e.Value.Value, rule.Finding{
		Code: rule.KeyMismatch, Summary: fmt.Sprintf("%s may read the secret and not decrypt it: %s", e.Value.Value, why),
		Hint: fmt.Sprintf(`allow kms:Decrypt to it in the policy of the key, under "StringEquals": {"kms:ViaService": "secretsmanager.%s.amazonaws.com"}`, s.resource.Region),
	})
}

// keyWithoutSecret is the reverse: a key serves somebody through Secrets
// Manager, and no secret under it is shared with him.
func (w *part) keyWithoutSecret(s *share, st *policy.Statement, e policy.PrincipalEntry, who arn.ARN) {
	via := slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
		return strings.EqualFold(c.Key, "kms:ViaService") && !policy.SplitOperator(c.Operator).Negated() && len(c.Values) > 0 &&
			!slices.ContainsFunc(c.Values, func(v policy.Text) bool { return !strings.HasPrefix(v.Value, "secretsmanager.") })
	})
	if !via || !lint.Allows(st, "kms:Decrypt") {
		return
	}
	secrets := w.under[s.resource.String()]
	if slices.ContainsFunc(secrets, func(other *share) bool { return secretNames(other.doc, who) }) {
		return
	}
	if len(secrets) > 0 && s.account.Kind(inventory.KindSecrets, s.resource.Region) == inventory.Exists {
		w.add(s.subject, e.Value.Pos, e.Value.Value, rule.Finding{
			Code: rule.KeyMismatch, Summary: fmt.Sprintf("%s may decrypt secrets under this key, and none of them is shared with it", e.Value.Value),
			Hint: "name it in the secret's policy, or take it out of the key's",
		})
	}
}

func secretNames(doc *policy.Document, who arn.ARN) bool {
	return slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
		if st.Principal == nil || st.Effect != policy.Allow {
			return false
		}
		return st.Principal.Everyone || slices.ContainsFunc(st.Principal.Entries, func(e policy.PrincipalEntry) bool {
			id, _ := arn.ParseAccountID(e.Value.Value)
			a, err := arn.Parse(e.Value.Value)
			return e.Value.Value == "*" || id == who.Account || err == nil && a.Account == who.Account
		})
	})
}

// endpoints is R13: VPC endpoints of the principal's account, for the service
// and Region of the resource, whose policy stops the request.
func (w *part) endpoints(s *share, e policy.PrincipalEntry, q effective.Question) {
	a := w.inv.Accounts[q.Principal.Account()]
	service, _, _ := strings.Cut(strings.ToLower(q.Action), ":")
	for _, name := range slices.Sorted(maps.Keys(a.Endpoints)) {
		endpoint := a.Endpoints[name]
		if endpoint == nil || endpoint.Policy == "" || !strings.HasSuffix(endpoint.Service, "."+service) ||
			s.resource.Region != "" && !strings.Contains(endpoint.Service, "."+s.resource.Region+".") {
			continue
		}
		q.Endpoint = endpoint.ARN
		d, denied := w.refused(q, w.caller(e.Value.Value).side, w.view.Guard(q))
		if !denied || !slices.ContainsFunc(d.Deciding, func(i int) bool { return d.Layers[i].Layer == authz.LayerEndpoint }) {
			continue
		}
		w.add(endpointSubject(a, endpoint), policy.Pos{}, s.subject+" "+e.Value.Value, rule.Finding{
			Code: rule.BlockedShare, Summary: fmt.Sprintf("%s may use %s and cannot through this endpoint", e.Value.Value, s.subject),
			Detail: fmt.Sprintf("Asked for %s: %s.", d.Action, reason(d)),
			Hint:   "let the endpoint's policy allow the resource to the principal",
		})
	}
}
