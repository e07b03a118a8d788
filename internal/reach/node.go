package reach

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/digraph"
)

// NodeID numbers the nodes of one Graph.
type NodeID = digraph.Vertex

// None is no node.
const None = digraph.None

// Kind is the kind of a node.
type Kind uint8

// The kinds of node.
const (
	Role        Kind = iota // a role: whoever has a session of it
	Session                 // sessions of a role with tags of their own: those of one service account's pods
	User                    // an IAM user
	Root                    // the root user of an account
	WebIdentity             // bearers of an OIDC issuer's tokens with one subject, or one pattern of subjects
	Pod                     // pods of a service account with an EKS Pod Identity association
	People                  // who signs in through a SAML provider, for permission sets one node each
	Service                 // an AWS service, calling for itself
	External                // a principal or account that is not in the inventory
	Everyone                // any principal of any AWS account
	Anonymous               // requests without a signature
)

var kindNames = [...]string{"role", "session", "user", "root", "webIdentity", "pod", "people", "service", "external", "everyone", "anonymous"}

// String gives the name that JSON has, "webIdentity".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText is String, for JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Node is a principal of the graph.
type Node struct {
	ID   NodeID `json:"-"`
	Kind Kind   `json:"kind"`
	// Account is the principal's account, of pods and service accounts their
	// cluster's; "" where there is none.
	Account arn.AccountID `json:"account,omitempty"`
	// Key tells the node from all others and is the same in every graph that
	// has it: the ARN of IAM principals.
	Key string `json:"key"`
	// Name is what people call it: "serviceaccount:ci/payroll/api".
	Name string `json:"name"`
}

// node is a Node with what its requests need.
type node struct {
	Node
	principal authz.Principal
	side      *effective.Side // what its side brings to requests; nil: little, see Graph.ask
	assuming  *effective.Side // side, for sts:AssumeRole only
	context   authz.Context   // what all its requests carry
	issuer    string          // of a WebIdentity, without "https://"
	tags      tagset          // of a Session
	role      NodeID          // of a Session: its role's node
	unread    bool            // a document of its side is not known
	plain     bool            // see isPlain
	tagKeys   []string        // aws:RequestTag and the like that its documents mention, lower case
}

// Node returns a node by its id.
func (g *Graph) Node(id NodeID) Node { return g.nodes[id].Node }

// Len is the number of nodes; their ids count from 0.
func (g *Graph) Len() int { return len(g.nodes) }

// Edges is the number of edges.
func (g *Graph) Edges() int { return g.graph.Edges() }

// Find gives the node with a key.
func (g *Graph) Find(key string) (NodeID, bool) {
	id, ok := g.byKey[key]
	return id, ok
}

func (b *builder) add(n node) NodeID {
	if id, ok := b.byKey[n.Key]; ok {
		return id
	}
	n.ID = NodeID(len(b.nodes))
	if n.Name == "" {
		n.Name = n.Key
	}
	b.nodes = append(b.nodes, n)
	b.byKey[n.Key] = n.ID
	return n.ID
}

// principals adds the users, roles and root users of all accounts.
func (b *builder) principals() {
	count := 0
	for _, account := range b.inv.Accounts {
		if account != nil {
			count += 1 + len(account.Users) + len(account.Roles)
		}
	}
	b.nodes, b.byKey = make([]node, 0, count+count/8), make(map[string]NodeID, count) // and some from outside
	for id, account := range sorted(b.inv.Accounts) {
		if account == nil {
			continue
		}
		root := arn.Root(partitionOf(account), id)
		r := b.add(node{Node: Node{Kind: Root, Account: id, Key: root.String()}, principal: authz.Principal{Kind: authz.Root, ARN: root}})
		b.roots, b.owners = append(b.roots, r), append(b.owners, id)
		for _, u := range sorted(account.Users) {
			if u != nil {
				b.addEntity(User, id, u.ARN, u.ID)
			}
		}
		for _, r := range sorted(account.Roles) {
			if r != nil {
				b.addRole(id, r)
			}
		}
	}
}

func (b *builder) addRole(id arn.AccountID, r *inventory.Role) {
	if n, ok := b.addEntity(Role, id, r.ARN, r.ID); ok {
		b.doors = append(b.doors, door{node: n, role: r})
	}
}

func (b *builder) addEntity(kind Kind, id arn.AccountID, name, unique string) (NodeID, bool) {
	p, err := b.view.Principal(name)
	if _, known := b.byKey[name]; err != nil || known {
		return None, false
	}
	n := b.add(node{Node: Node{Kind: kind, Account: id, Key: name}, principal: p})
	if unique != "" {
		b.ids[unique] = n
	}
	b.members[id] = append(b.members[id], n)
	return n, true
}

// partitionOf is the partition that an account's ARNs are in.
func partitionOf(a *inventory.Account) string {
	for _, r := range a.Roles {
		if r == nil {
			continue
		}
		if parsed, err := arn.Parse(r.ARN); err == nil {
			return parsed.Partition
		}
	}
	for _, u := range a.Users {
		if u == nil {
			continue
		}
		if parsed, err := arn.Parse(u.ARN); err == nil {
			return parsed.Partition
		}
	}
	return "aws"
}

// tagset is the session tags that EKS Pod Identity gives the pods of one
// service account. Source: EKS User Guide pod-id-abac, "List of session tags".
type tagset struct {
	cluster, clusterARN, namespace, serviceAccount string
}

// known are the tags whose values follow from the service account; the pod's
// name and uid differ from pod to pod.
func (t *tagset) known() [][2]string {
	return [][2]string{
		{"eks-cluster-arn", t.clusterARN}, {"eks-cluster-name", t.cluster},
		{"kubernetes-namespace", t.namespace}, {"kubernetes-service-account", t.serviceAccount},
	}
}

var podTags = [...]string{"kubernetes-pod-name", "kubernetes-pod-uid"}

// set puts the tags into c, under a prefix as "aws:PrincipalTag/".
func (t *tagset) set(c *authz.Context, prefix string) {
	for _, tag := range t.known() {
		c.Set(prefix+tag[0], tag[1])
	}
	for _, key := range podTags {
		c.SetUnknown(prefix + key)
	}
}

// keys are the names of all tags.
func (t *tagset) keys() []string {
	var out []string
	for _, tag := range t.known() {
		out = append(out, tag[0])
	}
	return append(out, podTags[:]...)
}

func (t *tagset) String() string {
	return t.clusterARN + "/" + t.namespace + "/" + t.serviceAccount
}

// isPattern reports whether a text stands for several.
func isPattern(s string) bool { return strings.ContainsAny(s, "*?") }

// example is one text that a pattern stands for.
func example(pattern string) string {
	return strings.NewReplacer("*", "stile-example", "?", "x").Replace(pattern)
}

// asks is the question of n: of a session with tags of its own with those, which its
// context has, of every other principal as [effective.Of] puts it.
func (n *node) asks(action, resource string) effective.Question {
	q := effective.Of(n.principal, action, resource)
	q.AnyTags = n.Kind != Session
	return q
}
