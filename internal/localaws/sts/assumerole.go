package sts

import (
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

const (
	// roleDuration is the default of DurationSeconds.
	roleDuration = time.Hour
	// maxChained bounds sessions assumed with the credentials of any session: a
	// role's, and those of GetSessionToken, which STS counts as role chaining too
	// (STS API reference, AssumeRole, DurationSeconds; AWS Knowledge Center, "Can I
	// increase the IAM role chaining session duration limit?": "MFA users … use the
	// AWS STS GetSessionToken API and are limited to one hour";
	// coinbase/assume-role#24, 99designs/aws-vault#351).
	maxChained = time.Hour
)

// findRole is the role with an ARN as STS sees it, one propagation delay late;
// nil when it sees none.
func findRole(c *service.Call, ref string) (*store.Role, arn.ARN, *wire.Error) {
	a, err := arn.Parse(ref)
	if err != nil || a.Service != "iam" || a.Type() != "role" || a.Account == "" || a.Partition != store.Partition {
		return nil, a, c.Errorf("ValidationError", "%s is invalid", ref)
	}
	return c.World.RoleByARN(a), a, nil
}

// trust is the compiled trust policy of a role.
func trust(c *service.Call, role *store.Role, a arn.ARN) (*authz.Policy, *wire.Error) {
	return c.Policy(role.Trust, authz.Source{Layer: authz.LayerTrust, Account: a.Account, Name: "role/" + role.Name + " trust policy"})
}

// roleTags are a role's tags as iam:ResourceTag/….
func roleTags(context map[string][]string, role *store.Role) {
	for key, value := range role.Tags {
		context["iam:ResourceTag/"+key] = []string{value}
	}
}

func assumeRoleAccess(c *service.Call, in *sts.AssumeRoleInput) ([]gate.Access, *wire.Error) {
	if s := c.Caller.Session; s != nil && s.Kind == store.Federated {
		return nil, c.Errorf("AccessDenied", "Cannot call AssumeRole with federated user credentials")
	}
	if len(in.ProvidedContexts) > 0 {
		// They would take sts:SetContext in the trust policy, and mean something.
		return nil, c.Errorf("ValidationError", "stile's local AWS has no context providers: ProvidedContexts must be empty")
	}
	role, a, e := findRole(c, aws.ToString(in.RoleArn))
	if e != nil {
		return nil, e
	}
	if role == nil {
		// A role that does not exist is not told from one that does not trust.
		c.Blame(gate.Verdict{By: "account " + string(a.Account) + " has no role " + a.Resource})
		return nil, c.Errorf("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.Caller.Principal.ARN, a)
	}
	document, e := trust(c, role, a)
	if e != nil {
		return nil, e
	}
	from := chainedFrom(c)
	source := sourceIdentity(from, in.SourceIdentity)
	transitive := in.TransitiveTagKeys
	if from != nil {
		transitive = append(append([]string(nil), transitive...), from.Transitive...)
	}
	assume := gate.Access{
		Action: "sts:AssumeRole", Resource: a.String(), Account: a.Account, Policy: document, ResourceTags: role.Tags,
		RequestTags: requestTags(from, in.Tags), Context: sessionContext(aws.ToString(in.RoleSessionName), source, transitive),
	}
	roleTags(assume.Context, role)
	mfaContext(c, assume.Context)
	if in.ExternalId != nil {
		assume.Context["sts:ExternalId"] = []string{*in.ExternalId}
	}
	if in.DurationSeconds != nil {
		assume.Context["sts:DurationSeconds"] = []string{durationText(*in.DurationSeconds)}
	}
	return steps(assume, source), nil
}

// requestTags are the tags a new session is to have from this request:
// inherited ones count as passed (EKS user guide, cross-account Pod Identity:
// a target role's trust tests them as aws:RequestTag).
func requestTags(from *store.Session, passed []types.Tag) map[string]string {
	tags := tagMap(passed)
	if passing := inherited(from); len(passing) > 0 {
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, passing)
	}
	return tags
}

// chainedFrom is the role session that the call is made with, nil for others.
func chainedFrom(c *service.Call) *store.Session {
	if s := c.Caller.Session; s != nil && s.Kind == store.AssumedRole {
		return s
	}
	return nil
}

func assumeRole(c *service.Call, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, *wire.Error) {
	role, a, e := findRole(c, aws.ToString(in.RoleArn))
	if e != nil {
		return nil, e
	}
	from := chainedFrom(c)
	duration, e := roleSessionDuration(c, role, in.DurationSeconds, c.Caller.Session != nil)
	if e != nil {
		return nil, e
	}
	if from != nil && from.SourceIdentity != "" && in.SourceIdentity != nil && *in.SourceIdentity != from.SourceIdentity {
		return nil, c.Errorf("AccessDenied", "The source identity of the calling session cannot be changed")
	}
	s := &store.Session{
		Kind: store.AssumedRole, Account: a.Account, Entity: role.ID, Name: aws.ToString(in.RoleSessionName),
		Expires: c.Now.Add(duration), SourceIdentity: sourceIdentity(from, in.SourceIdentity), CalledBy: c.Caller.Principal.ARN.String(),
		Chained: c.Caller.Session != nil,
	}
	s.MFAAt, s.MFA = carriedMFA(c)
	s.Tags, s.Transitive, e = sessionTags(c, from, in.Tags, in.TransitiveTagKeys)
	if e != nil {
		return nil, e
	}
	creds, packed, e := policedCredentials(c, s, in.Policy, in.PolicyArns)
	if e != nil {
		return nil, e
	}
	out := &sts.AssumeRoleOutput{Credentials: creds, AssumedRoleUser: assumed(role, s)}
	//lint:ignore SA1019 botocore's model and the clients in use know no other member yet
	out.PackedPolicySize = packed
	if s.SourceIdentity != "" {
		out.SourceIdentity = aws.String(s.SourceIdentity)
	}
	return out, nil
}

// roleSessionDuration applies the role's maximum, and the hour of roles that are
// assumed from a session.
func roleSessionDuration(c *service.Call, role *store.Role, wanted *int32, chained bool) (time.Duration, *wire.Error) {
	duration := seconds(wanted, roleDuration)
	switch {
	case duration > role.MaxSession:
		return 0, c.Errorf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case chained && duration > maxChained:
		return 0, c.Errorf("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return duration, nil
}

// policedCredentials puts the session policies into a role's session, whose size
// it gives in percent, notes the role's use and mints the credentials.
func policedCredentials(c *service.Call, s *store.Session, inline *string, managed []types.PolicyDescriptorType) (*types.Credentials, *int32, *wire.Error) {
	packed, e := sessionPolicies(c, s, inline, managed)
	if e != nil {
		return nil, nil, e
	}
	c.World.Use(s.Entity, store.LastUse{At: c.Now, Region: c.Region})
	creds, e := credentials(c, s)
	return creds, packed, e
}

func assumed(role *store.Role, s *store.Session) *types.AssumedRoleUser {
	return &types.AssumedRoleUser{
		Arn:           aws.String(arn.SessionARN(store.Partition, s.Account, role.Name, s.Name).String()),
		AssumedRoleId: aws.String(role.ID + ":" + s.Name),
	}
}
