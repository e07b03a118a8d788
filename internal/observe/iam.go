package observe

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/inventory"
)

// document undoes IAM's percent-encoding of policy documents.
func document(encoded *string) string {
	text, err := url.PathUnescape(aws.ToString(encoded))
	if err != nil {
		return aws.ToString(encoded)
	}
	return text
}

func tags(list []types.Tag) map[string]string {
	out := make(map[string]string, len(list))
	for _, t := range list {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func (r *reader) quotas(ctx context.Context, c *iam.Client) {
	out, err := c.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil {
		r.problem("quotas", err)
		return
	}
	m := out.SummaryMap
	r.put(func(a *inventory.Account) {
		a.Quotas = inventory.Quotas{
			TrustPolicySize:   int(m["AssumeRolePolicySizeQuota"]),
			RolePolicySize:    int(m["RolePolicySizeQuota"]),
			UserPolicySize:    int(m["UserPolicySizeQuota"]),
			PolicySize:        int(m["PolicySizeQuota"]),
			AttachedPerRole:   int(m["AttachedPoliciesPerRoleQuota"]),
			Roles:             int(m["RolesQuota"]),
			RolesUsed:         int(m["Roles"]),
			OIDCProvidersUsed: int(m["Providers"]),
			Read:              true,
		}
	})
}

// steady repeats read while something of what it reads goes under its hands.
func steady[T any](read func() (*T, error)) (*T, error) {
	const attempts = 3
	for i := 1; ; i++ {
		v, err := read()
		if !notFound(err) || i == attempts {
			return v, err
		}
	}
}

func (r *reader) role(ctx context.Context, c *iam.Client, name string) {
	role, err := steady(func() (*inventory.Role, error) { return r.readRole(ctx, c, name) })
	if err != nil {
		r.problem("role "+name, err)
		return
	}
	r.put(func(a *inventory.Account) { a.Roles[strings.ToLower(name)] = role })
}

// readRole returns nil for a role that does not exist. Only the role itself says
// so: something of it that is not found went while it was read.
func (r *reader) readRole(ctx context.Context, c *iam.Client, name string) (*inventory.Role, error) {
	got, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &inventory.Role{
		ARN: aws.ToString(got.Role.Arn), Name: aws.ToString(got.Role.RoleName), ID: aws.ToString(got.Role.RoleId),
		Path: aws.ToString(got.Role.Path), Trust: document(got.Role.AssumeRolePolicyDocument),
		MaxSession: int(aws.ToInt32(got.Role.MaxSessionDuration)), Description: aws.ToString(got.Role.Description), Tags: tags(got.Role.Tags),
	}
	if b := got.Role.PermissionsBoundary; b != nil {
		out.Boundary = aws.ToString(b.PermissionsBoundaryArn)
		if err := r.limit(ctx, c, out.Boundary); err != nil {
			return nil, err
		}
	}
	out.Inline, out.Attached, err = r.policies(ctx, c, roleHolder(c, name))
	return out, err
}

// managed reads a managed policy's default version, once.
func (r *reader) managed(ctx context.Context, c *iam.Client, policyARN string) error {
	r.mu.Lock()
	known := r.asked[policyARN] || r.account.Managed[policyARN] != nil
	r.asked[policyARN] = true
	r.mu.Unlock()
	if known {
		return nil
	}
	got, err := c.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &policyARN})
	if err != nil {
		return fmt.Errorf("reading managed policy %s: %w", policyARN, err)
	}
	version, err := c.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &policyARN, VersionId: got.Policy.DefaultVersionId})
	if err != nil {
		return fmt.Errorf("reading managed policy %s: %w", policyARN, err)
	}
	r.put(func(a *inventory.Account) {
		a.Managed[policyARN] = &inventory.Managed{ARN: policyARN, Document: document(version.PolicyVersion.Document)}
	})
	return nil
}

// limit reads the managed policy of a permissions boundary, which may have been
// deleted while principals carry it.
func (r *reader) limit(ctx context.Context, c *iam.Client, policyARN string) error {
	err := r.managed(ctx, c, policyARN)
	if notFound(err) {
		r.put(func(a *inventory.Account) { a.Managed[policyARN] = nil })
		return nil
	}
	return err
}

// boundary reads a managed policy that roles are to carry and may not carry yet.
func (r *reader) boundary(ctx context.Context, c *iam.Client, policyARN string) {
	if err := r.limit(ctx, c, policyARN); err != nil {
		r.problem("policy "+policyARN, err)
	}
}

func (r *reader) user(ctx context.Context, c *iam.Client, name string) {
	user, err := steady(func() (*inventory.User, error) { return r.readUser(ctx, c, name) })
	if err != nil {
		r.problem("user "+name, err)
		return
	}
	r.put(func(a *inventory.Account) { a.Users[strings.ToLower(name)] = user })
}

// readUser returns nil for a user that does not exist.
func (r *reader) readUser(ctx context.Context, c *iam.Client, name string) (*inventory.User, error) {
	got, err := c.GetUser(ctx, &iam.GetUserInput{UserName: &name})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &inventory.User{
		ARN: aws.ToString(got.User.Arn), Name: aws.ToString(got.User.UserName), ID: aws.ToString(got.User.UserId),
		Path: aws.ToString(got.User.Path), Tags: tags(got.User.Tags),
	}
	if b := got.User.PermissionsBoundary; b != nil {
		out.Boundary = aws.ToString(b.PermissionsBoundaryArn)
		if err := r.limit(ctx, c, out.Boundary); err != nil {
			return nil, err
		}
	}
	if out.Inline, out.Attached, err = r.policies(ctx, c, userHolder(c, name)); err != nil {
		return nil, err
	}
	out.Groups, err = r.groups(ctx, c, name)
	return out, err
}

func (r *reader) groups(ctx context.Context, c *iam.Client, user string) ([]inventory.Group, error) {
	var out []inventory.Group
	pages := iam.NewListGroupsForUserPaginator(c, &iam.ListGroupsForUserInput{UserName: &user})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.Groups {
			group, err := r.group(ctx, c, aws.ToString(g.GroupName))
			if err != nil {
				return nil, err
			}
			out = append(out, group)
		}
	}
	return out, nil
}

func (r *reader) group(ctx context.Context, c *iam.Client, name string) (inventory.Group, error) {
	inline, attached, err := r.policies(ctx, c, groupHolder(c, name))
	return inventory.Group{Name: name, Inline: inline, Attached: attached}, err
}

func (r *reader) provider(ctx context.Context, c *iam.Client, providerURL string) {
	id := arn.OIDCProvider("aws", r.account.ID, providerURL).String()
	got, err := c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &id})
	var found *inventory.OIDCProvider
	switch {
	case notFound(err):
	case err != nil:
		r.problem("OIDC provider "+providerURL, err)
		return
	default:
		found = &inventory.OIDCProvider{ARN: id, URL: providerURL, ClientIDs: got.ClientIDList, Tags: tags(got.Tags)}
	}
	r.put(func(a *inventory.Account) { a.Providers[providerURL] = found })
}

// everything lists all of IAM by GetAccountAuthorizationDetails. For a whole
// account it adds what these details lack, and keeps what changes by mere use.
func (r *reader) everything(ctx context.Context, c *iam.Client, whole bool) {
	d, err := steady(func() (*details, error) { return readDetails(ctx, c) })
	if err != nil {
		r.problem(inventory.AllOfIAM, err)
		return
	}
	r.put(func(a *inventory.Account) {
		// A role read by itself says more: these details lack its longest session.
		for key, role := range d.roles {
			if !whole {
				role.LastUsed = nil
			}
			if a.Roles[key] == nil {
				a.Roles[key] = role
			}
		}
		for key, user := range d.users {
			if a.Users[key] == nil {
				a.Users[key] = user
			}
		}
		for policyARN, doc := range d.managed {
			a.Managed[policyARN] = &inventory.Managed{ARN: policyARN, Document: doc}
		}
		a.Complete = true
	})
	if !whole {
		return
	}
	r.longestSessions(ctx, c)
	for _, id := range d.missing() {
		if err := r.limit(ctx, c, id); err != nil {
			r.problem("policy "+id, err)
		}
	}
}

func readDetails(ctx context.Context, c *iam.Client) (*details, error) {
	pages := iam.NewGetAccountAuthorizationDetailsPaginator(c, &iam.GetAccountAuthorizationDetailsInput{})
	d := &details{roles: map[string]*inventory.Role{}, users: map[string]*inventory.User{}, groups: map[string]inventory.Group{}, managed: map[string]string{}}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		d.add(page)
	}
	return d, d.join()
}

// longestSessions completes the roles of everything: the account's details have
// all of a role but its longest session, which is 0 where it could not be read.
func (r *reader) longestSessions(ctx context.Context, c *iam.Client) {
	list, err := collect(ctx, iam.NewListRolesPaginator(c, &iam.ListRolesInput{}), func(page *iam.ListRolesOutput) []types.Role { return page.Roles })
	if err != nil {
		r.problem("longest sessions of the roles", err)
		return
	}
	r.put(func(a *inventory.Account) {
		for _, role := range list {
			if known := a.Roles[strings.ToLower(aws.ToString(role.RoleName))]; known != nil && known.ID == aws.ToString(role.RoleId) {
				known.MaxSession = int(aws.ToInt32(role.MaxSessionDuration))
			}
		}
	})
}

// details gathers the pages of GetAccountAuthorizationDetails.
type details struct {
	roles    map[string]*inventory.Role
	users    map[string]*inventory.User
	groups   map[string]inventory.Group
	managed  map[string]string
	memberOf map[string][]string // lower-case user name to group names
}

func (d *details) add(page *iam.GetAccountAuthorizationDetailsOutput) {
	if d.memberOf == nil {
		d.memberOf = map[string][]string{}
	}
	for _, p := range page.Policies {
		for _, v := range p.PolicyVersionList {
			if v.IsDefaultVersion {
				d.managed[aws.ToString(p.Arn)] = document(v.Document)
			}
		}
	}
	for _, g := range page.GroupDetailList {
		d.groups[aws.ToString(g.GroupName)] = inventory.Group{Name: aws.ToString(g.GroupName), Inline: inlineOf(g.GroupPolicyList), Attached: attachedOf(g.AttachedManagedPolicies)}
	}
	for _, role := range page.RoleDetailList {
		d.roles[strings.ToLower(aws.ToString(role.RoleName))] = &inventory.Role{
			ARN: aws.ToString(role.Arn), Name: aws.ToString(role.RoleName), ID: aws.ToString(role.RoleId), Path: aws.ToString(role.Path),
			Trust: document(role.AssumeRolePolicyDocument), Inline: inlineOf(role.RolePolicyList), Attached: attachedOf(role.AttachedManagedPolicies),
			Boundary: boundaryOf(role.PermissionsBoundary), Tags: tags(role.Tags), LastUsed: lastUsedOf(role.RoleLastUsed),
		}
	}
	for _, u := range page.UserDetailList {
		key := strings.ToLower(aws.ToString(u.UserName))
		d.users[key] = &inventory.User{
			ARN: aws.ToString(u.Arn), Name: aws.ToString(u.UserName), ID: aws.ToString(u.UserId), Path: aws.ToString(u.Path),
			Inline: inlineOf(u.UserPolicyList), Attached: attachedOf(u.AttachedManagedPolicies), Boundary: boundaryOf(u.PermissionsBoundary), Tags: tags(u.Tags),
		}
		d.memberOf[key] = u.GroupList
	}
}

// join puts the groups into their members. A group that only its members know
// came while the pages were read: the error is one of absence, see steady.
func (d *details) join() error {
	for key, names := range d.memberOf {
		for _, name := range names {
			group, known := d.groups[name]
			if !known {
				return awserr.As(awserr.NotFound, fmt.Errorf("reading group %s of user %s: it is not among the account's groups", name, key))
			}
			d.users[key].Groups = append(d.users[key].Groups, group)
		}
	}
	return nil
}

// missing are the managed policies that something refers to and that were not
// listed: IAM lists AWS's own only where they are attached.
func (d *details) missing() []string {
	want := map[string]bool{}
	add := func(boundary string, attached []string) {
		for _, id := range append([]string{boundary}, attached...) {
			if _, known := d.managed[id]; !known && id != "" {
				want[id] = true
			}
		}
	}
	for _, role := range d.roles {
		add(role.Boundary, role.Attached)
	}
	for _, user := range d.users {
		add(user.Boundary, user.Attached)
	}
	for _, group := range d.groups {
		add("", group.Attached)
	}
	return slices.Sorted(maps.Keys(want))
}

func lastUsedOf(u *types.RoleLastUsed) *inventory.LastUsed {
	if u == nil {
		return nil
	}
	return &inventory.LastUsed{At: aws.ToTime(u.LastUsedDate), Region: aws.ToString(u.Region)}
}

func inlineOf(list []types.PolicyDetail) map[string]string {
	out := make(map[string]string, len(list))
	for _, p := range list {
		out[aws.ToString(p.PolicyName)] = document(p.PolicyDocument)
	}
	return out
}

func attachedOf(list []types.AttachedPolicy) []string {
	var out []string
	for _, p := range list {
		out = append(out, aws.ToString(p.PolicyArn))
	}
	return out
}

func boundaryOf(b *types.AttachedPermissionsBoundary) string {
	if b == nil {
		return ""
	}
	return aws.ToString(b.PermissionsBoundaryArn)
}
