package sts

import (
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

// userDuration is the default of GetSessionToken and GetFederationToken.
const userDuration = 12 * time.Hour

// accessKeyInfoAccess refuses sessions of GetSessionToken: they "cannot call any
// STS API except AssumeRole or GetCallerIdentity" (API reference, GetSessionToken).
func accessKeyInfoAccess(c *service.Call, _ *sts.GetAccessKeyInfoInput) ([]gate.Access, *wire.Error) {
	if s := c.Caller.Session; s != nil && s.Kind == store.UserSession {
		return nil, c.Errorf("AccessDenied", "Cannot call GetAccessKeyInfo with session credentials")
	}
	return []gate.Access{{Action: "sts:GetAccessKeyInfo", Resource: "*"}}, nil
}

// getAccessKeyInfo reads the account from the key id itself, so that keys that
// are long gone have an answer too.
func getAccessKeyInfo(c *service.Call, in *sts.GetAccessKeyInfoInput) (*sts.GetAccessKeyInfoOutput, *wire.Error) {
	account, ok := store.AccountOfKey(aws.ToString(in.AccessKeyId))
	if !ok || c.World.Accounts[account] == nil {
		return nil, c.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'accessKeyId' failed to satisfy constraint: "+
			"the access key id belongs to no account", aws.ToString(in.AccessKeyId))
	}
	return &sts.GetAccessKeyInfoOutput{Account: aws.String(string(account))}, nil
}

// longTerm refuses sessions where AWS wants a user's own key (IAM user guide,
// "Request temporary security credentials").
func longTerm(c *service.Call, operation string) *wire.Error {
	if c.Caller.Session != nil || c.Caller.Principal.Kind != authz.User {
		return c.Errorf("AccessDenied", "Cannot call %s with session credentials", operation)
	}
	return nil
}

// getSessionToken needs no permission (STS API reference, GetSessionToken).
func getSessionToken(c *service.Call, in *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, *wire.Error) {
	s := &store.Session{
		Kind: store.UserSession, Account: c.Account, Entity: c.Caller.Principal.ID,
		Expires: c.Now.Add(seconds(in.DurationSeconds, userDuration)),
	}
	if hasProven(c) {
		s.MFA, s.MFAAt = true, c.Now
	}
	creds, e := credentials(c, s)
	if e != nil {
		return nil, e
	}
	return &sts.GetSessionTokenOutput{Credentials: creds}, nil
}

func seconds(n *int32, otherwise time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	return time.Duration(*n) * time.Second
}

func federatedARN(account arn.AccountID, name string) arn.ARN {
	return arn.ARN{Partition: store.Partition, Service: "sts", Account: account, Owner: string(account), Resource: "federated-user/" + name}
}

func federationAccess(c *service.Call, in *sts.GetFederationTokenInput) ([]gate.Access, *wire.Error) {
	if e := longTerm(c, "GetFederationToken"); e != nil {
		return nil, e
	}
	tags := tagMap(in.Tags)
	resource := federatedARN(c.Account, aws.ToString(in.Name)).String()
	accesses := []gate.Access{{Action: "sts:GetFederationToken", Resource: resource, RequestTags: tags}}
	if len(tags) > 0 {
		accesses = append(accesses, gate.Access{Action: "sts:TagSession", Resource: resource, RequestTags: tags})
	}
	return accesses, nil
}

func getFederationToken(c *service.Call, in *sts.GetFederationTokenInput) (*sts.GetFederationTokenOutput, *wire.Error) {
	s := &store.Session{
		Kind: store.Federated, Account: c.Account, Entity: c.Caller.Principal.ID, Name: aws.ToString(in.Name),
		Expires: c.Now.Add(seconds(in.DurationSeconds, userDuration)),
	}
	tags, _, e := sessionTags(c, nil, in.Tags, nil)
	if e != nil {
		return nil, e
	}
	s.Tags = tags
	packed, e := sessionPolicies(c, s, in.Policy, in.PolicyArns)
	if e != nil {
		return nil, e
	}
	creds, e := credentials(c, s)
	if e != nil {
		return nil, e
	}
	out := &sts.GetFederationTokenOutput{Credentials: creds, FederatedUser: &types.FederatedUser{
		Arn: aws.String(federatedARN(c.Account, s.Name).String()), FederatedUserId: aws.String(string(c.Account) + ":" + s.Name),
	}}
	//lint:ignore SA1019 botocore's model and the clients in use know no other member yet
	out.PackedPolicySize = packed
	return out, nil
}
