package inventorytest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// door is how a role lets others in.
type door uint8

const (
	exactARN     door = iota // names the callers' roles
	accountRoot              // names the callers' accounts
	organization             // "*" with aws:PrincipalOrgID
	externalID               // names the callers' roles, wants sts:ExternalId
	taggedCaller             // names the callers' accounts, wants a tag of the caller
	patternARN               // "*" with ArnLike aws:PrincipalArn and the organization
)

var doors = [...]door{exactARN, exactARN, exactARN, exactARN, exactARN, exactARN, accountRoot, organization, externalID, taggedCaller, patternARN}

// plannedRole is a role before its documents are written.
type plannedRole struct {
	account int
	arn     arn.ARN
	kind    string
	door    door
	callers []int // roles it trusts
	targets []int // roles it is allowed to assume
}

// kinds of roles, by their place in the account; from len(kinds) on all are
// workloads.
var kinds = [...]string{"admin", "irsa", "pod", "service", "ci", "sso", "linked"}

func kindOf(i int) string {
	if i < len(kinds) {
		return kinds[i]
	}
	return "workload"
}

// plan names all roles and decides who is to assume whom.
func (g *generator) plan() {
	g.roles = make([]plannedRole, 0, g.Accounts*g.Roles)
	for a := range g.Accounts {
		for i := range g.Roles {
			g.roles = append(g.roles, g.planRole(a, i))
		}
	}
	for from := range g.roles {
		for range g.Edges {
			g.edge(from)
		}
	}
}

func (g *generator) planRole(account, i int) plannedRole {
	p := plannedRole{account: account, kind: kindOf(i), door: doors[g.rand.IntN(len(doors))]}
	path, name := "/", fmt.Sprintf("%s-%03d", p.kind, i)
	switch p.kind {
	case "admin":
		name = "admin"
	case "linked":
		path, name = "/aws-service-role/eks.amazonaws.com/", "AWSServiceRoleForAmazonEKS"
	case "sso":
		path, name = "/aws-reserved/sso.amazonaws.com/", "AWSReservedSSO_PowerUserAccess_"+g.hex(16)
	case "workload":
		if g.chance(20) {
			path = "/app/"
		}
	}
	p.arn = arn.IAM(partition, AccountID(account), "role", path, name)
	return p
}

// edge picks a role that from is to assume: mostly a workload, three in ten in
// the same account. One edge in ten is granted or trusted on one side only.
func (g *generator) edge(from int) {
	to := g.rand.IntN(len(g.roles))
	if g.chance(30) {
		to = g.roles[from].account*g.Roles + g.rand.IntN(g.Roles)
	}
	if to == from || g.roles[from].kind == "linked" || g.roles[to].kind == "linked" {
		return
	}
	half := g.rand.IntN(20)
	if half != 0 {
		g.roles[from].targets = append(g.roles[from].targets, to)
	}
	if half != 1 {
		g.roles[to].callers = append(g.roles[to].callers, from)
	}
}

func (g *generator) account(i int) *inventory.Account {
	id := AccountID(i)
	a := &inventory.Account{
		ID: id, Name: accountName(i), Complete: true,
		Member: inventory.Membership{State: inventory.Exists, Organization: OrganizationID, Management: AccountID(0)},
		Quotas: inventory.Quotas{Read: true, TrustPolicySize: 4096, RolePolicySize: 10240, UserPolicySize: 2048, PolicySize: 6144, AttachedPerRole: 20, Roles: 1000, RolesUsed: g.Roles, OIDCProviders: 100, OIDCProvidersUsed: 2},
		Roles:  map[string]*inventory.Role{}, Users: map[string]*inventory.User{}, Managed: g.managed(id), Providers: map[string]*inventory.OIDCProvider{},
		Listed: map[string]inventory.Lookup{},
	}
	g.resources(a, i)
	for n := range g.Roles {
		p := &g.roles[i*g.Roles+n]
		a.Roles[lower(p.arn.Name())] = g.role(a, p)
	}
	for n := range g.Users {
		u := g.user(id, n)
		a.Users[lower(u.Name)] = u
	}
	return a
}

func (g *generator) role(a *inventory.Account, p *plannedRole) *inventory.Role {
	r := &inventory.Role{
		ARN: p.arn.String(), Name: p.arn.Name(), ID: "AROA" + g.suffix(17), Path: p.arn.Path(), MaxSession: 3600 * (1 + g.rand.IntN(3)),
		Trust: policy.NewDocument(g.trust(a, p)...).String(), Inline: map[string]string{},
		Tags: map[string]string{"team": team(p.account), "env": []string{"prod", "test"}[g.rand.IntN(2)]},
	}
	if p.kind == "admin" {
		r.Attached = append(r.Attached, adminPolicy)
	}
	if p.kind == "linked" {
		r.Attached = append(r.Attached, eksPolicy)
		return r
	}
	if st := g.assume(p); st != nil {
		r.Inline["assume"] = policy.NewDocument(*st).String()
	}
	r.Inline["use"] = policy.NewDocument(g.use(a)...).String()
	for range g.rand.IntN(3) {
		r.Attached = append(r.Attached, managedARN(a.ID, g.rand.IntN(managedPolicies)))
	}
	slices.Sort(r.Attached)
	r.Attached = slices.Compact(r.Attached)
	if g.chance(10) {
		r.Boundary = boundaryARN(a.ID)
	}
	if g.chance(60) {
		r.LastUsed = &inventory.LastUsed{At: time.Date(2026, 1, 1+g.rand.IntN(300), 12, 0, 0, 0, time.UTC), Region: HomeRegion}
	}
	return r
}

func team(account int) string { return []string{"orders", "payroll", "search", "data"}[account%4] }

// trust writes what the role's kind needs and lets its callers in by its door.
func (g *generator) trust(a *inventory.Account, p *plannedRole) []policy.Statement {
	statements := kindTrust(a, p)
	if len(p.callers) == 0 {
		if len(statements) == 0 {
			statements = append(statements, trustOf(policy.AWS(arn.Root(partition, a.ID).String())))
		}
		return statements
	}
	st := trustOf(nil)
	switch p.door {
	case accountRoot:
		st.Principal = policy.AWS(g.callerAccounts(p)...)
	case taggedCaller:
		st.Principal = policy.AWS(g.callerAccounts(p)...)
		st.Conditions = []policy.Condition{policy.Cond("StringEquals", "aws:PrincipalTag/team", team(p.account))}
	case organization:
		st.Principal = policy.AWS("*")
		st.Conditions = []policy.Condition{policy.Cond("StringEquals", "aws:PrincipalOrgID", OrganizationID)}
	case patternARN:
		st.Principal = policy.AWS("*")
		st.Conditions = []policy.Condition{
			policy.Cond("StringEquals", "aws:PrincipalOrgID", OrganizationID),
			policy.Cond("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/app/*", "arn:aws:iam::*:role/ci-*"),
		}
	case externalID:
		st.Principal = policy.AWS(g.callerARNs(p)...)
		st.Conditions = []policy.Condition{policy.Cond("StringEquals", "sts:ExternalId", "x-"+string(a.ID)+"-"+p.arn.Name())}
	case exactARN:
		st.Principal = policy.AWS(g.callerARNs(p)...)
	}
	return append(statements, st)
}

func (g *generator) callerARNs(p *plannedRole) []string {
	var out []string
	for _, c := range p.callers {
		out = append(out, g.roles[c].arn.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (g *generator) callerAccounts(p *plannedRole) []string {
	var out []string
	for _, c := range p.callers {
		out = append(out, arn.Root(partition, g.roles[c].arn.Account).String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func trustOf(principal *policy.Principals) policy.Statement {
	return policy.Statement{Effect: policy.Allow, Principal: principal, Actions: policy.Texts("sts:AssumeRole")}
}

// kindTrust is what lets the services, providers and people of the role's kind in.
func kindTrust(a *inventory.Account, p *plannedRole) []policy.Statement {
	service := func(name string, actions ...string) []policy.Statement {
		return []policy.Statement{{Effect: policy.Allow, Principal: policy.ServicePrincipal(name), Actions: policy.Texts(append(actions, "sts:AssumeRole")...)}}
	}
	switch p.kind {
	case "pod":
		return service("pods.eks.amazonaws.com", "sts:TagSession")
	case "service":
		return service("lambda.amazonaws.com")
	case "linked":
		return service("eks.amazonaws.com")
	case "irsa":
		return []policy.Statement{webIdentity(a, issuerOf(a), policy.Cond("StringEquals", issuerOf(a)+":sub", "system:serviceaccount:apps:api"), "sts.amazonaws.com")}
	case "ci":
		return []policy.Statement{webIdentity(a, githubIssuer, policy.Cond("StringLike", githubIssuer+":sub", "repo:example/"+a.Name+":ref:refs/heads/*"), "sts.amazonaws.com")}
	case "sso":
		return []policy.Statement{{
			Effect: policy.Allow, Principal: policy.Federated(samlARN(a.ID)), Actions: policy.Texts("sts:AssumeRoleWithSAML", "sts:TagSession"),
			Conditions: []policy.Condition{policy.Cond("StringEquals", "SAML:aud", "https://signin.aws.amazon.com/saml")},
		}}
	}
	return nil
}

func webIdentity(a *inventory.Account, issuer string, sub policy.Condition, audience string) policy.Statement {
	return policy.Statement{
		Effect: policy.Allow, Principal: policy.Federated(arn.OIDCProvider(partition, a.ID, issuer).String()), Actions: policy.Texts("sts:AssumeRoleWithWebIdentity"),
		Conditions: []policy.Condition{policy.Cond("StringEquals", issuer+":aud", audience), sub},
	}
}

// assume is the identity policy's statement for the role's targets, nil when it
// has none. One role in ten is allowed by a pattern of names.
func (g *generator) assume(p *plannedRole) *policy.Statement {
	var resources []string
	for _, t := range p.targets {
		resources = append(resources, g.roles[t].arn.String())
	}
	if p.kind == "workload" && g.chance(10) {
		resources = append(resources, "arn:aws:iam::*:role/app/*")
	}
	if len(resources) == 0 {
		return nil
	}
	slices.Sort(resources)
	return &policy.Statement{Sid: "Assume", Effect: policy.Allow, Actions: policy.Texts("sts:AssumeRole", "sts:TagSession"), Resources: policy.Texts(slices.Compact(resources)...)}
}

// use allows some of the account's own resources, and of another account's.
func (g *generator) use(a *inventory.Account) []policy.Statement {
	other := AccountID(g.rand.IntN(g.Accounts))
	statements := []policy.Statement{
		{Effect: policy.Allow, Actions: policy.Texts("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"), Resources: policy.Texts(g.secretPattern(a.ID), g.secretPattern(other))},
		{Effect: policy.Allow, Actions: policy.Texts("s3:GetObject"), Resources: policy.Texts("arn:aws:s3:::" + bucketName(other, g.rand.IntN(g.Resources)) + "/*")},
	}
	if g.chance(40) {
		st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("kms:Decrypt"), Resources: policy.Texts("*")}
		st.Conditions = []policy.Condition{policy.Cond("StringEquals", "kms:ViaService", "secretsmanager."+HomeRegion+".amazonaws.com")}
		statements = append(statements, st)
	}
	if g.chance(10) {
		statements = append(statements, policy.Statement{Sid: "NotThese", Effect: policy.Deny, Actions: policy.Texts("secretsmanager:GetSecretValue"), Resources: policy.Texts(g.secretPattern(other))})
	}
	return statements
}

func (g *generator) user(id arn.AccountID, n int) *inventory.User {
	name := fmt.Sprintf("user-%02d", n)
	u := &inventory.User{
		ARN: arn.IAM(partition, id, "user", "/", name).String(), Name: name, ID: "AIDA" + g.suffix(17), Path: "/",
		Inline: map[string]string{}, Tags: map[string]string{"team": team(n)},
	}
	admins := inventory.Group{Name: "admins", Attached: []string{adminPolicy}}
	developers := inventory.Group{Name: "developers", Inline: map[string]string{"assume": policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("sts:AssumeRole"), Resources: policy.Texts("arn:aws:iam::*:role/app/*"),
	}).String()}, Attached: []string{managedARN(id, 0)}}
	switch n % 3 {
	case 0:
		u.Groups = []inventory.Group{developers}
		u.Boundary = boundaryARN(id)
	case 1:
		u.Inline["one-role"] = policy.NewDocument(policy.Statement{
			Effect: policy.Allow, Actions: policy.Texts("sts:AssumeRole"), Resources: policy.Texts(g.roles[g.rand.IntN(len(g.roles))].arn.String()),
			Conditions: []policy.Condition{policy.Cond("Bool", "aws:MultiFactorAuthPresent", "true")},
		}).String()
	case 2:
		u.Groups = []inventory.Group{admins, developers}
	}
	return u
}
