package gate

import (
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
)

// request builds what authz judges: who, what, on what, and the condition keys.
func (g *Gate) request(caller *Caller, access *Access, facts *Facts) authz.Request {
	req := authz.Request{
		Principal:       caller.Principal,
		Action:          access.Action,
		Resource:        access.Resource,
		ResourceAccount: access.Account, ResourceAWSManaged: access.AWSManaged,
	}
	if req.ResourceAccount == "" {
		req.ResourceAccount = resourceAccount(access.Resource, caller.Account())
	}
	if org := g.world.Organization; org != nil {
		req.Principal.Management = org.Management == caller.Account() && caller.Account() != ""
		req.ResourceManagement = org.Management == req.ResourceAccount
	}
	c := &req.Context
	g.setNetwork(c, facts)
	g.setPrincipal(c, caller)
	g.setOrganization(c, caller, req.ResourceAccount)
	setAccess(c, access, facts)
	return req
}

func resourceAccount(resource string, caller arn.AccountID) arn.AccountID {
	if a, err := arn.Parse(resource); err == nil && a.Account != "" {
		return a.Account
	}
	return caller
}

func (g *Gate) setNetwork(c *authz.Context, facts *Facts) {
	now := facts.Now.UTC()
	c.Set("aws:CurrentTime", now.Format(time.RFC3339))
	c.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	c.Set("aws:SecureTransport", strconv.FormatBool(facts.TLS))
	if facts.SourceIP.IsValid() {
		c.Set("aws:SourceIp", facts.SourceIP.Unmap().String())
	}
	if facts.UserAgent != "" {
		c.Set("aws:UserAgent", facts.UserAgent)
	}
	if facts.Region != "" {
		c.Set("aws:RequestedRegion", facts.Region)
	}
}

// setPrincipal adds the tags of the caller's user or role, overlaid with those
// of its session, and what the session brings. authz derives
// aws:PrincipalArn and its like itself.
func (g *Gate) setPrincipal(c *authz.Context, caller *Caller) {
	for key, values := range caller.Claims {
		c.Set(key, values...)
	}
	for key, value := range g.entityTags(caller) {
		c.Set("aws:PrincipalTag/"+key, value)
	}
	s := caller.Session
	if s == nil {
		return
	}
	for key, value := range s.Tags {
		c.Set("aws:PrincipalTag/"+key, value)
	}
	c.Set("aws:TokenIssueTime", s.Issued.UTC().Format(time.RFC3339))
	// Only requests with temporary credentials have this key (IAM user guide,
	// "AWS global condition context keys").
	c.Set("aws:MultiFactorAuthPresent", strconv.FormatBool(s.MFA))
	if s.MFA {
		c.Set("aws:MultiFactorAuthAge", strconv.FormatInt(int64(g.world.Now().Sub(s.MFAAt)/time.Second), 10))
	}
	if s.SourceIdentity != "" {
		c.Set("aws:SourceIdentity", s.SourceIdentity)
	}
	if s.Provider != "" {
		c.Set("aws:FederatedProvider", s.Provider)
	}
}

func (g *Gate) entityTags(caller *Caller) map[string]string {
	id, seen := entityID(caller), g.world.Horizon(caller.Account())
	if role, _ := g.world.RoleByID(id, seen); role != nil {
		return role.Tags
	}
	if user, _ := g.world.UserByID(id, seen); user != nil {
		return user.Tags
	}
	return nil
}

func (g *Gate) setOrganization(c *authz.Context, caller *Caller, resource arn.AccountID) {
	org := g.world.Organization
	if path := org.PathString(caller.Account()); path != "" {
		c.Set("aws:PrincipalOrgID", org.ID)
		c.Set("aws:PrincipalOrgMasterAccountId", string(org.Management))
		c.Set("aws:PrincipalOrgPaths", path)
	}
	if path := org.PathString(resource); path != "" {
		c.Set("aws:ResourceOrgID", org.ID)
		c.Set("aws:ResourceOrgPaths", path)
	}
}

func setAccess(c *authz.Context, access *Access, facts *Facts) {
	service, _, _ := strings.Cut(access.Action, ":")
	for key, value := range access.ResourceTags {
		c.Set("aws:ResourceTag/"+key, value)
		c.Set(service+":ResourceTag/"+key, value)
	}
	keys := access.TagKeys
	for key, value := range access.RequestTags {
		c.Set("aws:RequestTag/"+key, value)
		keys = append(keys[:len(keys):len(keys)], key)
	}
	if len(keys) > 0 {
		c.Set("aws:TagKeys", keys...)
	}
	c.Set("aws:ViaAWSService", strconv.FormatBool(len(access.Via) > 0))
	if n := len(access.Via); n > 0 {
		if via := calledVia(access.Via); len(via) > 0 {
			c.Set("aws:CalledVia", via...)
			c.Set("aws:CalledViaFirst", via[0])
			c.Set("aws:CalledViaLast", via[len(via)-1])
		}
		c.Set("kms:ViaService", viaEndpoint(access.Via[n-1], facts.Region))
	}
	for key, values := range access.Context {
		c.Set(key, values...)
	}
}

// calledVia are those of the services that aws:CalledVia is told of: few are (IAM
// user guide, "AWS global condition context keys", CalledVia services), and
// Secrets Manager is not one of them.
func calledVia(services []string) []string {
	var out []string
	for _, name := range services {
		switch name {
		case "athena.amazonaws.com", "cloudformation.amazonaws.com", "dynamodb.amazonaws.com", "kms.amazonaws.com":
			out = append(out, name)
		}
	}
	return out
}

// viaEndpoint is how kms:ViaService names a service: with its Region,
// "secretsmanager.us-east-1.amazonaws.com".
func viaEndpoint(principal, region string) string {
	name, domain, ok := strings.Cut(principal, ".")
	if !ok || region == "" {
		return principal
	}
	return name + "." + region + "." + domain
}
