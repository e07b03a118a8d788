package reach

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/trustees"
)

// podService is the service principal that EKS Pod Identity assumes roles as.
const podService = "pods.eks.amazonaws.com"

// sources are the nodes that are no IAM principals of the inventory, as trust
// policies and clusters name them.
type sources struct {
	subjects map[string][]NodeID // WebIdentity nodes by issuer
	clusters map[string]place    // clusters by issuer
	pods     map[string][]pod    // by the ARN of the first role
	outside  map[string]NodeID   // External nodes by ARN, of accounts by their root's
	saml     map[string]NodeID   // People nodes by provider; of permission sets by the role's ARN
	service  map[string]NodeID
	everyone NodeID
}

// place is a cluster with its account.
type place struct {
	account arn.AccountID
	cluster *inventory.Cluster
}

// pod is a Pod Identity association as a way in.
type pod struct {
	node    NodeID // the service account's pods
	session NodeID // the tagged session of the first role; the role itself without tags
	place   place
	binding *inventory.Association
}

// discover adds the nodes of everybody from outside IAM.
func (b *builder) discover() {
	b.sources = sources{
		subjects: map[string][]NodeID{}, clusters: map[string]place{}, pods: map[string][]pod{}, outside: map[string]NodeID{},
		saml: map[string]NodeID{}, service: map[string]NodeID{}, everyone: None,
	}
	b.clusters()
	for i := range b.doors {
		d := &b.doors[i]
		if d.doc == nil {
			b.gaps = append(b.gaps, Gap{Account: b.nodes[d.node].Account, What: "the trust policy of " + d.role.ARN, Why: "it could not be read"})
			continue
		}
		b.strangers(d, &d.names)
	}
}

func (b *builder) clusters() {
	for id, account := range sorted(b.inv.Accounts) {
		if account == nil {
			continue
		}
		for _, c := range sorted(account.Clusters) {
			if c != nil {
				b.cluster(place{id, c})
			}
		}
	}
}

func (b *builder) cluster(p place) {
	issuer := strings.TrimPrefix(p.cluster.Issuer, "https://")
	if issuer != "" {
		b.sources.clusters[issuer] = p
	}
	for _, sa := range p.cluster.ServiceAccounts {
		if issuer != "" {
			b.subject(issuer, "system:serviceaccount:"+sa.Namespace+":"+sa.Name)
		}
	}
	for i := range p.cluster.Associations {
		b.pod(p, &p.cluster.Associations[i])
	}
}

// subject adds the bearers of tokens of an issuer with one subject or a pattern.
func (b *builder) subject(issuer, subject string) NodeID {
	n := node{Node: Node{Kind: WebIdentity, Key: "web:" + issuer + ":" + subject, Name: subject + " of " + issuer}}
	n.principal, n.issuer = authz.Principal{Kind: authz.WebIdentity}, issuer
	n.context.Set(issuer+":sub", example(subject))
	if c, ok := b.sources.clusters[issuer]; ok {
		n.Account = c.account
		if rest, isServiceAccount := strings.CutPrefix(subject, "system:serviceaccount:"); isServiceAccount {
			n.Name = "serviceaccount:" + c.cluster.Name + "/" + strings.Replace(rest, ":", "/", 1)
		}
	}
	if id, known := b.byKey[n.Key]; known {
		return id
	}
	id := b.add(n)
	b.sources.subjects[issuer] = append(b.sources.subjects[issuer], id)
	return id
}

// subjectOf is the subject of a WebIdentity node.
func subjectOf(n *node, issuer string) string { return strings.TrimPrefix(n.Key, "web:"+issuer+":") }

// pod adds the pods of an association, and the session they get.
func (b *builder) pod(p place, a *inventory.Association) {
	name := "serviceaccount:" + p.cluster.Name + "/" + a.Namespace + "/" + a.ServiceAccount
	tags := tagset{cluster: p.cluster.Name, clusterARN: p.cluster.ARN, namespace: a.Namespace, serviceAccount: a.ServiceAccount}
	n := node{Node: Node{Kind: Pod, Account: p.account, Key: "pod:" + tags.String(), Name: name}}
	n.principal, n.tags = authz.Principal{Kind: authz.Service, ServiceName: podService}, tags
	role, known := b.byKey[a.Role]
	if !known || b.nodes[role].Kind != Role {
		return
	}
	way := pod{place: p, binding: a, session: role}
	if !a.NoSessionTags {
		tags.set(&n.context, "aws:RequestTag/")
		n.context.Set("aws:TagKeys", tags.keys()...)
		way.session = b.session(role, tags)
	}
	way.node = b.add(n)
	b.sources.pods[a.Role] = append(b.sources.pods[a.Role], way)
}

// taggedWith stands in keys of Session nodes between the role's ARN and the tags.
const taggedWith = " tagged "

// session adds the sessions of a role that carry tags.
func (b *builder) session(role NodeID, tags tagset) NodeID {
	r := &b.nodes[role]
	n := node{
		Node:      Node{Kind: Session, Account: r.Account, Key: r.Key + taggedWith + tags.String(), Name: r.Name + " (as " + tags.cluster + "/" + tags.namespace + "/" + tags.serviceAccount + ")"},
		principal: r.principal, side: r.side, assuming: r.assuming, tags: tags, role: role, unread: r.unread, tagKeys: r.tagKeys,
	}
	if id, known := b.byKey[n.Key]; known {
		return id
	}
	tags.set(&n.context, "aws:PrincipalTag/")
	id := b.add(n)
	b.siblings[role] = append(b.siblings[role], id)
	return id
}

// strangers adds whom a trust policy names and who is no principal of the inventory.
func (b *builder) strangers(d *door, t *trustees.Names) {
	if t.Everyone && b.sources.everyone == None {
		b.sources.everyone = b.add(node{Node: Node{Kind: Everyone, Key: "everyone", Name: anyPrincipal}, principal: stranger(nobodysAccount)})
	}
	for _, id := range t.Accounts {
		if b.inv.Accounts[id] == nil {
			root := arn.Root("aws", id).String()
			b.outside(root, "some principal of account "+string(id), id)
		}
	}
	for _, name := range t.Entities {
		b.outsider(name)
	}
	for _, name := range t.Services {
		if _, known := b.sources.service[name]; !known && name != podService {
			b.sources.service[name] = b.add(node{Node: Node{Kind: Service, Key: name}, principal: authz.Principal{Kind: authz.Service, ServiceName: name}})
		}
	}
	for _, p := range t.Providers {
		b.provider(d, p)
	}
}

// outsider adds a user or role that is not in the inventory, unless it is known
// not to exist.
func (b *builder) outsider(name string) {
	if a, err := arn.Parse(name); err == nil && b.unknownEntity(name) {
		b.outside(name, name, a.Account)
	}
}

func (b *builder) outside(key, name string, id arn.AccountID) {
	if _, known := b.sources.outside[key]; known {
		return
	}
	p, err := b.view.Principal(key)
	if err != nil {
		return
	}
	if p.Kind == authz.Root {
		p = stranger(id)
	}
	n := node{Node: Node{Kind: External, Account: id, Key: "external:" + key, Name: name}, principal: p, unread: true}
	b.sources.outside[key] = b.add(n)
}

// provider adds the bearers of an identity provider's tokens that a statement
// lets in.
func (b *builder) provider(d *door, p trustees.Provider) {
	if trustees.IsSAML(p.Name) {
		b.saml(d, p.Name)
		return
	}
	issuer := trustees.Issuer(p.Name)
	if len(p.Subjects) == 0 {
		b.subject(issuer, "*")
	}
	for _, s := range p.Subjects {
		b.subject(issuer, s)
	}
}

// saml adds the people of a SAML provider: for roles of IAM Identity Center
// those with the permission set, for others everybody the provider knows.
func (b *builder) saml(d *door, providerName string) {
	a, err := arn.Parse(providerName)
	if err != nil {
		return
	}
	n := node{
		Node:      Node{Kind: People, Account: a.Account, Key: "saml:" + providerName, Name: "people of SAML provider " + a.Name() + " (" + string(a.Account) + ")"},
		principal: authz.Principal{Kind: authz.SAML, Provider: a},
	}
	if set, ok := permissionSet(d.role); ok {
		n.Key += " " + d.role.ARN
		n.Name = "people with permission set " + set + " in " + string(a.Account)
		b.sources.saml[d.role.ARN] = b.add(n)
		return
	}
	b.sources.saml[providerName] = b.add(n)
}

// permissionSet is the name of the IAM Identity Center permission set that a
// role was made for: AWSReservedSSO_NAME_HASH.
func permissionSet(r *inventory.Role) (string, bool) {
	rest, ok := strings.CutPrefix(r.Name, "AWSReservedSSO_")
	if !ok || !strings.HasPrefix(r.Path, "/aws-reserved/sso.amazonaws.com/") {
		return "", false
	}
	if i := strings.LastIndexByte(rest, '_'); i > 0 {
		rest = rest[:i]
	}
	return rest, true
}

// subjectsFor lists the WebIdentity nodes that statements of a trust policy may
// let in: those of its subjects, and those that one of its patterns covers.
func (b *builder) subjectsFor(p trustees.Provider) []NodeID {
	issuer := trustees.Issuer(p.Name)
	if len(p.Subjects) == 0 {
		return b.sources.subjects[issuer]
	}
	var out []NodeID
	for _, s := range p.Subjects {
		if !isPattern(s) {
			if id, known := b.byKey["web:"+issuer+":"+s]; known {
				out = append(out, id)
			}
			continue
		}
		for _, id := range b.sources.subjects[issuer] {
			if compile.Within(subjectOf(&b.nodes[id], issuer), s) {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
