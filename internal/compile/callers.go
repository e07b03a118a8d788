package compile

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// audience is what a service account's token for AWS is made for, and what an
// OIDC provider for it must accept. Source: EKS guide "IAM roles for service accounts".
const audience = "sts.amazonaws.com"

// A caller is one entry of From, resolved.
type caller struct {
	decl    *access.Caller
	name    string          // as Route.Caller has it
	account *access.Account // its own
	// Service accounts.
	cluster *access.Cluster
	issuer  string // without https://
	subject string
	// Roles and users.
	kind       string // "role" or "user"; "" for service accounts
	principal  string // ARN
	role       string // name of the role or user
	externalID string
	ssoPattern string // permission-set roles: what aws:PrincipalArn must be like
	owned      bool   // a role the declarations themselves make
}

func (k *caller) isServiceAccount() bool { return k.kind == "" }

func (k *caller) route() Caller {
	if k.isServiceAccount() {
		return Caller{Name: k.name, Issuer: k.issuer, Subject: k.subject, Audience: audience, Cluster: k.cluster.Name}
	}
	return Caller{Name: k.name, ARN: k.principal}
}

// trustPrincipal is how the caller is named in another document: by its ARN,
// and a permission-set role, whose name changes, by its account and a pattern.
func (k *caller) trustPrincipal() (*policy.Principals, []policy.Condition) {
	if k.ssoPattern != "" {
		return policy.AWS(arn.Root("aws", k.account.ID).String()), []policy.Condition{policy.Cond("ArnLike", "aws:PrincipalArn", k.ssoPattern)}
	}
	return policy.AWS(k.principal), nil
}

// resolveCaller finds out who a caller is.
func (c *compiler) resolveCaller(decl *access.Caller) (*caller, bool) {
	switch {
	case decl.ServiceAccount != nil:
		return c.serviceAccount(decl)
	case decl.Role != nil:
		return c.iamCaller(decl, "role", decl.Role)
	case decl.User != nil:
		return c.iamCaller(decl, "user", decl.User)
	}
	c.report.errorf(CodeUnknownName, decl.Pos, "a caller names neither a service account nor a role nor a user")
	return nil, false
}

func (c *compiler) serviceAccount(decl *access.Caller) (*caller, bool) {
	sa := decl.ServiceAccount
	cluster, ok := c.set.Cluster(sa.Cluster)
	if !ok {
		c.report.errorf(CodeUnknownName, decl.Pos, "there is no Cluster %q in the declarations", sa.Cluster)
		return nil, false
	}
	account, ok := c.account(cluster.Account, cluster.Pos)
	if !ok {
		return nil, false
	}
	issuer, ok := c.issuer(cluster, account)
	if !ok {
		return nil, false
	}
	return &caller{
		decl: decl, name: sa.String(), account: account, cluster: cluster, issuer: issuer,
		subject: "system:serviceaccount:" + sa.Namespace + ":" + sa.Name,
	}, true
}

func (c *compiler) issuer(cluster *access.Cluster, account *access.Account) (string, bool) {
	issuer, state, why := c.world.issuerOf(c.set, cluster)
	where := fmt.Sprintf("%s in %s of account %s (%s)", eksName(cluster), cluster.Region, account.Name, account.ID)
	switch state {
	case inventory.Exists:
		if issuer != "" {
			return issuer, true
		}
		c.report.add(fault{
			code: CodeNoIssuer, at: cluster.Pos, summary: fmt.Sprintf("cluster %s has no OIDC issuer", where),
			detail: "without an issuer AWS has nobody to ask whether a service account's token is genuine",
			hint:   "give the cluster's issuer in spec.issuer",
		})
	case inventory.Absent:
		c.report.add(fault{
			code: CodeNoCluster, at: cluster.Pos, summary: fmt.Sprintf("EKS has no cluster %s", where),
			hint: "check spec.name, spec.region and spec.account, or give spec.issuer for a cluster outside EKS",
		})
	case inventory.Unread:
		c.report.add(fault{
			code: CodeUnread, at: cluster.Pos, summary: fmt.Sprintf("cluster %s could not be read: %s", where, why),
			hint: "stile's reading role needs eks:DescribeCluster there, or give spec.issuer",
		})
	case inventory.NotAsked:
		c.report.errorf(CodeNotObserved, cluster.Pos, "cluster %s was not looked for", where)
	}
	return "", false
}

func (c *compiler) iamCaller(decl *access.Caller, kind string, name *access.IAMName) (*caller, bool) {
	account, ok := c.account(name.Account, decl.Pos)
	if !ok {
		return nil, false
	}
	k := &caller{decl: decl, account: account, kind: kind, role: name.Name, externalID: name.ExternalID}
	if own, is := c.own[unitKeyOf(account.ID, name.Name)]; is && kind == "role" && !c.foreignRole(account.ID, name.Name) {
		k.owned = true
		k.principal = arn.IAM("aws", account.ID, "role", own.path, own.name).String()
		k.role, k.name = own.name, k.principal
		return k, c.pathAgrees(k, name)
	}
	principal, state, why := c.principal(account.ID, kind, name.Name)
	switch state {
	case inventory.Exists:
		k.principal, k.name = principal, principal
		return k, c.pathAgrees(k, name) && c.usable(k)
	case inventory.Unread:
		c.report.errorf(CodeUnread, decl.Pos, "%s %s of account %s (%s) could not be read: %s", kind, name.Name, account.Name, account.ID, why)
	case inventory.Absent:
		c.report.add(fault{
			code: CodeNoCaller, at: decl.Pos, summary: fmt.Sprintf("there is no %s %s in account %s (%s)", kind, name.Name, account.Name, account.ID),
			detail: "a trust policy that names a principal which does not exist is refused by IAM",
			hint:   "create it first, or correct the name",
		})
	case inventory.NotAsked:
		c.report.errorf(CodeNotObserved, decl.Pos, "%s %s of account %s was not looked for", kind, name.Name, account.ID)
	}
	return nil, false
}

// pathAgrees reports a caller that is declared with another path than it has. A
// name is unique in its account, so a path need not be declared.
func (c *compiler) pathAgrees(k *caller, declared *access.IAMName) bool {
	real, err := arn.Parse(k.principal)
	if err != nil || declared.Path == "" || declared.Path == "/" || declared.Path == real.Path() {
		return true
	}
	c.report.add(fault{
		code: CodeCallerPath, at: k.decl.Pos,
		summary: fmt.Sprintf("%s %s is declared with the path %s, but is %s", k.kind, k.role, declared.Path, k.principal),
		hint:    fmt.Sprintf("write path: %s, or leave it out", real.Path()),
	})
	return false
}

// foreignRole reports whether a role exists that is not the scope's.
func (c *compiler) foreignRole(id arn.AccountID, name string) bool {
	r, _, _ := c.world.role(id, name)
	return r != nil && r.Tags[TagScope] != c.set.Scope.Name
}

func (c *compiler) principal(id arn.AccountID, kind, name string) (string, inventory.Lookup, string) {
	if kind == "user" {
		u, state, why := c.world.user(id, name)
		if u == nil {
			return "", state, why
		}
		return u.ARN, state, why
	}
	r, state, why := c.world.role(id, name)
	if r == nil {
		return "", state, why
	}
	return r.ARN, state, why
}

// Paths of roles that AWS keeps for itself.
const (
	ssoPath           = "/aws-reserved/sso.amazonaws.com/"
	serviceLinkedPath = "/aws-service-role/"
	ssoRolePrefix     = "AWSReservedSSO_"
	ssoHashSize       = 16 // hexadecimal digits at the end of a permission-set role's name
)

// usable notes permission-set roles and refuses service-linked ones.
func (c *compiler) usable(k *caller) bool {
	a, err := arn.Parse(k.principal)
	if err != nil {
		c.report.errorf(CodeNoCaller, k.decl.Pos, "reading the ARN of %s %s: %v", k.kind, k.role, err)
		return false
	}
	path, name := a.Path(), a.Name()
	if strings.HasPrefix(path, serviceLinkedPath) {
		c.report.add(fault{
			code: CodeCallerFixed, at: k.decl.Pos, summary: fmt.Sprintf("role %s is a service-linked role", k.principal),
			detail: "only its AWS service can use it, and its policies cannot be changed",
		})
		return false
	}
	if strings.HasPrefix(path, ssoPath) && strings.HasPrefix(name, ssoRolePrefix) && len(name) > len(ssoRolePrefix)+ssoHashSize {
		stem := name[:len(name)-ssoHashSize]
		k.ssoPattern = arn.IAM("aws", a.Account, "role", path, stem+strings.Repeat("?", ssoHashSize)).String()
	}
	return true
}
