package snapshot

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// documents checks every document by itself and keeps what the other rules
// need of it, account by account. AWS's own documents are kept and not judged.
func (w *world) documents() rule.List {
	org := part{world: w}
	org.organization()
	accounts := w.accounts()
	list := org.list
	for _, d := range each(w, len(accounts), func(i int) *documents { return w.documentsOf(accounts[i]) }) {
		list = append(list, d.list...)
		w.roles = append(w.roles, d.roles...)
		w.policies = append(w.policies, d.policies...)
		w.shared = append(w.shared, d.shared...)
	}
	return list
}

// documents are those of one account, as far as they could be read.
type documents struct {
	part
	roles    []*role
	policies []*held
	shared   []*share
	attached map[string]*holders // by ARN of a managed policy
	groups   map[string]*held    // inline policies of groups, by subject
}

// holders are those a managed policy is attached to, each once, and whether it
// is somebody's permissions boundary.
type holders struct {
	arns     []string
	boundary bool
}

func (w *world) documentsOf(a *inventory.Account) *documents {
	d := &documents{part: part{world: w}, attached: map[string]*holders{}, groups: map[string]*held{}}
	for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
		if r := a.Roles[name]; r != nil {
			d.role(a, r)
			d.identity(a, "role/"+r.Name, r.ARN, r.Inline)
			d.note(r.ARN, r.Attached, r.Boundary)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Users)) {
		if u := a.Users[name]; u != nil {
			d.user(a, u)
		}
	}
	d.managedPolicies(a)
	d.resources(a)
	return d
}

// of is what is known of the managed policy of an ARN, made on first use.
func (d *documents) of(policyARN string) *holders {
	h := d.attached[policyARN]
	if h == nil {
		h = &holders{}
		d.attached[policyARN] = h
	}
	return h
}

func (d *documents) note(holder string, policies []string, boundary string) {
	for _, p := range policies {
		// A user's own and its groups' attachments follow one another.
		if h := d.of(p); len(h.arns) == 0 || h.arns[len(h.arns)-1] != holder {
			h.arns = append(h.arns, holder)
		}
	}
	if boundary != "" {
		d.of(boundary).boundary = true
	}
}

// document checks one text and adds what was found, unless AWS wrote it.
func (w *part) document(ctx lint.Context, text string, kind policy.Kind, judge bool) *policy.Document {
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

func (w *documents) role(a *inventory.Account, r *inventory.Role) {
	parsed, err := arn.Parse(r.ARN)
	if err != nil {
		return
	}
	out := &role{Role: r, arn: parsed, account: a, subject: string(a.ID) + " role/" + r.Name + " trust policy", clusters: map[string]bool{}}
	ctx := w.context(a, out.subject)
	ctx.Name, ctx.Partition, ctx.Privileged = r.Name, parsed.Partition, administrator(a, r)
	out.trust = w.document(ctx, r.Trust, policy.Trust, !awsOwns(r.Path))
	out.guard = sync.OnceValue(func() *effective.Side {
		return w.view.Guard(effective.Question{Action: assumeRole, Resource: r.ARN})
	})
	w.roles = append(w.roles, out)
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

func (w *documents) identity(a *inventory.Account, who, holder string, inline map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(inline)) {
		h := &held{subject: string(a.ID) + " " + who + " inline policy " + name, holders: []string{holder}}
		ctx := w.context(a, h.subject)
		ctx.Name = name
		w.hold(h, w.document(ctx, inline[name], policy.Identity, true))
	}
}

func (w *documents) hold(h *held, doc *policy.Document) {
	if h.doc = doc; doc != nil {
		w.policies = append(w.policies, h)
	}
}

func (w *documents) user(a *inventory.Account, u *inventory.User) {
	w.identity(a, "user/"+u.Name, u.ARN, u.Inline)
	w.note(u.ARN, u.Attached, u.Boundary)
	for _, g := range u.Groups {
		w.note(u.ARN, g.Attached, "")
		for _, name := range slices.Sorted(maps.Keys(g.Inline)) {
			subject := string(a.ID) + " group/" + g.Name + " inline policy " + name
			if h := w.groups[subject]; h != nil { // another user's
				h.holders = append(h.holders, u.ARN)
				continue
			}
			ctx := w.context(a, subject)
			ctx.Name = name
			w.groups[subject] = &held{subject: subject, holders: []string{u.ARN}}
			w.hold(w.groups[subject], w.document(ctx, g.Inline[name], policy.Identity, true))
		}
	}
}

// managedPolicies checks the account's own ones. One that is only somebody's
// boundary allows nothing by itself.
func (w *documents) managedPolicies(a *inventory.Account) {
	for _, name := range slices.Sorted(maps.Keys(a.Managed)) {
		m := a.Managed[name]
		if m == nil || awsPolicy(m.ARN) {
			continue
		}
		parsed, err := arn.Parse(m.ARN)
		if err != nil {
			continue
		}
		use := w.of(m.ARN)
		h := &held{subject: string(a.ID) + " policy/" + parsed.Name(), holders: use.arns}
		ctx := w.context(a, h.subject)
		ctx.Name = parsed.Name()
		if use.boundary && len(use.arns) == 0 {
			w.document(ctx, m.Document, policy.Boundary, true)
			continue
		}
		w.hold(h, w.document(ctx, m.Document, policy.Managed, true))
	}
}

// organization checks the control policies.
func (w *part) organization() {
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
func (w *part) onManagement(org *inventory.Organization, n *inventory.Node) {
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
func (w *documents) resources(a *inventory.Account) {
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

func (w *documents) resource(ctx lint.Context, a *inventory.Account, resource, text string, kind policy.Kind, secret *inventory.Secret) {
	parsed, err := arn.Parse(resource)
	if err != nil {
		return
	}
	ctx.Partition = parsed.Partition
	if doc := w.document(ctx, text, kind, true); doc != nil {
		w.shared = append(w.shared, &share{doc: doc, subject: ctx.Subject, resource: parsed, kind: kind, secret: secret, account: a})
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
