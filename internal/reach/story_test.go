package reach_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach"
)

const (
	tooling = arn.AccountID("111111111111")
	orders  = arn.AccountID("222222222222")
	issuer  = "oidc.eks.us-east-1.amazonaws.com/id/C1"
	github  = "token.actions.githubusercontent.com"
)

// world is two accounts outside any organization, everything read.
func world() *inventory.Inventory {
	inv := &inventory.Inventory{OrgState: inventory.Absent, Accounts: map[arn.AccountID]*inventory.Account{}}
	for id, name := range map[arn.AccountID]string{tooling: "tooling", orders: "orders"} {
		inv.Accounts[id] = &inventory.Account{
			ID: id, Name: name, Complete: true, Roles: map[string]*inventory.Role{}, Users: map[string]*inventory.User{},
			Providers: map[string]*inventory.OIDCProvider{}, Member: inventory.Membership{State: inventory.Absent},
			Listed: map[string]inventory.Lookup{inventory.KindProviders: inventory.Exists},
		}
	}
	return inv
}

func roleARN(id arn.AccountID, name string) string {
	return "arn:aws:iam::" + string(id) + ":role/" + name
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// trust is a statement of a trust policy; conditions is "" or a Condition element's value.
func trust(principal, actions, conditions string) string {
	text := fmt.Sprintf(`{"Effect":"Allow","Principal":%s,"Action":%s`, principal, actions)
	if conditions != "" {
		text += `,"Condition":` + conditions
	}
	return text + "}"
}

func allow(actions, resources string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%s,"Resource":%s}`, actions, resources)
}

const (
	assume     = `"sts:AssumeRole"`
	andTag     = `["sts:AssumeRole","sts:TagSession"]`
	byToken    = `"sts:AssumeRoleWithWebIdentity"`
	anyRole    = `"arn:aws:iam::*:role/*"`
	everything = `"*"`
)

// role adds a role with a trust policy of the statements and, unless own is "",
// one statement of its own.
func role(inv *inventory.Inventory, id arn.AccountID, name, own string, statements ...string) *inventory.Role {
	r := &inventory.Role{ARN: roleARN(id, name), Name: name, ID: "AROA" + strings.ToUpper(name), Path: "/", Trust: document(statements...), MaxSession: 3600}
	if own != "" {
		r.Inline = map[string]string{"own": document(own)}
	}
	inv.Accounts[id].Roles[strings.ToLower(name)] = r
	return r
}

// nobody is a trust statement that lets nobody in who is asked about.
var nobody = trust(`{"Service":"ec2.amazonaws.com"}`, assume, "")

func byARN(names ...string) string { return `{"AWS":["` + strings.Join(names, `","`) + `"]}` }

func oidc(inv *inventory.Inventory, id arn.AccountID, url string) string {
	p := &inventory.OIDCProvider{ARN: "arn:aws:iam::" + string(id) + ":oidc-provider/" + url, URL: url, ClientIDs: []string{"sts.amazonaws.com"}}
	inv.Accounts[id].Providers[url] = p
	return `{"Federated":"` + p.ARN + `"}`
}

func cluster(inv *inventory.Inventory, associations ...inventory.Association) {
	inv.Accounts[tooling].Clusters = map[string]*inventory.Cluster{"us-east-1/ci": {
		ARN: "arn:aws:eks:us-east-1:" + string(tooling) + ":cluster/ci", Name: "ci", Region: "us-east-1", Issuer: "https://" + issuer,
		AssociationState: inventory.Exists, ServiceAcctsState: inventory.Exists, Associations: associations,
		ServiceAccounts: []inventory.ServiceAccount{{Namespace: "payroll", Name: "api", Role: roleARN(tooling, "hub")}},
	}}
}

// story is who is to come to whom.
type story struct {
	name string
	make func(inv *inventory.Inventory)
	from string // as Resolve takes it
	to   string // default orders/target
	want reach.Proof
	// hop says what the last hop of the chain has to tell, "" for anything.
	hop string
}

var hubCalls = allow(andTag, anyRole)

var stories = []story{
	{name: "a role of another account that both sides allow", from: "tooling/hub", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	}},
	{name: "a role that the caller's policies do not name", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", allow(assume, `"`+roleARN(orders, "other")+`"`), nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	}},
	{name: "a role that does not trust the caller", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "other")), assume, ""))
	}},
	{name: "a role of the same account that names the caller", from: "orders/hub", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, orders, "hub", "", nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(orders, "hub")), assume, ""))
	}},
	{name: "a role that trusts the caller's account, which allows it", from: "tooling/hub", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN("arn:aws:iam::111111111111:root"), assume, ""))
	}},
	{name: "a role that trusts the caller's account, which does not", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", "", nobody)
		role(inv, orders, "target", "", trust(byARN("111111111111"), assume, ""))
	}},
	{name: "a role that names the caller by its unique id", from: "tooling/hub", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN("AROAHUB"), assume, ""))
	}},
	{name: "a role that names one session of the caller", from: "tooling/hub", want: reach.Conditional, hop: "whether the session is named deploy", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN("arn:aws:sts::111111111111:assumed-role/hub/deploy"), assume, ""))
	}},
	{name: "a role that wants an external id", from: "tooling/hub", want: reach.Conditional, hop: `external id "x-1"`, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, `{"StringEquals":{"sts:ExternalId":"x-1"}}`))
	}},
	{name: "a role that wants a session tag the caller may pass", from: "tooling/hub", want: reach.Conditional, hop: "session tags team=orders", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), andTag, `{"StringEquals":{"aws:RequestTag/team":"orders"}}`))
	}},
	{name: "a role that wants a session tag and does not let tags be passed", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, `{"StringEquals":{"aws:RequestTag/team":"orders"}}`))
	}},
	{name: "a role that wants a source identity the caller may pass", from: "tooling/hub", want: reach.Conditional, hop: `a source identity "alice"`, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", allow(`["sts:AssumeRole","sts:SetSourceIdentity"]`, anyRole), nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), `["sts:AssumeRole","sts:SetSourceIdentity"]`, `{"StringEquals":{"sts:SourceIdentity":"alice"}}`))
	}},
	{name: "a role that wants a source identity the caller may not pass", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), `["sts:AssumeRole","sts:SetSourceIdentity"]`, `{"StringEquals":{"sts:SourceIdentity":"alice"}}`))
	}},
	{name: "a caller whose boundary forbids it", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody).Boundary = "arn:aws:iam::111111111111:policy/b"
		inv.Accounts[tooling].Managed = map[string]*inventory.Managed{"arn:aws:iam::111111111111:policy/b": {Document: document(allow(`"s3:*"`, everything))}}
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	}},
	{name: "a caller with a policy that was not read", from: "tooling/hub", want: reach.Unread, hop: "AdministratorAccess", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", "", nobody).Attached = []string{"arn:aws:iam::aws:policy/AdministratorAccess"}
		role(inv, orders, "target", "", trust(byARN("arn:aws:iam::111111111111:root"), assume, ""))
	}},
	{name: "a caller in an organization nobody looked at", from: "tooling/hub", want: reach.Unread, hop: "service control policy", make: func(inv *inventory.Inventory) {
		inv.OrgState, inv.Accounts[tooling].Member = inventory.NotAsked, inventory.Membership{}
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	}},
	{name: "a role with a trust policy that is no document", from: "tooling/hub", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "target", "").Trust = "{"
	}},
	{name: "the token of a service account", from: "serviceaccount:ci/payroll/api", want: reach.Proven, make: func(inv *inventory.Inventory) {
		cluster(inv)
		role(inv, orders, "target", "", trust(oidc(inv, orders, issuer), byToken, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:payroll:api","`+issuer+`:aud":"sts.amazonaws.com"}}`))
	}},
	{name: "the token of a service account, by a pattern of namespaces", from: "serviceaccount:ci/payroll/api", want: reach.Proven, make: func(inv *inventory.Inventory) {
		cluster(inv)
		role(inv, orders, "target", "", trust(oidc(inv, orders, issuer), byToken, `{"StringLike":{"`+issuer+`:sub":"system:serviceaccount:*:api"}}`))
	}},
	{name: "the token of a service account, for another audience", from: "serviceaccount:ci/payroll/api", make: func(inv *inventory.Inventory) {
		cluster(inv)
		role(inv, orders, "target", "", trust(oidc(inv, orders, issuer), byToken, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:payroll:api","`+issuer+`:aud":"vault"}}`))
	}},
	{name: "the token of a service account, without the provider", from: "serviceaccount:ci/payroll/api", make: func(inv *inventory.Inventory) {
		cluster(inv)
		role(inv, orders, "target", "", trust(oidc(inv, orders, issuer), byToken, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:payroll:api"}}`))
		delete(inv.Accounts[orders].Providers, issuer)
	}},
	{name: "the token of a service account, with providers that were not read", from: "serviceaccount:ci/payroll/api", want: reach.Unread, make: func(inv *inventory.Inventory) {
		cluster(inv)
		inv.Accounts[orders].Listed = nil // as in the output of get-account-authorization-details, which has all of IAM but them
		role(inv, orders, "target", "", trust(oidc(inv, orders, issuer), byToken, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:payroll:api"}}`))
		delete(inv.Accounts[orders].Providers, issuer)
	}},
	{name: "a job of a repository that a pattern covers", from: "subject:repo:acme/app:ref:refs/heads/main", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(oidc(inv, orders, github), byToken, `{"StringLike":{"`+github+`:sub":"repo:acme/app:*"}}`))
	}},
	{name: "a job whose other claims are not known", from: "subject:repo:acme/app:ref:refs/heads/main", want: reach.Conditional, hop: github + ":repository_owner", make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(oidc(inv, orders, github), byToken, `{"StringLike":{"`+github+`:sub":"repo:acme/app:*"},"StringEquals":{"`+github+`:repository_owner":"acme"}}`))
	}},
	{name: "pods of an association", from: "serviceaccount:ci/payroll/worker", to: "tooling/hub", want: reach.Proven, hop: "EKS tags the session: eks-cluster-arn", make: func(inv *inventory.Inventory) {
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub")})
		role(inv, tooling, "hub", "", trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, `{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"payroll"}}`))
	}},
	{name: "pods of an association with a role that lets no tags be passed", from: "serviceaccount:ci/payroll/worker", to: "tooling/hub", make: func(inv *inventory.Inventory) {
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub")})
		role(inv, tooling, "hub", "", trust(`{"Service":"pods.eks.amazonaws.com"}`, assume, ""))
	}},
	{name: "pods of an association without session tags", from: "serviceaccount:ci/payroll/worker", to: "tooling/hub", want: reach.Proven, make: func(inv *inventory.Inventory) {
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub"), NoSessionTags: true})
		role(inv, tooling, "hub", "", trust(`{"Service":"pods.eks.amazonaws.com"}`, assume, ""))
	}},
	{name: "pods whose tags a role further on wants", from: "serviceaccount:ci/payroll/worker", want: reach.Proven, hop: "transitive", make: func(inv *inventory.Inventory) {
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub")})
		role(inv, tooling, "hub", hubCalls, trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, ""))
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), andTag, `{"StringEquals":{"aws:PrincipalTag/kubernetes-service-account":"worker"}}`))
	}},
	{name: "pods with other tags than a role further on wants", from: "serviceaccount:ci/payroll/worker", make: func(inv *inventory.Inventory) {
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub")})
		role(inv, tooling, "hub", hubCalls, trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, ""))
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), andTag, `{"StringEquals":{"aws:PrincipalTag/kubernetes-namespace":"search"}}`))
	}},
	{name: "pods whose tags a role further on does not let be passed on", from: "serviceaccount:ci/payroll/worker", make: func(inv *inventory.Inventory) {
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub")})
		role(inv, tooling, "hub", hubCalls, trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, ""))
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	}},
	{name: "the target role of an association, by its external id", from: "serviceaccount:ci/payroll/worker", want: reach.Proven, make: func(inv *inventory.Inventory) {
		const id = "us-east-1/111111111111/ci/payroll/worker"
		cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub"), TargetRole: roleARN(orders, "target"), ExternalID: id})
		role(inv, tooling, "hub", hubCalls, trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, ""))
		role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), andTag, `{"StringEquals":{"sts:ExternalId":"`+id+`"}}`))
	}},
	{name: "people with a permission set", from: "people with permission set Admins in 222222222222", to: "orders/AWSReservedSSO_Admins_0123456789abcdef", want: reach.Conditional, hop: "the identity provider offers the role", make: func(inv *inventory.Inventory) {
		r := role(inv, orders, "AWSReservedSSO_Admins_0123456789abcdef", "", trust(`{"Federated":"arn:aws:iam::222222222222:saml-provider/sso"}`, `["sts:AssumeRoleWithSAML","sts:TagSession"]`, `{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}`))
		r.Path = "/aws-reserved/sso.amazonaws.com/"
		r.ARN = strings.Replace(r.ARN, "role/", "role/aws-reserved/sso.amazonaws.com/", 1)
		inv.Accounts[orders].SAML = map[string]*inventory.SAMLProvider{"arn:aws:iam::222222222222:saml-provider/sso": {}}
	}},
	{name: "a service", from: "lambda.amazonaws.com", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(`{"Service":"lambda.amazonaws.com"}`, assume, ""))
	}},
	{name: "a service, for one account's sake", from: "events.amazonaws.com", want: reach.Conditional, hop: "aws:SourceAccount", make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(`{"Service":"events.amazonaws.com"}`, assume, `{"StringEquals":{"aws:SourceAccount":"222222222222"}}`))
	}},
	{name: "a third party's role", from: "arn:aws:iam::999999999999:role/vendor", want: reach.Unread, hop: "999999999999", make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(byARN("arn:aws:iam::999999999999:role/vendor"), assume, ""))
	}},
	{name: "a third party's account", from: "arn:aws:iam::999999999999:root", want: reach.Unread, make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(byARN("999999999999"), assume, ""))
	}},
	{name: "anybody at all", from: "everyone", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(`"*"`, assume, ""))
	}},
	{name: "anybody of the organization, who is not anybody at all", from: "everyone", make: func(inv *inventory.Inventory) {
		role(inv, orders, "target", "", trust(`"*"`, assume, `{"StringEquals":{"aws:PrincipalOrgID":"o-acme123456"}}`))
	}},
	{name: "the root user, who cannot assume roles", from: "arn:aws:iam::111111111111:root", make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", "", nobody)
		role(inv, orders, "target", "", trust(byARN("111111111111"), assume, ""))
	}},
	{name: "a chain of two roles", from: "tooling/hub", want: reach.Proven, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "middle", hubCalls, trust(byARN(roleARN(tooling, "hub")), assume, ""))
		role(inv, orders, "target", "", trust(byARN(roleARN(orders, "middle")), assume, ""))
	}},
	{name: "a chain as sure as its least sure hop", from: "tooling/hub", want: reach.Conditional, make: func(inv *inventory.Inventory) {
		role(inv, tooling, "hub", hubCalls, nobody)
		role(inv, orders, "middle", hubCalls, trust(byARN(roleARN(tooling, "hub")), assume, `{"StringEquals":{"sts:ExternalId":"x-1"}}`))
		role(inv, orders, "target", "", trust(byARN(roleARN(orders, "middle")), assume, ""))
	}},
}

func TestWhoComesToWhom(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			inv := world()
			s.make(inv)
			g := reach.New(inv, reach.Config{})
			to := s.to
			if to == "" {
				to = "orders/target"
			}
			paths, _ := g.Paths(nodes(t, g, s.from), nodes(t, g, to), reach.PathOptions{})
			switch {
			case s.want == 0 && len(paths) > 0:
				t.Fatalf("there is a chain that there must not be: %+v", paths[0])
			case s.want == 0:
				return
			case len(paths) == 0:
				t.Fatal("there is no chain")
			}
			if paths[0].Proof != s.want {
				t.Errorf("the chain is %v, want %v", paths[0].Proof, s.want)
			}
			if told := tell(paths[0].Hops[len(paths[0].Hops)-1]); !strings.Contains(told, s.hop) {
				t.Errorf("the last hop tells\n%s\nwant something about %q", told, s.hop)
			}
		})
	}
}

// nodes resolves a text, and takes the name of a node too; none for principals
// that the graph rightly does not have.
func nodes(t *testing.T, g *reach.Graph, text string) []reach.NodeID {
	t.Helper()
	for id := range reach.NodeID(g.Len()) {
		if g.Node(id).Name == text {
			return []reach.NodeID{id}
		}
	}
	found, err := g.Resolve(text)
	if err != nil {
		t.Logf("Resolve(%q): %v", text, err)
	}
	return found
}

// tell is all that a hop says.
func tell(h reach.Hop) string {
	lines := slices.Concat(h.Needs, h.Notes)
	for _, p := range h.Parts {
		lines = append(lines, p.If)
		lines = append(lines, p.Open...)
		lines = append(lines, p.Unread...)
	}
	return strings.Join(lines, "\n")
}

func TestAHopNamesTheStatementsOfBothSides(t *testing.T) {
	inv := world()
	role(inv, tooling, "hub", hubCalls, nobody)
	role(inv, orders, "target", "", nobody, trust(byARN(roleARN(tooling, "hub")), assume, ""))
	g := reach.New(inv, reach.Config{})
	h, ok := g.Hop(nodes(t, g, "tooling/hub")[0], nodes(t, g, "orders/target")[0])
	if !ok || len(h.Parts) != 1 {
		t.Fatalf("Hop = %+v, %v", h, ok)
	}
	var got []string
	for _, grant := range h.Parts[0].Grants {
		got = append(got, fmt.Sprintf("%s %s %d", grant.Side, grant.Source.Name, grant.Index))
	}
	want := []string{"caller role/hub inline policy own 0", "resource role/target 1"}
	if !slices.Equal(got, want) {
		t.Errorf("the hop rests on %q, want %q", got, want)
	}
}

func TestAChainTellsHowLongItsSessionsLast(t *testing.T) {
	inv := world()
	cluster(inv)
	role(inv, tooling, "hub", hubCalls, trust(oidc(inv, tooling, issuer), byToken, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:payroll:api"}}`)).MaxSession = 4 * 3600
	role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	g := reach.New(inv, reach.Config{})
	paths, _ := g.Paths(nodes(t, g, "serviceaccount:ci/payroll/api"), nodes(t, g, "orders/target"), reach.PathOptions{})
	if len(paths) != 1 {
		t.Fatalf("%d chains, want 1", len(paths))
	}
	got := strings.Join(paths[0].Constraints, "\n")
	for _, want := range []string{"role/hub last at most 4 h", "role/target on, sessions last at most 1 h"} {
		if !strings.Contains(got, want) {
			t.Errorf("the chain says %q, want %q", got, want)
		}
	}
}

func TestAllChainsComeShortestFirst(t *testing.T) {
	inv := world()
	role(inv, tooling, "hub", hubCalls, nobody)
	both := trust(byARN(roleARN(tooling, "hub")), assume, "")
	for i := range 4 {
		role(inv, orders, fmt.Sprintf("middle%d", i), hubCalls, both)
	}
	role(inv, orders, "target", "", both, trust(byARN("222222222222"), assume, ""))
	g := reach.New(inv, reach.Config{})
	from, to := nodes(t, g, "tooling/hub"), nodes(t, g, "orders/target")
	if short, more := g.Paths(from, to, reach.PathOptions{}); len(short) != 1 || len(short[0].Hops) != 1 || more {
		t.Errorf("shortest: %d chains, more %v", len(short), more)
	}
	all, more := g.Paths(from, to, reach.PathOptions{All: true, Limit: 3})
	if len(all) != 3 || !more || len(all[0].Hops) != 1 || len(all[2].Hops) != 2 {
		t.Errorf("all, at most 3: %d chains, more %v", len(all), more)
	}
	all, more = g.Paths(from, to, reach.PathOptions{All: true})
	if len(all) != 5 || more {
		t.Errorf("all: %d chains, more %v, want 5", len(all), more)
	}
}

func TestWhatWasNotLookedAtIsToldOnce(t *testing.T) {
	inv := world()
	inv.OrgState = inventory.NotAsked
	inv.Accounts[orders].Problems = []inventory.Problem{{What: "role target", Why: "AccessDenied"}}
	inv.Accounts[tooling].Complete = false
	cluster(inv)
	inv.Accounts[tooling].Clusters["us-east-1/ci"].AssociationState = inventory.Unread
	role(inv, orders, "broken", "").Trust = "{"
	var got []string
	for _, gap := range reach.New(inv, reach.Config{}).Gaps() {
		got = append(got, gap.What)
	}
	want := []string{
		"the organization with its service control policies and resource control policies", "Pod Identity associations of cluster ci",
		"users and roles", "role target", "the trust policy of " + roleARN(orders, "broken"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("gaps %q\nwant %q", got, want)
	}
}

func TestAssumedToBeAbsentIsProven(t *testing.T) {
	inv := world()
	inv.OrgState = inventory.NotAsked
	for _, a := range inv.Accounts {
		a.Member = inventory.Membership{}
	}
	role(inv, tooling, "hub", hubCalls, nobody)
	role(inv, orders, "target", "", trust(byARN(roleARN(tooling, "hub")), assume, ""))
	cfg := reach.Config{}
	cfg.View.Assume = true
	for _, c := range []struct {
		cfg  reach.Config
		want reach.Proof
	}{{reach.Config{}, reach.Unread}, {cfg, reach.Proven}} {
		g := reach.New(inv, c.cfg)
		if e, ok := g.Edge(nodes(t, g, "tooling/hub")[0], nodes(t, g, "orders/target")[0]); !ok || e.Proof != c.want {
			t.Errorf("assume %v: %v, want %v", c.cfg.View.Assume, e.Proof, c.want)
		}
	}
}

func TestResolve(t *testing.T) {
	inv := world()
	cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "api", Role: roleARN(tooling, "hub")})
	role(inv, tooling, "hub", "", trust(oidc(inv, tooling, issuer), byToken, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:payroll:api"}}`),
		trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, ""))
	inv.Accounts[tooling].Users["alice"] = &inventory.User{ARN: "arn:aws:iam::111111111111:user/alice", Name: "alice"}
	g := reach.New(inv, reach.Config{})
	for _, c := range []struct {
		text string
		want int // nodes
		err  string
	}{
		{text: "tooling/hub", want: 2}, {text: "111111111111/hub", want: 2}, {text: roleARN(tooling, "hub"), want: 2},
		{text: "arn:aws:sts::111111111111:assumed-role/hub/x", want: 2}, {text: "tooling/user/alice", want: 1},
		{text: "arn:aws:iam::111111111111:user/alice", want: 1}, {text: "serviceaccount:ci/payroll/api", want: 2},
		{text: "account:tooling", want: 6}, {text: "111111111111", want: 6}, {text: "arn:aws:iam::111111111111:root", want: 1},
		{text: "subject:system:serviceaccount:payroll:api", want: 1},
		{text: "toolin/hub", err: `there is no account "toolin"; did you mean tooling?`}, {text: "tooling/nobody", err: "no principal of that name"}, {text: "tooling/hbu", err: "no principal of that name; did you mean hub?"},
		{text: "arn:aws:iam::111111111111:role/hubb", err: "not in the inventory; did you mean hub?"}, {text: "serviceaccount:cii/payroll/api", err: `no cluster "cii" was read; did you mean ci?`},
		{text: "serviceaccount:ci/payroll/nobody", err: "no role trusts it"}, {text: "serviceaccount:co/payroll/api", err: `no cluster "co"`},
		{text: "arn:aws:iam::999999999999:role/x", err: "its account 999999999999 was not read"}, {text: "subject:nobody", err: "no role trusts such tokens"},
		{text: "account:nowhere", err: "there is no account"}, {text: "?", err: "want ACCOUNT/ROLE"},
	} {
		got, err := g.Resolve(c.text)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("Resolve(%q): %v", c.text, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("Resolve(%q): error %v, want %q", c.text, err, c.err)
		case len(got) != c.want:
			t.Errorf("Resolve(%q) = %d nodes, want %d", c.text, len(got), c.want)
		}
	}
}

func TestATaggedSessionHasWhatResourcesGiveItsRole(t *testing.T) {
	const bucket = "arn:aws:s3:::reports"
	inv := world()
	cluster(inv, inventory.Association{Namespace: "payroll", ServiceAccount: "worker", Role: roleARN(tooling, "hub")})
	role(inv, tooling, "hub", "", trust(`{"Service":"pods.eks.amazonaws.com"}`, andTag, ""))
	policy := `{"Effect":"Allow","Principal":` + byARN(roleARN(tooling, "hub")) + `,"Action":"s3:GetObject","Resource":"` + bucket + `/${aws:PrincipalTag/kubernetes-namespace}/*"}`
	inv.Accounts[tooling].Resources = map[string]*inventory.Resource{bucket: {ARN: bucket, Type: "s3:bucket", Policy: document(policy), PolicyState: inventory.Exists}}
	g := reach.New(inv, reach.Config{})
	var got []string
	for _, a := range g.WhoCan(reach.Query{Action: "s3:GetObject", Resource: bucket + "/payroll/a"}).Direct {
		if a.Node.Kind != reach.Root {
			got = append(got, a.Node.Kind.String()+" "+a.Proof.String())
		}
	}
	// of the role's other sessions nobody knows the tags
	if want := []string{"role conditional", "session allowed"}; !slices.Equal(got, want) {
		t.Errorf("who-can: %q, want %q", got, want)
	}
	for _, n := range nodes(t, g, "tooling/hub") {
		w := g.WhatCan(n)
		want := reach.Conditional
		if w.Node.Kind == reach.Session {
			want = reach.Proven
		}
		if len(w.Given) != 1 || w.Given[0].Proof != want {
			t.Errorf("%s is given %v, want one thing, %v", w.Node.Name, w.Given, want)
		}
	}
}

func TestWhoComesWithATokenMayAskForIt(t *testing.T) {
	inv := world()
	saml := "arn:aws:iam::222222222222:saml-provider/corp"
	inv.Accounts[orders].SAML = map[string]*inventory.SAMLProvider{saml: {ARN: saml, Name: "corp"}}
	role(inv, orders, "target", "",
		trust(oidc(inv, orders, github), byToken, `{"StringEquals":{"`+github+`:sub":"repo:acme/app:ref:refs/heads/main","`+github+`:aud":"sts.amazonaws.com"}}`),
		trust(oidc(inv, orders, github), byToken, `{"StringEquals":{"`+github+`:sub":"repo:acme/other:ref:refs/heads/main","`+github+`:aud":"vault"}}`),
		trust(`{"Federated":"`+saml+`"}`, `"sts:AssumeRoleWithSAML"`, `{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}`))
	role(inv, orders, "near", "", trust(oidc(inv, orders, github), byToken,
		`{"StringEquals":{"`+github+`:sub":"repo:acme/app:ref:refs/heads/main"},"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`))
	g := reach.New(inv, reach.Config{})
	from := func(ip string) authz.Context {
		var c authz.Context
		c.Set("aws:SourceIp", ip)
		return c
	}
	for _, test := range []struct {
		action, role string
		context      authz.Context
		want         []string
	}{
		{action: "sts:AssumeRoleWithWebIdentity", role: "target", want: []string{"webIdentity repo:acme/app:ref:refs/heads/main allowed"}},
		{action: "STS:assumerolewithwebidentity", role: "target", want: []string{"webIdentity repo:acme/app:ref:refs/heads/main allowed"}},
		{action: "sts:AssumeRoleWithSAML", role: "target", want: []string{"people corp conditional"}},
		{action: "sts:AssumeRole", role: "target"},
		{action: "iam:GetRole", role: "target"},
		{action: "sts:AssumeRoleWithWebIdentity", role: "near", want: []string{"webIdentity repo:acme/app:ref:refs/heads/main conditional"}},
		{action: "sts:AssumeRoleWithWebIdentity", role: "near", context: from("192.0.2.1"), want: []string{"webIdentity repo:acme/app:ref:refs/heads/main allowed"}},
		{action: "sts:AssumeRoleWithWebIdentity", role: "near", context: from("198.51.100.1")},
	} {
		var got []string
		for _, a := range g.WhoCan(reach.Query{Action: test.action, Resource: roleARN(orders, test.role), Context: test.context}).Direct {
			if a.Node.Kind != reach.Root {
				got = append(got, a.Node.Kind.String()+" "+a.Node.Name+" "+a.Proof.String())
			}
		}
		if !slices.EqualFunc(got, test.want, func(a, b string) bool {
			kind, rest, _ := strings.Cut(b, " ")
			name, proof, _ := strings.Cut(rest, " ")
			return strings.HasPrefix(a, kind+" ") && strings.Contains(a, name) && strings.HasSuffix(a, " "+proof)
		}) {
			t.Errorf("%s on %s: %q, want %q", test.action, test.role, got, test.want)
		}
	}
}
