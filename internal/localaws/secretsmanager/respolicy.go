package secretsmanager

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

func getResourcePolicy(c *service.Call, in *secretsmanager.GetResourcePolicyInput) (*secretsmanager.GetResourcePolicyOutput, *wire.Error) {
	s, e := request{action: "GetResourcePolicy", id: aws.ToString(in.SecretId)}.living(c)
	if e != nil {
		return nil, e
	}
	out := &secretsmanager.GetResourcePolicyOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}
	if s.Policy != "" {
		out.ResourcePolicy = aws.String(c.World.Present(s.Policy))
	}
	return out, nil
}

func putResourcePolicy(c *service.Call, in *secretsmanager.PutResourcePolicyInput) (*secretsmanager.PutResourcePolicyOutput, *wire.Error) {
	block := aws.ToBool(in.BlockPublicPolicy)
	s, e := request{
		action: "PutResourcePolicy", id: aws.ToString(in.SecretId),
		keys: map[string][]string{"secretsmanager:BlockPublicPolicy": {strconv.FormatBool(block)}},
	}.living(c)
	if e != nil {
		return nil, e
	}
	doc, e := parsePolicy(c, aws.ToString(in.ResourcePolicy))
	if e != nil {
		return nil, e
	}
	if block && public(doc) {
		return nil, c.Errorf("PublicPolicyException", "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access to the secret.")
	}
	stored, err := c.World.Canonical(*in.ResourcePolicy)
	if err != nil {
		return nil, c.Errorf("MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.")
	}
	s.Policy = stored
	return &secretsmanager.PutResourcePolicyOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}, nil
}

func parsePolicy(c *service.Call, text string) (*policy.Document, *wire.Error) {
	if _, err := policy.ParseNode([]byte(text)); err != nil {
		return nil, c.Errorf("MalformedPolicyDocumentException", "This policy contains invalid Json")
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil || len(policy.Validate(doc, policy.Resource)) > 0 {
		return nil, c.Errorf("MalformedPolicyDocumentException", "This policy has invalid syntax.")
	}
	return doc, nil
}

func deleteResourcePolicy(c *service.Call, in *secretsmanager.DeleteResourcePolicyInput) (*secretsmanager.DeleteResourcePolicyOutput, *wire.Error) {
	s, e := request{action: "DeleteResourcePolicy", id: aws.ToString(in.SecretId)}.living(c)
	if e != nil {
		return nil, e
	}
	s.Policy = ""
	return &secretsmanager.DeleteResourcePolicyOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}, nil
}

func validateResourcePolicy(c *service.Call, in *secretsmanager.ValidateResourcePolicyInput) (*secretsmanager.ValidateResourcePolicyOutput, *wire.Error) {
	e := c.Require(gate.Access{Action: "secretsmanager:ValidateResourcePolicy", Resource: "*", Account: c.Account})
	if in.SecretId != nil {
		_, e = request{action: "ValidateResourcePolicy", id: *in.SecretId}.living(c)
	}
	if e != nil {
		return nil, e
	}
	text := aws.ToString(in.ResourcePolicy)
	doc, e := parsePolicy(c, text)
	if e != nil {
		return nil, e
	}
	if _, err := c.World.Canonical(text); err != nil {
		return nil, c.Errorf("MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.")
	}
	out := &secretsmanager.ValidateResourcePolicyOutput{PolicyValidationPassed: true, ValidationErrors: []types.ValidationErrorsEntry{}}
	if public(doc) {
		out.PolicyValidationPassed = false
		out.ValidationErrors = append(out.ValidationErrors, types.ValidationErrorsEntry{
			CheckName: aws.String("PUBLIC_POLICY"), ErrorMessage: aws.String("The resource policy grants broad access to the secret."),
		})
	}
	return out, nil
}

// public reports whether a policy gives everybody access: an Allow for everyone
// that no condition narrows to known callers.
func public(doc *policy.Document) bool {
	return slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
		return st.Effect == "Allow" && (st.NotPrincipal != nil || everyone(st.Principal)) && !slices.ContainsFunc(st.Conditions, narrows)
	})
}

func everyone(p *policy.Principals) bool {
	return p != nil && (p.Everyone || slices.ContainsFunc(p.Entries, func(e policy.PrincipalEntry) bool {
		return e.Type == "AWS" && e.Value.Value == "*"
	}))
}

// narrows reports whether a condition limits callers to fixed values of one of
// the keys that say who they are or where they come from.
func narrows(cond policy.Condition) bool {
	switch strings.ToLower(cond.Key) {
	case "aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceorgid", "aws:sourceorgpaths",
		"aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid", "aws:sourceip":
	default:
		return false
	}
	op := policy.SplitOperator(cond.Operator)
	if op.Negated() || op.IfExists || op.Set == "ForAllValues" || op.Base == "Null" {
		return false
	}
	return !slices.ContainsFunc(cond.Values, func(v policy.Text) bool { return strings.Trim(v.Value, "*?") == "" })
}
