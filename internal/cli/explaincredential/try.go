package explaincredential

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/cli/can"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/verify"
)

// follow goes the way step by step, to its end or to where it is refused.
func (o *options) follow(ctx context.Context, e *explanation, gone walk, inv *inventory.Inventory) {
	var before *creds.Cached
	region := e.Region
	for i := range e.Steps {
		s := &e.Steps[i]
		c, where, end, err := gone(ctx, i)
		if end != nil {
			defer end()
		}
		if err != nil {
			s.State, s.Error, s.says, e.Outcome = "refused", awserr.Text(err), says(err), refused
			if awserr.KindOf(err) == awserr.Denied {
				o.why(ctx, e, i, before, region, inv)
			}
			return
		}
		s.State, before, region = "passed", c, where
		if got, err := c.Retrieve(ctx); err == nil && got.CanExpire {
			s.Expires = new(got.Expires.UTC())
		}
	}
	e.Outcome, e.Expires = good, e.Steps[len(e.Steps)-1].Expires
	if who, err := identify(ctx, before, region); err == nil {
		e.Identity = who.ARN.String()
		if e.Account == "" {
			e.Account = string(who.Account)
		}
	} else {
		e.Notes = append(e.Notes, "AWS gave credentials and does not take them: "+awserr.Text(err))
		e.Outcome = refused
	}
}

func identify(ctx context.Context, c aws.CredentialsProvider, region string) (creds.Identity, error) {
	cfg, err := scope.LoadUnsigned(ctx, region)
	if err != nil {
		return creds.Identity{}, err
	}
	cfg.Credentials = c
	return creds.Identify(ctx, cfg)
}

// why asks the policies about a step that AWS has refused.
func (o *options) why(ctx context.Context, e *explanation, i int, before *creds.Cached, region string, inv *inventory.Inventory) {
	s := &e.Steps[i]
	if !strings.HasPrefix(s.Call, "sts:AssumeRole") {
		s.Unknown = "no IAM policy decides this step"
		return
	}
	who, err := o.caller(ctx, e, i, before, region)
	if err != nil {
		s.Unknown = err.Error()
		return
	}
	q := verify.Query{Who: who, Action: s.Call, Resource: s.Role, Now: time.Now(), Context: map[string][]string{}}
	if s.externalID != "" {
		q.Context["sts:ExternalId"] = []string{s.externalID}
	}
	answer, err := o.ask(ctx, inv, q)
	if err != nil {
		s.Unknown = "what the policies say is not known: " + err.Error() + "; stile observe writes an inventory for --inventory"
		return
	}
	way := &answer.Ways[0]
	for _, leg := range append(way.Hops, way.Uses...) {
		if leg.Decision.Outcome != authz.Allowed {
			s.Legs = append(s.Legs, leg)
		}
	}
	if len(s.Legs) == 0 {
		s.Unknown = "by the policies that were read it is allowed: they may have changed since, or AWS does not know of a change yet"
	}
	for _, line := range answer.Assumed {
		e.Notes = append(e.Notes, "assumed: "+line)
	}
}

// caller is who asked for a step.
func (o *options) caller(ctx context.Context, e *explanation, i int, before *creds.Cached, region string) (access.Address, error) {
	var by aws.CredentialsProvider = before
	switch {
	case i > 0:
		if a, err := arn.Parse(e.Steps[i-1].Role); err == nil {
			return access.Address{ARN: a}, nil
		}
	case e.Kind == "declared":
		return access.ParseAddress(e.Source)
	case e.Steps[0].by != nil:
		by, region = e.Steps[0].by, cmp.Or(e.Region, "us-east-1") // which any will do
	default:
		return access.Address{}, fmt.Errorf("the policies are not asked about tokens and assertions of unknown content; the trust policy of %s decides, with what they say", e.Steps[i].Role)
	}
	who, err := identify(ctx, by, region)
	if err != nil {
		return access.Address{}, fmt.Errorf("asking who the step before gave: %s", awserr.Text(err))
	}
	if role, _, ok := who.ARN.RoleSession(); ok { // without the role's path, which the session's ARN does not have
		return access.Address{Account: string(who.Account), Role: role}, nil
	}
	return access.Address{ARN: who.ARN}, nil
}

// ask asks an inventory, or else the declared accounts as they are now.
func (o *options) ask(ctx context.Context, inv *inventory.Inventory, q verify.Query) (verify.Answer, error) {
	if inv != nil {
		return verify.Options{Strict: !o.source.Assume}.Can(inv, q)
	}
	paths, err := state.Declarations(o.streams, o.route.Declarations)
	if err != nil {
		return verify.Answer{}, err
	}
	var problem error
	for _, path := range paths {
		answer, err := can.Ask(ctx, path, q)
		if err == nil {
			return answer, nil
		}
		problem = err
	}
	return verify.Answer{}, problem
}

// legs prints what the policies say.
func (o *options) legs(legs []effective.Leg) {
	for i := range legs {
		can.Leg(o.streams, &legs[i])
	}
}
