package gate

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// message is AWS's text for a denial. The ARN of the policy that denied is told
// only to callers of the same account or organization (AWS security blog,
// "Enhanced access denied error messages with policy ARNs").
func (g *Gate) message(caller *Caller, req *authz.Request, decision authz.Decision) string {
	if !g.related(caller.Account(), req.ResourceAccount) {
		decision = withoutARNs(decision)
	}
	return decision.Message(req)
}

func (g *Gate) related(a, b arn.AccountID) bool {
	if a == b {
		return true
	}
	org := g.world.Organization
	return org.Path(a) != nil && org.Path(b) != nil
}

func withoutARNs(d authz.Decision) authz.Decision {
	layers := make([]authz.LayerResult, len(d.Layers))
	for i, layer := range d.Layers {
		layers[i] = layer
		layers[i].Statements = make([]authz.StatementResult, len(layer.Statements))
		for j, s := range layer.Statements {
			s.Source.ARN = ""
			layers[i].Statements[j] = s
		}
	}
	d.Layers = layers
	return d
}

// By says in one line who refused: layer, account, document and statement.
func By(d *authz.Decision) string {
	var parts []string
	for _, i := range d.Deciding {
		if i >= 0 && i < len(d.Layers) {
			parts = append(parts, layerBy(&d.Layers[i]))
		}
	}
	if len(parts) == 0 {
		return "no policy allows it"
	}
	return strings.Join(parts, "; ")
}

func layerBy(l *authz.LayerResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in account %s", LayerName(l.Layer), l.Account)
	if l.Node != "" {
		fmt.Fprintf(&b, " at %s", l.Node)
	}
	if l.Outcome != authz.ExplicitDeny {
		b.WriteString(": nothing allows it")
		b.WriteString(nearest(l))
		return b.String()
	}
	for i := range l.Statements {
		s := &l.Statements[i]
		if s.Match == authz.Yes && s.Effect == "Deny" {
			fmt.Fprintf(&b, ": denied by %s, statement %d", s.Source.Name, s.Index+1)
			if s.Sid != "" {
				fmt.Fprintf(&b, " (%s)", s.Sid)
			}
			break
		}
	}
	return b.String()
}

// nearest tells of the Allow that came nearest and why it does not apply, ""
// when none came near.
func nearest(l *authz.LayerResult) string {
	for i := range l.Statements {
		s := &l.Statements[i]
		if s.Effect != policy.Allow || s.Match != authz.No {
			continue
		}
		out := fmt.Sprintf("; nearest is %s, statement %d", s.Source.Name, s.Index+1)
		if s.Sid != "" {
			out += " (" + s.Sid + ")"
		}
		for _, c := range s.Conditions {
			if c.Match == authz.No {
				return fmt.Sprintf("%s, whose %s %s wants %q and found %q", out, c.Operator, c.Key, c.Wanted, c.Found)
			}
		}
		return out + ", whose " + s.Failed + " does not match"
	}
	return ""
}

// LayerName is what AWS's messages call a kind of policy.
func LayerName(l authz.Layer) string {
	switch l {
	case authz.LayerSCP:
		return "service control policy"
	case authz.LayerRCP:
		return "resource control policy"
	case authz.LayerEndpoint:
		return "VPC endpoint policy"
	case authz.LayerBoundary:
		return "permissions boundary"
	case authz.LayerSession:
		return "session policy"
	case authz.LayerIdentity:
		return "identity-based policy"
	case authz.LayerTrust:
		return "role trust policy"
	case authz.LayerResource, authz.LayerKey:
		return "resource-based policy"
	case authz.LayerGrant:
		return "grant"
	}
	return "policy"
}
