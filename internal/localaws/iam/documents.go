package iam

import (
	"errors"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

// checkDocument refuses what IAM refuses as a policy of that kind, in IAM's words.
func checkDocument(c *service.Call, text string, kind policy.Kind) *wire.Error {
	doc, err := policy.Parse([]byte(text))
	problems, _ := errors.AsType[policy.Errors](err)
	if err == nil {
		problems = policy.Validate(doc, kind)
	}
	if len(problems) == 0 {
		return nil
	}
	return c.Errorf("MalformedPolicyDocumentException", "%s", problems.AWS(kind))
}

// checkTrust checks a trust policy and gives it as it is stored.
func checkTrust(c *service.Call, text string) (string, *wire.Error) {
	if e := checkDocument(c, text, policy.Trust); e != nil {
		return "", e
	}
	if limit := quotaTrustSize.of(c); policy.Size(text) > limit {
		return "", limitExceeded(c, "ACLSizePerRole", limit)
	}
	stored, err := c.World.Canonical(text)
	if invalid, ok := errors.AsType[*store.PrincipalError](err); ok {
		return "", c.Errorf("MalformedPolicyDocumentException", "%s", invalid.Error())
	}
	if err != nil {
		return "", c.Errorf("MalformedPolicyDocumentException", "%s", "Syntax errors in policy.")
	}
	return stored, nil
}
