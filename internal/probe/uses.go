package probe

import (
	"context"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
)

// use tries what a permission allows: each of its actions that has a probe on
// each of its resources. Actions without one are told together, and so are those
// that follow from what something is encrypted under: only its service makes them.
func (j *journey) use(ctx context.Context, perm *compile.Permission) {
	var without []string
	for _, declared := range perm.Actions {
		probes := probesFor(declared)
		if perm.Implied != "" {
			probes = nil
		}
		if len(probes) == 0 {
			without = append(without, declared)
		}
		for _, probe := range probes {
			for _, resource := range perm.Resources {
				j.useOne(ctx, probe, resource, len(perm.Conditions) > 0)
			}
		}
	}
	if len(without) > 0 {
		j.skip(strings.Join(without, ", ")+" on "+strings.Join(perm.Resources, ", "), Allowed, "no call is known that tries it and changes nothing")
	}
}

// probesFor gives the probes of an action, or of all actions that a pattern means.
func probesFor(declared string) []catalog.Probe {
	if probe, ok := catalog.ProbeFor(declared); ok {
		return []catalog.Probe{probe}
	}
	if !strings.ContainsAny(declared, "*?") {
		return nil
	}
	return slices.DeleteFunc(catalog.Probes(), func(p catalog.Probe) bool { return !compile.WithinFold(p.Action, declared) })
}

func (j *journey) useOne(ctx context.Context, probe catalog.Probe, pattern string, conditional bool) {
	what := probe.Action + " on " + pattern
	resource, why := j.resolve(probe, pattern)
	if why != "" {
		j.skip(what, Allowed, why)
		return
	}
	if resource != pattern {
		what = probe.Action + " on " + resource
	}
	call, ok := j.call(ctx, probe, resource)
	if !ok {
		j.skip(what, Allowed, "this version of stile has no client for it")
		return
	}
	a := j.attempt(ctx, Allowed, probe.AllowedErrors, call)
	if a.outcome == Denied && conditional {
		j.skip(what, Allowed, "it is allowed on conditions, which this attempt may not meet: "+a.text)
		return
	}
	if a.outcome == Allowed {
		a.text = "" // a proof, not a failure
	}
	j.tried(what, Allowed, a)
}

// resolve is the one resource to try probe on. A pattern becomes something that
// exists, where that is known, or a name that cannot exist, where the answer to
// that proves that the call was allowed.
func (j *journey) resolve(probe catalog.Probe, pattern string) (resource, why string) {
	if !probe.Resource {
		return pattern, ""
	}
	if pattern == catalog.Everything {
		return "", "it is allowed on everything, and nothing that exists is known"
	}
	if parsed, err := arn.Parse(pattern); err != nil || !fits(probe.Kind, parsed) {
		return "", "the call does not try this kind of resource"
	}
	if !strings.ContainsAny(pattern, "*?") {
		return pattern, ""
	}
	if found := j.existing(pattern); found != "" {
		return found, ""
	}
	if !slices.ContainsFunc(probe.AllowedErrors, func(code string) bool { return strings.Contains(code, "NotFound") }) {
		return "", "nothing that exists is known for the pattern"
	}
	return strings.NewReplacer("*", "stile-probe", "?", "x").Replace(pattern), ""
}

// existing is a secret that a pattern means: the only kind of resource whose
// names nobody can know beforehand.
func (j *journey) existing(pattern string) string {
	for _, s := range j.wanted.Statements {
		if s.Kind == compile.SecretPolicy && compile.Within(s.Target, pattern) {
			return s.Target
		}
	}
	parsed, err := arn.Parse(pattern)
	if err != nil || j.cfg.Inventory == nil || j.cfg.Inventory.Accounts[parsed.Account] == nil {
		return ""
	}
	if s, state := inventory.Get(j.cfg.Inventory.Accounts[parsed.Account].Secrets, pattern); state == inventory.Exists {
		return s.ARN
	}
	return ""
}

// fits reports whether a probe can name the resource.
func fits(kind catalog.ProbeKind, resource arn.ARN) bool {
	switch kind {
	case catalog.ProbeDescribeCluster:
		return resource.Service == "eks" && resource.Type() == "cluster"
	case catalog.ProbeQueryMissing:
		return resource.Service == "dynamodb" && resource.Type() == "table"
	case catalog.ProbeGetMissingItem, catalog.ProbeDescribeTable:
		return resource.Service == "dynamodb" && resource.Type() == "table" && !strings.Contains(resource.Resource, "/index/")
	case catalog.ProbeDescribeSecret, catalog.ProbeGetSecretValue:
		return resource.Service == "secretsmanager" && resource.Type() == "secret"
	case catalog.ProbeDescribeKey:
		return resource.Service == "kms" && resource.Type() == "key"
	case catalog.ProbeCallerIdentity, catalog.ProbeListClusters, catalog.ProbeListTables, catalog.ProbeListBuckets:
	}
	return false
}
