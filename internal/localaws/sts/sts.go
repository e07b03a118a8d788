// Package sts is STS on the local AWS: who am I, and the sessions of roles and
// users.
//
// Start with [New]. Sessions are sealed into their session tokens and kept
// nowhere, so that AssumeRole changes nothing but the role's last use.
// AssumeRole asks the gate on both sides as any other call: the caller's
// policies and the role's trust policy; session tags and the source identity
// are permissions of their own.
//
// Encoded authorization messages are not here.
package sts

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the service. Web identity tokens are checked by verifier.
func New(verifier *oidc.Verifier) *service.Service {
	s := service.New("sts")
	service.Register(s, "GetCallerIdentity", service.Op[sts.GetCallerIdentityInput, sts.GetCallerIdentityOutput]{
		ReadOnly: true, Free: true, Handle: getCallerIdentity,
	})
	service.Register(s, "GetAccessKeyInfo", service.Op[sts.GetAccessKeyInfoInput, sts.GetAccessKeyInfoOutput]{
		ReadOnly: true, Access: accessKeyInfoAccess, Handle: getAccessKeyInfo,
	})
	service.Register(s, "GetSessionToken", service.Op[sts.GetSessionTokenInput, sts.GetSessionTokenOutput]{
		ReadOnly: true, Free: true, Prepare: sessionTokenMFA, Handle: getSessionToken,
	})
	service.Register(s, "GetFederationToken", service.Op[sts.GetFederationTokenInput, sts.GetFederationTokenOutput]{
		ReadOnly: true, Access: federationAccess, Handle: getFederationToken,
	})
	service.Register(s, "AssumeRole", service.Op[sts.AssumeRoleInput, sts.AssumeRoleOutput]{
		ReadOnly: true, Prepare: assumeRoleMFA, Access: assumeRoleAccess, Handle: assumeRole,
	})
	w := webIdentity{verifier}
	service.Register(s, "AssumeRoleWithWebIdentity", service.Op[sts.AssumeRoleWithWebIdentityInput, sts.AssumeRoleWithWebIdentityOutput]{
		ReadOnly: true, Unsigned: true, Account: w.account, Prepare: w.verify, Access: w.access, Handle: w.assume,
	})
	service.Register(s, "AssumeRoleWithSAML", service.Op[sts.AssumeRoleWithSAMLInput, sts.AssumeRoleWithSAMLOutput]{
		ReadOnly: true, Unsigned: true, Account: samlAccount, Prepare: verifySAML, Access: samlAccess, Handle: assumeWithSAML,
	})
	return s
}

// getCallerIdentity needs no permission and cannot be denied (STS API
// reference, GetCallerIdentity).
func getCallerIdentity(c *service.Call, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, *wire.Error) {
	p := &c.Caller.Principal
	return &sts.GetCallerIdentityOutput{
		Account: aws.String(string(c.Account)),
		Arn:     aws.String(p.ARN.String()),
		UserId:  aws.String(p.ID),
	}, nil
}

// credentials mints the key of a session and seals the session into its token.
func credentials(c *service.Call, s *store.Session) (*types.Credentials, *wire.Error) {
	token, e := c.Mint(s)
	if e != nil {
		return nil, e
	}
	return &types.Credentials{
		AccessKeyId: aws.String(s.AccessKey), SecretAccessKey: aws.String(s.Secret),
		SessionToken: aws.String(token), Expiration: aws.Time(s.Expires.UTC()),
	}, nil
}
