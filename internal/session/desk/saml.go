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
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/capture"
	"github.com/stile-aws/stile/internal/session/flight"
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
	p := named{creds.From(key, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		return d.bySAML(ctx, cfg, &source, first)
	})), "credentials of " + first.ARN + " by SAML source " + source.Name}
	ask := func(ctx context.Context) error {
		_, err := d.assertion(context.WithValue(ctx, asking{}, true), &source, false)
		return err
	}
	return &beginning{provider: p, ask: ask}, nil
}

func (d *Desk) bySAML(ctx context.Context, cfg aws.Config, source *session.Source, role creds.Role) (aws.Credentials, error) {
	assertion, err := d.assertion(ctx, source, false)
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
	a, _ := arn.Parse(role.ARN) // checked when the address was resolved
	got, err := creds.FromSTS(out.Credentials, string(a.Account))
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("entering %s: %w", role.ARN, err)
	}
	return got, nil
}

// assertion is the source's: the one that is kept, or another. One opens many
// roles, so that a person signs in once for all of them; a file's is read again.
func (d *Desk) assertion(ctx context.Context, source *session.Source, anew bool) (string, error) {
	file := source.SAML.File
	if file != "" && file != "-" {
		return d.readAssertion(ctx, source)
	}
	key := assertionKey(source)
	var text string
	have := func() bool {
		e, ok := d.store.Get(key)
		text = e.Credentials.SecretAccessKey
		return ok && e.Valid(time.Now()) && !anew
	}
	err := flight.Do(ctx, d.cfg.Paths.Locks, "assertion-"+source.Name, have, func(ctx context.Context) (err error) {
		if text, err = d.readAssertion(ctx, source); err != nil {
			return err
		}
		// It is kept as credentials are, in memory and for this person alone.
		_ = d.store.Put(key, aws.Credentials{AccessKeyID: "assertion", SecretAccessKey: text, CanExpire: true, Expires: goodUntil(text)})
		return nil
	})
	return text, err
}

func assertionKey(source *session.Source) string {
	return "the assertion of " + source.Name + " by " + source.SAML.File + source.SAML.Program + source.SAML.StartURL
}

// shortlived is how long an assertion is taken to be good that does not say: as
// long as providers make them good.
const shortlived = 5 * time.Minute

// goodUntil is when STS takes an assertion no more.
func goodUntil(assertion string) time.Time {
	var response struct {
		Subject struct {
			NotOnOrAfter string `xml:"NotOnOrAfter,attr"`
		} `xml:"Assertion>Subject>SubjectConfirmation>SubjectConfirmationData"`
		Conditions struct {
			NotOnOrAfter string `xml:"NotOnOrAfter,attr"`
		} `xml:"Assertion>Conditions"`
	}
	until := time.Now().Add(shortlived)
	text, err := base64.StdEncoding.DecodeString(assertion)
	if err != nil || xml.Unmarshal(text, &response) != nil {
		return until
	}
	found := false
	for _, said := range []string{response.Subject.NotOnOrAfter, response.Conditions.NotOnOrAfter} {
		if end, err := time.Parse(time.RFC3339, said); err == nil && (!found || end.Before(until)) {
			until, found = end, true
		}
	}
	return until
}

// signInTime is how long a person has to sign in, as at Identity Center.
const signInTime = 10 * time.Minute

// browserDir is where the browser of a source keeps its things.
func (d *Desk) browserDir(source string) string {
	return filepath.Join(filepath.Dir(d.cfg.Paths.Secrets), "browser", source)
}

// readAssertion gets the base64 text that a browser would post.
func (d *Desk) readAssertion(ctx context.Context, source *session.Source) (string, error) {
	s := source.SAML
	var text []byte
	var err error
	switch {
	case s.StartURL != "":
		if ctx.Value(asking{}) == nil || d.cfg.Person.Show == nil {
			return "", &NeedLoginError{Source: source.Name}
		}
		ctx, stop := context.WithTimeoutCause(ctx, signInTime, fmt.Errorf("nobody signed in for %s within %s", source.Name, signInTime))
		defer stop()
		var posted string
		posted, err = capture.Assertion(ctx, capture.Config{Start: s.StartURL, Profile: d.browserDir(source.Name), Browser: s.Browser})
		text = []byte(posted)
	case s.Program != "":
		var printed string
		printed, err = output(ctx, s.Program, "source "+source.Name)
		text = []byte(printed)
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
