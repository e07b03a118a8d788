// Package sso is the access portal of IAM Identity Center on the local AWS: the
// accounts and roles that a signed-in person has, and credentials for them.
//
// Start with [New]. Access tokens come from package ssooidc; the roles are those
// that permission sets became, and what their sessions may do is IAM's business.
package sso

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/sso/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// pageSize is how long listings are that do not say. AWS does not tell; the
// least that makes clients turn pages.
const pageSize = 20

// New returns the service.
func New() *service.Service {
	s := service.New("sso")
	p := &portal{taken: map[string]*bucket{}}
	service.Register(s, "ListAccounts", service.Op[sso.ListAccountsInput, sso.ListAccountsOutput]{
		Unsigned: true, ReadOnly: true, Free: true, Handle: listAccounts,
		Prepare: func(_ context.Context, c *service.Call, in *sso.ListAccountsInput) *wire.Error {
			return p.enter(c, in.AccessToken)
		},
	})
	service.Register(s, "ListAccountRoles", service.Op[sso.ListAccountRolesInput, sso.ListAccountRolesOutput]{
		Unsigned: true, ReadOnly: true, Free: true, Handle: listAccountRoles,
		Account: func(in *sso.ListAccountRolesInput) arn.AccountID { return arn.AccountID(aws.ToString(in.AccountId)) },
		Prepare: func(_ context.Context, c *service.Call, in *sso.ListAccountRolesInput) *wire.Error {
			return p.enter(c, in.AccessToken)
		},
	})
	service.Register(s, "GetRoleCredentials", service.Op[sso.GetRoleCredentialsInput, sso.GetRoleCredentialsOutput]{
		Unsigned: true, ReadOnly: true, Asks: true, Handle: getRoleCredentials,
		Account: func(in *sso.GetRoleCredentialsInput) arn.AccountID {
			return arn.AccountID(aws.ToString(in.AccountId))
		},
		Prepare: func(_ context.Context, c *service.Call, in *sso.GetRoleCredentialsInput) *wire.Error {
			return p.enter(c, in.AccessToken)
		},
	})
	service.Register(s, "Logout", service.Op[sso.LogoutInput, sso.LogoutOutput]{
		Unsigned: true, Free: true, Handle: logout,
		Prepare: func(_ context.Context, c *service.Call, in *sso.LogoutInput) *wire.Error {
			return p.enter(c, in.AccessToken)
		},
	})
	return s
}

// portal counts the requests of each instance: those of all its people share
// one rate (IAM Identity Center quotas: "a collective throttle maximum of 20
// transactions per second").
type portal struct {
	mu    sync.Mutex // guards taken
	taken map[string]*bucket
}

// bucket has the requests that an instance may still take, filled up with time.
type bucket struct {
	left float64
	at   time.Time
}

// visitor is who calls, left by enter for the handlers.
type visitor struct {
	instance *store.IdentityCenter
	user     *store.IdentityCenterUser
}

// enter finds out who calls and counts the request.
func (p *portal) enter(c *service.Call, token *string) *wire.Error {
	c.World.RLock()
	defer c.World.RUnlock()
	_, at, _ := c.World.SignedIn(aws.ToString(token), c.Now)
	if at == nil || c.ByHost && at.Region != c.Region {
		return c.Errorf("UnauthorizedException", "Session token not found or invalid")
	}
	if !p.take(at, c.Now) {
		return c.Errorf("TooManyRequestsException", "HTTP 429 Too Many Requests")
	}
	return nil
}

// take is a token bucket as large as what comes in a second.
func (p *portal) take(at *store.IdentityCenter, now time.Time) bool {
	if at.Rate < 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	size := float64(at.Rate)
	b := p.taken[at.StartURL]
	if b == nil {
		b = &bucket{left: size, at: now}
		p.taken[at.StartURL] = b
	}
	if now.After(b.at) {
		b.left = min(size, b.left+now.Sub(b.at).Seconds()*size)
		b.at = now
	}
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// who is the caller under the lock: enter's look may be of a while ago.
func who(c *service.Call, token *string) (visitor, *wire.Error) {
	_, at, user := c.World.SignedIn(aws.ToString(token), c.Now)
	if at == nil {
		return visitor{}, c.Errorf("UnauthorizedException", "Session token not found or invalid")
	}
	return visitor{at, user}, nil
}

func noAccess(c *service.Call) *wire.Error {
	e := c.Errorf("ForbiddenException", "No access")
	e.Status = http.StatusForbidden
	return e
}

func invalidToken(c *service.Call) *wire.Error {
	return c.Errorf("InvalidRequestException", "Invalid pagination token")
}

func listAccounts(c *service.Call, in *sso.ListAccountsInput) (*sso.ListAccountsOutput, *wire.Error) {
	v, e := who(c, in.AccessToken)
	if e != nil {
		return nil, e
	}
	shown, next, ok := service.SortedPage(v.instance.AccountsOf(v.user), func(id arn.AccountID) string { return string(id) }, in.NextToken, in.MaxResults, pageSize)
	if !ok {
		return nil, invalidToken(c)
	}
	out := &sso.ListAccountsOutput{AccountList: []types.AccountInfo{}, NextToken: next}
	for _, id := range shown {
		info := types.AccountInfo{AccountId: aws.String(string(id))}
		if account := c.World.Accounts[id]; account != nil {
			info.AccountName, info.EmailAddress = aws.String(account.Name), aws.String(account.Email)
		}
		out.AccountList = append(out.AccountList, info)
	}
	return out, nil
}

func listAccountRoles(c *service.Call, in *sso.ListAccountRolesInput) (*sso.ListAccountRolesOutput, *wire.Error) {
	v, e := who(c, in.AccessToken)
	if e != nil {
		return nil, e
	}
	names := v.instance.Assigned(v.user, arn.AccountID(*in.AccountId))
	if len(names) == 0 {
		return nil, noAccess(c)
	}
	shown, next, ok := service.SortedPage(names, func(name string) string { return name }, in.NextToken, in.MaxResults, pageSize)
	if !ok {
		return nil, invalidToken(c)
	}
	out := &sso.ListAccountRolesOutput{RoleList: []types.RoleInfo{}, NextToken: next}
	for _, name := range shown {
		out.RoleList = append(out.RoleList, types.RoleInfo{AccountId: in.AccountId, RoleName: aws.String(name)})
	}
	return out, nil
}

// getRoleCredentials makes a session of the role that the permission set has
// become in the account, if the role's trust policy and the organization's
// resource control policies let it.
func getRoleCredentials(c *service.Call, in *sso.GetRoleCredentialsInput) (*sso.GetRoleCredentialsOutput, *wire.Error) {
	v, e := who(c, in.AccessToken)
	if e != nil {
		return nil, e
	}
	account := arn.AccountID(*in.AccountId)
	set := v.instance.PermissionSets[*in.RoleName]
	if set == nil || !slices.Contains(v.instance.Assigned(v.user, account), set.Name) {
		return nil, noAccess(c)
	}
	role, owner := c.World.RoleByID(set.Roles[account], c.World.Horizon(account))
	if role == nil || owner != account {
		return nil, noAccess(c)
	}
	provider, e := mayEnter(c, v, role, account)
	if e != nil {
		return nil, e
	}
	s := &store.Session{
		Kind: store.AssumedRole, Account: account, Entity: role.ID, Name: v.user.Name, Provider: provider.String(),
		Expires: c.Now.Add(set.SessionDuration), CalledBy: v.instance.StartURL + " " + v.user.Name,
	}
	token, e := c.Mint(s)
	if e != nil {
		return nil, e
	}
	c.World.Use(role.ID, store.LastUse{At: c.Now, Region: c.Region})
	return &sso.GetRoleCredentialsOutput{RoleCredentials: &types.RoleCredentials{
		AccessKeyId: aws.String(s.AccessKey), SecretAccessKey: aws.String(s.Secret), SessionToken: aws.String(token),
		Expiration: s.Expires.UnixMilli(),
	}}, nil
}

// mayEnter asks the role's trust policy, as AssumeRoleWithSAML does, for that is
// how IAM Identity Center comes in. It returns the provider that it comes from.
func mayEnter(c *service.Call, v visitor, role *store.Role, account arn.AccountID) (arn.ARN, *wire.Error) {
	provider := arn.IAM(store.Partition, account, "saml-provider", "/", v.instance.ProviderName())
	resource := role.RoleARN(account)
	trust, e := c.Policy(role.Trust, authz.Source{Layer: authz.LayerTrust, Account: account, Name: "role/" + role.Name + " trust policy"})
	if e != nil {
		return provider, e
	}
	caller := gate.Caller{
		Principal: authz.Principal{Kind: authz.SAML, Provider: provider},
		Claims:    map[string][]string{"saml:aud": {store.SAMLAudience}, "aws:FederatedProvider": {provider.String()}},
	}
	verdict := c.Check(caller, gate.Access{
		Action: "sts:AssumeRoleWithSAML", Resource: resource.String(), Account: account, Policy: trust, ResourceTags: role.Tags,
		Context: map[string][]string{"sts:RoleSessionName": {v.user.Name}},
	})
	if !verdict.Allowed {
		c.Blame(verdict)
		return provider, noAccess(c)
	}
	return provider, nil
}

// logout ends the session with all its tokens; credentials that were handed out
// live on (portal API reference, Logout).
func logout(c *service.Call, in *sso.LogoutInput) (*sso.LogoutOutput, *wire.Error) {
	if _, e := who(c, in.AccessToken); e != nil {
		return nil, e
	}
	grants := c.World.SSOGrants()
	delete(grants.Sessions, grants.Access[*in.AccessToken].Session)
	grants.Sweep(c.Now)
	return nil, nil
}
