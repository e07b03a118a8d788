// Package sts is STS: who am I, and sessions of roles and users of the local AWS.
package sts

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the service. Web identity tokens are checked by verifier.
func New(verifier *oidc.Verifier) *service.Service {
	s := service.New("sts")
	service.Register(s, "GetCallerIdentity", service.Op[sts.GetCallerIdentityInput, sts.GetCallerIdentityOutput]{
		ReadOnly: true, Free: true, Handle: getCallerIdentity,
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
