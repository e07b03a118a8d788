package probe

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
)

// What negative probes give instead of what was declared.
const (
	nobody          = "stile-probe-nobody" // a service account that nobody has
	wrongAudience   = "stile-probe-audience"
	wrongExternalID = "stile-probe-external-id"
)

// wrongTokens tries the first hop with another service account's token and with
// a token for another audience.
func (j *journey) wrongTokens(ctx context.Context, h *compile.Hop) {
	caller := j.first.Caller
	i := strings.LastIndexByte(caller.Subject, ':')
	if strings.HasPrefix(caller.Subject, "system:serviceaccount:") {
		other := caller
		other.Subject = caller.Subject[:i+1] + nobody
		j.wrongToken(ctx, h, "with the token of "+other.Subject, other)
	}
	other := caller
	other.Audience = wrongAudience
	j.wrongToken(ctx, h, "with a token for audience "+other.Audience, other)
}

func (j *journey) wrongToken(ctx context.Context, h *compile.Hop, how string, other compile.Caller) {
	what := action(h) + " on " + h.Role + " " + how
	token, err := j.tokenOf(ctx, other)
	if err != nil {
		j.skip(what, Denied, err.Error())
		return
	}
	j.tried(what, Denied, j.attempt(ctx, Denied, nil, func() error {
		_, err := j.hop(ctx, h, token)
		return err
	}))
}

func (j *journey) wrongExternalID(ctx context.Context, h *compile.Hop) {
	wrong := *h
	wrong.ExternalID = wrongExternalID
	j.tried(action(h)+" on "+h.Role+" with a wrong external id", Denied, j.attempt(ctx, Denied, nil, func() error {
		_, err := j.hop(ctx, &wrong, "")
		return err
	}))
}

// pastTheHub tries the last role with the deployer's identity of the account
// the route comes from.
func (j *journey) pastTheHub(ctx context.Context) {
	hops := j.first.Hops
	last, before := &hops[len(hops)-1], hops[len(hops)-2].Role
	what := action(last) + " on " + last.Role + " past the hub " + before
	hub, err := arn.Parse(before)
	if err != nil || j.cfg.Deployer == nil {
		j.skip(what, Denied, "no source of the deployer's credentials is given")
		return
	}
	creds, err := j.cfg.Deployer(ctx, hub.Account)
	if err != nil {
		j.skip(what, Denied, "the deployer's credentials: "+err.Error())
		return
	}
	who, err := sts.NewFromConfig(j.as(creds, "")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		if a := judge(err, nil); a.unavailable {
			j.tried(what, Denied, a)
		} else {
			j.skip(what, Denied, "the deployer's credentials do not work: "+a.text)
		}
		return
	}
	if isPrincipal(aws.ToString(who.Arn), before) {
		j.skip(what, Denied, "the deployer is the hub itself")
		return
	}
	deployer := *j
	deployer.creds, deployer.identity, deployer.results = creds, aws.ToString(who.Arn), nil
	deployer.tried(what, Denied, j.attempt(ctx, Denied, nil, func() error {
		_, err := deployer.hop(ctx, last, "")
		return err
	}))
	j.results = append(j.results, deployer.results...)
}

// beyond tries, with the identity at the end, one action that nobody declared.
func (j *journey) beyond(ctx context.Context) {
	const what = "an action that nobody declared"
	if len(j.first.Hops) == 0 {
		j.skip(what, Denied, "the caller keeps its own identity, which may have other permissions")
		return
	}
	probe, resource, ok := j.undeclared()
	if !ok {
		j.skip(what, Denied, "every action that could be tried is declared")
		return
	}
	call, ok := j.call(ctx, probe, resource)
	if !ok {
		j.skip(what, Denied, "this version of stile has no client for "+probe.Action)
		return
	}
	j.tried(probe.Action+" on "+resource+", which nobody declared", Denied, j.attempt(ctx, Denied, probe.AllowedErrors, call))
}

// undeclared finds an action to try that no route to the same role allows: on a
// declared resource if it can be, else one of a declared service, else any.
func (j *journey) undeclared() (catalog.Probe, string, bool) {
	perms := j.permissions()
	var candidates []catalog.Probe
	for _, probe := range catalog.Probes() {
		if probe.Kind != catalog.ProbeCallerIdentity && probe.Kind != catalog.ProbeListBuckets && !allows(perms, probe.Action) {
			candidates = append(candidates, probe)
		}
	}
	services := map[string]bool{}
	for _, perm := range perms {
		for _, pattern := range perm.Resources {
			for _, probe := range candidates {
				services[catalog.ServiceOf(perm.Actions[0])] = true
				if !probe.Resource || pattern == catalog.Everything {
					continue
				}
				if resource, why := j.resolve(probe, pattern); why == "" {
					return probe, resource, true
				}
			}
		}
	}
	lists := slices.DeleteFunc(candidates, func(p catalog.Probe) bool { return p.Resource })
	slices.SortStableFunc(lists, func(a, b catalog.Probe) int {
		return rank(services[catalog.ServiceOf(a.Action)]) - rank(services[catalog.ServiceOf(b.Action)])
	})
	if len(lists) == 0 {
		return catalog.Probe{}, "", false
	}
	return lists[0], catalog.Everything, true
}

func rank(declared bool) int {
	if declared {
		return 0
	}
	return 1
}

// permissions are those of every route that ends in the same role.
func (j *journey) permissions() []compile.Permission {
	end := j.first.Hops[len(j.first.Hops)-1].Role
	var out []compile.Permission
	for i := range j.wanted.Routes {
		if r := &j.wanted.Routes[i]; len(r.Hops) > 0 && r.Hops[len(r.Hops)-1].Role == end {
			out = append(out, r.Allow...)
		}
	}
	return out
}

func allows(perms []compile.Permission, action string) bool {
	return slices.ContainsFunc(perms, func(p compile.Permission) bool {
		return slices.ContainsFunc(p.Actions, func(pattern string) bool { return compile.WithinFold(action, pattern) })
	})
}
