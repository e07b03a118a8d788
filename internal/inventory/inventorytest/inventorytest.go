// Package inventorytest makes up inventories of whole organizations, for tests
// and benchmarks of what reads them.
//
// Start with [Organization]. The same [Size] gives the same inventory, to the
// byte. Its documents are of the forms AWS's guides recommend, plus the ones
// that fail on one side: grants without trust, trusts without grant. It does
// not imitate how often each form occurs in real organizations.
package inventorytest

import (
	"fmt"
	"math/rand/v2"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// Size says how large an organization to make. Zero fields take the default.
type Size struct {
	Seed     uint64
	Accounts int // default 3; the first is the management account
	Roles    int // in each account; default 10
	// Edges is how many roles each role is meant to be able to assume: most by
	// both sides, some by one alone. Default 3; it is capped by the number of roles.
	Edges     int
	Users     int // in each account; default 3
	Resources int // of each kind (secrets, keys, buckets, queues, topics, tables) in each account; default 2
}

func (s Size) withDefaults() Size {
	for _, d := range []struct {
		field   *int
		without int
	}{{&s.Accounts, 3}, {&s.Roles, 10}, {&s.Edges, 3}, {&s.Users, 3}, {&s.Resources, 2}} {
		if *d.field <= 0 {
			*d.field = d.without
		}
	}
	s.Edges = min(s.Edges, s.Accounts*s.Roles-1)
	return s
}

// ID of the organization, and the Regions its accounts have resources in.
const (
	OrganizationID = "o-exampleorgid"
	HomeRegion     = "us-east-1"
	OtherRegion    = "eu-west-1"
)

const (
	partition    = "aws"
	fullSCP      = "p-FullAWSAccess"
	fullRCP      = "p-RCPFullAWSAccess"
	firstAccount = 100000000001
)

// AccountID is the id of the i-th account, counted from 0.
func AccountID(i int) arn.AccountID {
	return arn.AccountID(fmt.Sprintf("%012d", firstAccount+i))
}

// Organization makes an organization of size s: OUs with service control and
// resource control policies, accounts with users, groups, roles that assume each
// other within and across accounts, providers, EKS clusters with service
// accounts, Pod Identity associations and access entries, secrets, keys,
// buckets, queues, topics, tables and VPC endpoints with their policies.
func Organization(s Size) *inventory.Inventory {
	s = s.withDefaults()
	g := &generator{Size: s, rand: rand.New(rand.NewPCG(s.Seed, 0x57111e))}
	g.plan()
	inv := &inventory.Inventory{OrgState: inventory.Exists, Organization: g.organization(), Accounts: map[arn.AccountID]*inventory.Account{}}
	for i := range s.Accounts {
		a := g.account(i)
		inv.Accounts[a.ID] = a
	}
	return inv
}

type generator struct {
	Size
	rand  *rand.Rand
	roles []plannedRole // of all accounts, in order
}

// chance is true in percent of the cases.
func (g *generator) chance(percent int) bool { return g.rand.IntN(100) < percent }

// hex makes up n hexadecimal digits.
func (g *generator) hex(n int) string {
	const digits = "0123456789abcdef"
	out := make([]byte, n)
	for i := range out {
		out[i] = digits[g.rand.IntN(len(digits))]
	}
	return string(out)
}

// suffix makes up n letters and digits, as of unique ids and secret ARNs.
func (g *generator) suffix(n int) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	out := make([]byte, n)
	for i := range out {
		out[i] = digits[g.rand.IntN(len(digits))]
	}
	return string(out)
}

// organization builds the tree: root, three OUs, of which the first has two OUs
// below, and the accounts spread over the leaves.
func (g *generator) organization() *inventory.Organization {
	management := AccountID(0)
	org := &inventory.Organization{ID: OrganizationID, ManagementAccount: management, RCPState: inventory.Exists, Policies: g.scps(), RCPs: g.rcps()}
	node := func(id, name string, scps ...string) *inventory.Node {
		return &inventory.Node{ID: id, Name: name, SCPs: append([]string{fullSCP}, scps...), RCPs: []string{fullRCP}}
	}
	root := node("r-ab12", "Root")
	root.RCPs = append(root.RCPs, "p-rcpperim0")
	prod := node("ou-ab12-prod0000", "Production", "p-noleave0")
	test := node("ou-ab12-test0000", "Test")
	workloads := node("ou-ab12-work0000", "Workloads", "p-regions0")
	workloads.Children = []*inventory.Node{prod, test}
	security := node("ou-ab12-secu0000", "Security")
	sandbox := node("ou-ab12-sand0000", "Sandbox")
	sandbox.SCPs = []string{"p-sandbox0"} // an allow list in the place of FullAWSAccess
	root.Children = []*inventory.Node{node(string(management), "management"), workloads, security, sandbox}
	leaves := []*inventory.Node{prod, test, prod, test, security, prod, sandbox}
	for i := 1; i < g.Accounts; i++ {
		leaf := leaves[(i-1)%len(leaves)]
		leaf.Children = append(leaf.Children, node(string(AccountID(i)), accountName(i)))
	}
	org.Root = root
	return org
}

func accountName(i int) string {
	if i == 0 {
		return "management"
	}
	return fmt.Sprintf("team-%03d", i)
}

func (g *generator) scps() map[string]*inventory.OrgPolicy {
	out := map[string]*inventory.OrgPolicy{
		fullSCP: {ID: fullSCP, ARN: "arn:aws:organizations::aws:policy/service_control_policy/" + fullSCP, Name: "FullAWSAccess", Document: allowAll},
	}
	add := func(id, name string, st policy.Statement) {
		out[id] = orgPolicy("service_control_policy", id, name, st)
	}
	add("p-regions0", "DenyOtherRegions", policy.Statement{
		Sid: "DenyOtherRegions", Effect: policy.Deny, NotActions: policy.Texts("iam:*", "organizations:*", "sts:*", "s3:*", "support:*"), Resources: policy.Texts("*"),
		Conditions: []policy.Condition{policy.Cond("StringNotEquals", "aws:RequestedRegion", HomeRegion, OtherRegion)},
	})
	add("p-noleave0", "ProtectProduction", policy.Statement{
		Sid: "ProtectProduction", Effect: policy.Deny, Actions: policy.Texts("organizations:LeaveOrganization", "iam:DeleteRole", "kms:ScheduleKeyDeletion"), Resources: policy.Texts("*"),
		Conditions: []policy.Condition{policy.Cond("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/admin")},
	})
	add("p-sandbox0", "SandboxServices", policy.Statement{
		Sid: "SandboxServices", Effect: policy.Allow, Actions: policy.Texts("sts:*", "iam:*", "s3:*", "secretsmanager:*", "kms:*"), Resources: policy.Texts("*"),
	})
	return out
}

func (g *generator) rcps() map[string]*inventory.OrgPolicy {
	perimeter := policy.Statement{
		Sid: "IdentityPerimeter", Effect: policy.Deny, Principal: policy.Everyone(), Actions: policy.Texts("s3:*", "secretsmanager:*", "kms:*", "sqs:*"), Resources: policy.Texts("*"),
		Conditions: []policy.Condition{
			policy.Cond("StringNotEqualsIfExists", "aws:PrincipalOrgID", OrganizationID),
			policy.Cond("BoolIfExists", "aws:PrincipalIsAWSService", "false"),
		},
	}
	everything := policy.Statement{Effect: policy.Allow, Principal: policy.Everyone(), Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	return map[string]*inventory.OrgPolicy{
		fullRCP: {
			ID: fullRCP, ARN: "arn:aws:organizations::aws:policy/resource_control_policy/" + fullRCP, Name: "RCPFullAWSAccess",
			Document: policy.NewDocument(everything).String(),
		},
		"p-rcpperim0": orgPolicy("resource_control_policy", "p-rcpperim0", "IdentityPerimeter", perimeter),
	}
}

func orgPolicy(kind, id, name string, statements ...policy.Statement) *inventory.OrgPolicy {
	owner := "arn:aws:organizations::" + string(AccountID(0)) + ":policy/" + OrganizationID + "/"
	return &inventory.OrgPolicy{ID: id, ARN: owner + kind + "/" + id, Name: name, Document: policy.NewDocument(statements...).String()}
}
