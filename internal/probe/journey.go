package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
)

// Sessions of probes have this name, so that their traces are found in
// CloudTrail, and live as short as STS allows.
const (
	sessionName    = "stile-probe"
	sessionSeconds = 900
)

// journey is one caller on one way, with all that it may do in the end.
type journey struct {
	*prober
	name     string
	first    *compile.Route   // the routes differ in Access and Allow only
	routes   []*compile.Route // first included
	identity string           // who the caller is by now
	token    string           // of a service account
	creds    aws.CredentialsProvider
	results  []Result
}

// tried records an attempt.
func (j *journey) tried(what string, expected Outcome, a answer) {
	j.results = append(j.results, Result{Route: j.name, Identity: j.identity, What: what, Expected: expected, Got: a.outcome, OK: a.outcome == expected, Unavailable: a.unavailable, Error: a.text})
}

// skip records that no attempt was made.
func (j *journey) skip(what string, expected Outcome, why string) {
	j.results = append(j.results, Result{Route: j.name, Identity: j.identity, What: what, Expected: expected, NotProbed: why})
}

func (j *journey) run(ctx context.Context) {
	if end := j.first.Expires; !end.IsZero() && !j.now().Before(end) {
		j.skip("the whole route", Allowed, "it ended on "+end.Format("2006-01-02"))
		return
	}
	switch why, a := j.start(ctx); {
	case a.unavailable:
		j.tried("the whole route", Allowed, a)
		return
	case why != "":
		j.skip("the whole route", Allowed, why)
		return
	}
	if !j.travel(ctx) || j.cfg.STSOnly {
		return
	}
	for _, r := range j.routes {
		for i := range r.Allow {
			j.use(ctx, &r.Allow[i])
		}
	}
	j.beyond(ctx)
}

// start gets the caller's own identity. It returns why it cannot be had, and what
// came of the attempt where AWS was asked.
func (j *journey) start(ctx context.Context) (why string, asked answer) {
	caller := j.first.Caller
	if caller.Subject != "" {
		token, err := j.tokenOf(ctx, caller)
		if err != nil {
			return err.Error(), asked
		}
		j.token = token
		return "", asked
	}
	if j.cfg.Credentials == nil {
		return "no source of the caller's credentials is given", asked
	}
	creds, err := j.cfg.Credentials(ctx, caller)
	if err != nil {
		return "the caller's credentials: " + err.Error(), asked
	}
	var who *sts.GetCallerIdentityOutput
	asked = j.attempt(ctx, Allowed, nil, func() error {
		who, err = sts.NewFromConfig(j.as(creds, "")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	})
	if asked.outcome != Allowed {
		return "the caller's credentials do not work: " + asked.text, asked
	}
	if !isPrincipal(aws.ToString(who.Arn), caller.ARN) {
		return "the credentials given for the caller are " + aws.ToString(who.Arn), asked
	}
	j.creds, j.identity = creds, aws.ToString(who.Arn)
	return "", asked
}

// isPrincipal reports whether an identity that AWS told is the user or role
// principal, or a session of that role.
func isPrincipal(identity, principal string) bool {
	if identity == principal {
		return true
	}
	who, err := arn.Parse(identity)
	if err != nil {
		return false
	}
	want, err := arn.Parse(principal)
	if err != nil || want.Type() != "role" {
		return false
	}
	role, _, ok := who.RoleSession()
	return ok && who.Account == want.Account && compile.Within(role, want.Name()) // permission sets' names have a hash
}

// as is the configuration of a client with the given credentials.
func (p *prober) as(creds aws.CredentialsProvider, region string) aws.Config {
	cfg := p.cfg.Base.Copy()
	cfg.Credentials = creds
	if region != "" {
		cfg.Region = region
	}
	return cfg
}

// travel takes the hops, and beside each one what must not work. It reports
// whether the end was reached.
func (j *journey) travel(ctx context.Context) bool {
	for i := range j.first.Hops {
		h := &j.first.Hops[i]
		what := action(h) + " on " + h.Role
		if h.WebIdentity {
			j.wrongTokens(ctx, h)
		} else if h.ExternalID != "" {
			j.wrongExternalID(ctx, h)
		}
		var session *session
		a := j.attempt(ctx, Allowed, nil, func() (err error) {
			session, err = j.hop(ctx, h, j.token)
			return err
		})
		j.tried(what, Allowed, a)
		if a.outcome != Allowed {
			why := "the way there was refused"
			if a.unavailable {
				why = "the way there could not be tried"
			}
			j.skip("what the route leads to", Allowed, why)
			return false
		}
		j.creds, j.identity = session.creds, session.arn
	}
	if len(j.first.Hops) > 1 {
		j.pastTheHub(ctx)
	}
	return true
}

func action(h *compile.Hop) string {
	if h.WebIdentity {
		return "sts:AssumeRoleWithWebIdentity"
	}
	return "sts:AssumeRole"
}

// session is what a hop gives.
type session struct {
	creds aws.CredentialsProvider
	arn   string
}

// hop makes one STS call of the route.
func (j *journey) hop(ctx context.Context, h *compile.Hop, token string) (*session, error) {
	if h.WebIdentity {
		out, err := sts.NewFromConfig(j.as(aws.AnonymousCredentials{}, "")).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &h.Role, RoleSessionName: aws.String(sessionName), WebIdentityToken: &token, DurationSeconds: aws.Int32(sessionSeconds),
		})
		if err != nil {
			return nil, err
		}
		return newSession(out.Credentials, out.AssumedRoleUser)
	}
	in := &sts.AssumeRoleInput{RoleArn: &h.Role, RoleSessionName: aws.String(sessionName), DurationSeconds: aws.Int32(sessionSeconds)}
	if h.ExternalID != "" {
		in.ExternalId = &h.ExternalID
	}
	for _, k := range sortedKeys(h.Tags) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(h.Tags[k])})
	}
	out, err := sts.NewFromConfig(j.as(j.creds, "")).AssumeRole(ctx, in)
	if err != nil {
		return nil, err
	}
	return newSession(out.Credentials, out.AssumedRoleUser)
}

func newSession(c *types.Credentials, who *types.AssumedRoleUser) (*session, error) {
	if c == nil || who == nil {
		return nil, errors.New("reading the answer of STS: it has no credentials")
	}
	creds := credentials.NewStaticCredentialsProvider(aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken))
	return &session{creds, aws.ToString(who.Arn)}, nil
}

// tokenOf gets a token and makes sure that it is the one that was asked for.
func (p *prober) tokenOf(ctx context.Context, c compile.Caller) (string, error) {
	if p.cfg.Token == nil {
		return "", errors.New("no source of service account tokens is given")
	}
	token, err := p.cfg.Token(ctx, c)
	if err != nil {
		return "", fmt.Errorf("token of %s: %w", c.Subject, err)
	}
	claims, err := readClaims(token)
	if err != nil {
		return "", fmt.Errorf("token of %s: %w", c.Subject, err)
	}
	if claims.Subject != c.Subject || !claims.isFor(c.Audience) || strings.TrimPrefix(claims.Issuer, "https://") != strings.TrimPrefix(c.Issuer, "https://") {
		return "", fmt.Errorf("the token given for %s and audience %s is %s's of issuer %s, for %s", c.Subject, c.Audience, claims.Subject, claims.Issuer, strings.Join(claims.Audience, ", "))
	}
	return token, nil
}
