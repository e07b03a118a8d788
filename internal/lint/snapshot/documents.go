package snapshot

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// documents checks every document by itself and keeps what the other rules
// need of it. AWS's own documents are kept and not judged.
func (w *world) documents() {
	w.organization()
	for _, a := range w.accounts() {
		attached := map[string][]string{} // managed policy to holders
		for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
			if r := a.Roles[name]; r != nil {
				w.role(a, r)
				w.identity(a, "role/"+r.Name, r.ARN, r.Inline)
				note(attached, r.ARN, r.Attached)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(a.Users)) {
			if u := a.Users[name]; u != nil {
				w.user(a, u, attached)
			}
		}
		w.managedPolicies(a, attached)
		w.resources(a)
		w.associations(a)
	}
}

func note(attached map[string][]string, holder string, policies []string) {
	for _, p := range policies {
		if !slices.Contains(attached[p], holder) {
			attached[p] = append(attached[p], holder)
		}
	}
}

// document checks one text and adds what was found, unless AWS wrote it.
func (w *world) document(ctx lint.Context, text string, kind policy.Kind, judge bool) *policy.Document {
	if _, unread := inventory.WhyUnknown(text); unread || text == "" {
		return nil
	}
	if !judge {
		doc, err := policy.Parse([]byte(text))
		if err != nil {
			return nil
		}
		return doc
	}
	doc, list := ctx.Document([]byte(text), kind)
	w.list = append(w.list, list...)
	return doc
}

func (w *world) role(a *inventory.Account, r *inventory.Role) {
	parsed, err := arn.Parse(r.ARN)
	if err != nil {
		return
	}
	out := &role{Role: r, arn: parsed, account: a, subject: string(a.ID) + " role/" + r.Name + " trust policy", clusters: map[string]bool{}}
	ctx := w.context(a, out.subject)
	ctx.Name, ctx.Partition, ctx.Privileged = r.Name, parsed.Partition, administrator(a, r)
	out.trust = w.document(ctx, r.Trust, policy.Trust, !awsOwns(r.Path))
	w.roles = append(w.roles, out)
	w.byARN[r.ARN] = out
}

// awsOwns reports whether roles of a path are made and kept by AWS.
func awsOwns(path string) bool {
	return strings.HasPrefix(path, "/aws-service-role/") || strings.HasPrefix(path, "/aws-reserved/")
}

// administrator reports whether a role may do everything, or everything with IAM.
func administrator(a *inventory.Account, r *inventory.Role) bool {
	for _, p := range r.Attached {
		if lint.IsAdministratorPolicy(p) {
			return true
		}
		if m := a.Managed[p]; m != nil && !awsPolicy(p) && grantsAll(m.Document) {
			return true
		}
	}
	for _, text := range r.Inline {
		if grantsAll(text) {
			return true
		}
	}
	return false
}

func grantsAll(text string) bool {
	if !strings.Contains(text, `"*"`) {
		return false
	}
	doc, err := policy.Parse([]byte(text))
	return err == nil && lint.IsAdministrator(doc)
}

func awsPolicy(policyARN string) bool { return strings.Contains(policyARN, ":iam::aws:policy/") }

func (w *world) identity(a *inventory.Account, who, holder string, inline map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(inline)) {
		h := &held{subject: string(a.ID) + " " + who + " inline policy " + name, holders: []string{holder}}
		ctx := w.context(a, h.subject)
		ctx.Name = name
		w.hold(h, w.document(ctx, inline[name], policy.Identity, true))
	}
}

func (w *world) hold(h *held, doc *policy.Document) {
	if h.doc = doc; doc != nil {
		w.policies = append(w.policies, h)
	}
}

func (w *world) user(a *inventory.Account, u *inventory.User, attached map[string][]string) {
	w.identity(a, "user/"+u.Name, u.ARN, u.Inline)
	note(attached, u.ARN, u.Attached)
	for _, g := range u.Groups {
		note(attached, u.ARN, g.Attached)
		for _, name := range slices.Sorted(maps.Keys(g.Inline)) {
			subject := string(a.ID) + " group/" + g.Name + " inline policy " + name
			i := slices.IndexFunc(w.policies, func(h *held) bool { return h.subject == subject })
			if i >= 0 {
				w.policies[i].holders = append(w.policies[i].holders, u.ARN)
				continue
			}
			ctx := w.context(a, subject)
			ctx.Name = name
			w.hold(&held{subject: subject, holders: []string{u.ARN}}, w.document(ctx, g.Inline[name], policy.Identity, true))
		}
	}
}

func (w *world) managedPolicies(a *inventory.Account, attached map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(a.Managed)) {
		m := a.Managed[name]
		if m == nil || awsPolicy(m.ARN) {
			continue
		}
		parsed, err := arn.Parse(m.ARN)
		if err != nil {
			continue
		}
		h := &held{subject: string(a.ID) + " policy/" + parsed.Name(), holders: attached[m.ARN]}
		ctx := w.context(a, h.subject)
		ctx.Name = parsed.Name()
		w.hold(h, w.document(ctx, m.Document, policy.Managed, true))
	}
}

// organization checks the control policies.
func (w *world) organization() {
	org := w.inv.Organization
	if org == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(org.Policies)) {
		if p := org.Policies[id]; p != nil && id != "p-FullAWSAccess" {
			w.document(lint.Context{Subject: "service control policy " + p.Name, Management: org.ManagementAccount, Organization: w.own}, p.Document, policy.SCP, true)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(org.RCPs)) {
		if p := org.RCPs[id]; p != nil && id != "p-RCPFullAWSAccess" {
			w.document(lint.Context{Subject: "resource control policy " + p.Name, Management: org.ManagementAccount, Organization: w.own}, p.Document, policy.RCP, true)
		}
	}
	w.onManagement(org, org.Root)
}

// onManagement is the part of R11 that only the tree shows: a policy attached
// to the management account.
func (w *world) onManagement(org *inventory.Organization, n *inventory.Node) {
	if n == nil {
		return
	}
	if n.ID == string(org.ManagementAccount) {
		for _, id := range n.SCPs {
			if p := org.Policies[id]; p != nil && id != "p-FullAWSAccess" {
				w.add("service control policy "+p.Name, policy.Pos{}, n.ID, rule.Finding{
					Code: rule.NeverBound, Summary: "the policy is attached to the management account, which no service control policy affects",
					Hint: "attach it to the accounts and units it is meant for, and run no workloads in the management account",
				})
			}
		}
	}
	for _, c := range n.Children {
		w.onManagement(org, c)
	}
}

// resources checks the policies of secrets, keys, endpoints and other resources.
func (w *world) resources(a *inventory.Account) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(a.Secrets)) {
		s := a.Secrets[name]
		if s == nil || seen[s.ARN] {
			continue
		}
		seen[s.ARN] = true
		ctx := w.context(a, string(a.ID)+" secret "+s.Name)
		ctx.Secret = &lint.Secret{KMSKey: s.KMSKey}
		if s.KeyARN != "" {
			ctx.Secret.KMSKey = s.KeyARN
		}
		w.resource(ctx, a, s.ARN, s.Policy, policy.Resource, s)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Keys)) {
		if k := a.Keys[name]; k != nil && !k.AWSManaged {
			w.resource(w.context(a, string(a.ID)+" key "+keyName(k)), a, k.ARN, k.Policy, policy.Key, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Resources)) {
		if r := a.Resources[name]; r != nil {
			kind, _, _ := strings.Cut(r.Type, ":")
			w.resource(w.context(a, string(a.ID)+" "+kind+" "+shortName(r.ARN)), a, r.ARN, r.Policy, policy.Resource, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Endpoints)) {
		if e := a.Endpoints[name]; e != nil {
			w.document(w.context(a, endpointSubject(a, e)), e.Policy, policy.Endpoint, true)
		}
	}
}

func endpointSubject(a *inventory.Account, e *inventory.Endpoint) string {
	return string(a.ID) + " VPC endpoint " + e.ID
}

func (w *world) resource(ctx lint.Context, a *inventory.Account, resource, text string, kind policy.Kind, secret *inventory.Secret) {
	parsed, err := arn.Parse(resource)
	if err != nil {
		return
	}
	ctx.Partition = parsed.Partition
	if doc := w.document(ctx, text, kind, true); doc != nil {
		w.shared = append(w.shared, share{doc: doc, subject: ctx.Subject, resource: parsed, kind: kind, secret: secret, account: a})
	}
}

func keyName(k *inventory.Key) string {
	if len(k.Aliases) > 0 {
		return k.Aliases[0]
	}
	return shortName(k.ARN)
}

// shortName is an ARN's resource.
func shortName(text string) string {
	a, err := arn.Parse(text)
	if err != nil {
		return text
	}
	return a.Resource
}

// associations notes which roles Pod Identity hands out.
func (w *world) associations(a *inventory.Account) {
	for _, name := range slices.Sorted(maps.Keys(a.Clusters)) {
		c := a.Clusters[name]
		if c == nil {
			continue
		}
		for i := range c.Associations {
			if r := w.byARN[c.Associations[i].Role]; r != nil {
				r.associations = append(r.associations, &c.Associations[i])
				r.clusters[c.ARN] = true
			}
		}
	}
}
