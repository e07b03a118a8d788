package kms

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

// policyName is the only name a key policy can have.
const policyName = "default"

// defaultPolicy is what keys get that are made without a policy through the
// API ("Default key policy", KMS developer guide).
func defaultPolicy(account arn.AccountID) string {
	return fmt.Sprintf(`{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "%s"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`, arn.Root(store.Partition, account))
}

func getKeyPolicy(c *service.Call, in *kms.GetKeyPolicyInput) (*kms.GetKeyPolicyOutput, *wire.Error) {
	key, e := use(c, request{action: "kms:GetKeyPolicy", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	if e := onlyDefault(c, in.PolicyName); e != nil {
		return nil, e
	}
	return &kms.GetKeyPolicyOutput{
		Policy: aws.String(c.World.Present(*key.Policy.Latest())), PolicyName: aws.String(policyName),
	}, nil
}

func onlyDefault(c *service.Call, name *string) *wire.Error {
	if name != nil && *name != policyName {
		return c.Errorf("NotFoundException", "No such policy exists")
	}
	return nil
}

func listKeyPolicies(c *service.Call, in *kms.ListKeyPoliciesInput) (*kms.ListKeyPoliciesOutput, *wire.Error) {
	if _, e := use(c, request{action: "kms:ListKeyPolicies", ref: aws.ToString(in.KeyId)}); e != nil {
		return nil, e
	}
	return &kms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}}, nil
}

func putKeyPolicy(c *service.Call, in *kms.PutKeyPolicyInput) (*kms.PutKeyPolicyOutput, *wire.Error) {
	key, e := use(c, request{
		action: "kms:PutKeyPolicy", ref: aws.ToString(in.KeyId),
		keys: map[string][]string{"kms:BypassPolicyLockoutSafetyCheck": {strconv.FormatBool(in.BypassPolicyLockoutSafetyCheck)}},
	})
	if e != nil {
		return nil, e
	}
	if e := onlyDefault(c, in.PolicyName); e != nil {
		return nil, e
	}
	text, e := acceptPolicy(c, key, aws.ToString(in.Policy), in.BypassPolicyLockoutSafetyCheck)
	if e != nil {
		return nil, e
	}
	key.Policy.Put(c.Now, &text)
	return nil, nil
}

// acceptPolicy checks a new key policy and gives it as it is to be stored.
func acceptPolicy(c *service.Call, key *store.KMSKey, text string, bypass bool) (string, *wire.Error) {
	if len(text) > maxPolicySize {
		return "", c.Errorf("LimitExceededException", "The key policy has %d bytes, which is more than the limit of %d", len(text), maxPolicySize)
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return "", malformed(c, err)
	}
	if problems := policy.Validate(doc, policy.Key); len(problems) > 0 {
		return "", malformed(c, problems)
	}
	stored, err := c.World.Canonical(text)
	if err != nil {
		return "", c.Errorf("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
	}
	if bypass {
		return stored, nil
	}
	return stored, lockout(c, key, stored)
}

func malformed(c *service.Call, err error) *wire.Error {
	message := ""
	if problems, ok := errors.AsType[policy.Errors](err); ok {
		message = problems.AWS(policy.Key)
	}
	if message == "" {
		message = "Syntax errors in policy."
	}
	return c.Errorf("MalformedPolicyDocumentException", "%s", message)
}

// lockout makes sure that "the key policy must allow the principal that is
// making the request to make a subsequent PutKeyPolicy request".
func lockout(c *service.Call, key *store.KMSKey, stored string) *wire.Error {
	p, e := compiled(c, key, stored)
	if e != nil {
		return c.Errorf("MalformedPolicyDocumentException", "%s", e.Message)
	}
	verdict := c.Check(c.Caller, gate.Access{
		Action: "kms:PutKeyPolicy", Resource: key.ARN().String(), Account: key.Account, Policy: p, ResourceTags: key.Tags,
		Context: map[string][]string{
			"kms:CallerAccount":                  {string(c.Caller.Account())},
			"kms:BypassPolicyLockoutSafetyCheck": {"false"},
		},
	})
	if !verdict.Allowed {
		return c.Errorf("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}
