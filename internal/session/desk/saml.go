package desk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
)

// maxAssertion is the longest that STS takes (API reference, AssumeRoleWithSAML).
const maxAssertion = 100_000

// saml enters the first role of the target with the provider's assertion.
func (d *Desk) saml(ctx context.Context, t *session.Target, region string) (*beginning, error) {
	if len(t.Hops) == 0 {
		return nil, sayRole(&t.Source)
	}
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, err
	}
	first, source := t.Hops[0], t.Source
	t.Hops = t.Hops[1:]
	if first.ExternalID != "" {
		return nil, fmt.Errorf("entering %s by %s: an assertion takes no external id", first.ARN, source.Name)
	}
	role, err := json.Marshal(first) // with its session policies
	if err != nil {
		return nil, err
	}
	key := "role " + string(role) + " by SAML source " + source.Name
	p := creds.From(key, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		return bySAML(ctx, cfg, &source, first)
	}))
	return &beginning{provider: named{p, "credentials of " + first.ARN + " by SAML source " + source.Name}}, nil
}

func bySAML(ctx context.Context, cfg aws.Config, source *session.Source, role creds.Role) (aws.Credentials, error) {
	assertion, err := readAssertion(ctx, source.SAML)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("getting the assertion of %s: %w", source.Name, err)
	}
	provider, err := providerFor(assertion, role.ARN)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("reading the assertion of %s: %w", source.Name, err)
	}
	in := &sts.AssumeRoleWithSAMLInput{PrincipalArn: aws.String(provider), RoleArn: aws.String(role.ARN), SAMLAssertion: aws.String(assertion)}
	if role.Policy != "" {
		in.Policy = aws.String(role.Policy)
	}
	for _, a := range role.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(a)})
	}
	if role.Duration > 0 {
		in.DurationSeconds = aws.Int32(int32(role.Duration.Seconds()))
	}
	out, err := sts.NewFromConfig(cfg).AssumeRoleWithSAML(ctx, in)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("entering %s with an assertion of %s: %w", role.ARN, source.Name, err)
	}
	c := out.Credentials
	if c == nil || c.AccessKeyId == nil || c.SecretAccessKey == nil || c.Expiration == nil {
		return aws.Credentials{}, fmt.Errorf("entering %s: STS answered without credentials", role.ARN)
	}
	a, _ := arn.Parse(role.ARN) // checked when the address was resolved
	return aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken),
		CanExpire: true, Expires: *c.Expiration, AccountID: string(a.Account), Source: "stile",
	}, nil
}

// readAssertion gets the base64 text that a browser would post.
func readAssertion(ctx context.Context, s *session.SAML) (string, error) {
	var text []byte
	var err error
	switch {
	case s.Program != "":
		text, err = exec.CommandContext(ctx, "sh", "-c", s.Program).Output()
	case s.File == "-":
		text, err = io.ReadAll(io.LimitReader(os.Stdin, maxAssertion+1))
	default:
		text, err = os.ReadFile(s.File)
	}
	if err != nil {
		return "", err
	}
	out := strings.Join(strings.Fields(string(text)), "")
	if out == "" || len(out) > maxAssertion {
		return "", fmt.Errorf("it has %d characters; STS takes 4 to %d", len(out), maxAssertion)
	}
	return out, nil
}

// roleAttribute holds pairs of provider and role, in either order (IAM user
// guide, "Configure SAML assertions for the authentication response").
const roleAttribute = "https://aws.amazon.com/SAML/Attributes/Role"

// providerFor reads which provider an assertion names for a role. STS checks the
// signature; this only reads.
func providerFor(assertion, role string) (string, error) {
	text, err := base64.StdEncoding.DecodeString(assertion)
	if err != nil {
		return "", errors.New("it is not base64")
	}
	var response struct {
		Attributes []struct {
			Name   string   `xml:"Name,attr"`
			Values []string `xml:"AttributeValue"`
		} `xml:"Assertion>AttributeStatement>Attribute"`
	}
	if err := xml.Unmarshal(text, &response); err != nil {
		return "", errors.New("it is not XML, or is encrypted")
	}
	var roles []string
	for _, a := range response.Attributes {
		if a.Name != roleAttribute {
			continue
		}
		for _, pair := range a.Values {
			one, two, _ := strings.Cut(pair, ",")
			one, two = strings.TrimSpace(one), strings.TrimSpace(two)
			switch role {
			case one:
				return two, nil
			case two:
				return one, nil
			}
			roles = append(roles, strings.TrimSpace(pair))
		}
	}
	return "", fmt.Errorf("it names no role %s, but %s", role, strings.Join(roles, "; "))
}
