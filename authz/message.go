package authz

import (
	"fmt"
)

// Message is the text of AWS's access-denied error for req, as "Troubleshoot
// access denied error messages" in the IAM User Guide gives it. It names one
// policy type, that of the first deciding layer. For an allowed request it is "".
func (d Decision) Message(req *Request) string {
	if d.Outcome == Allowed {
		return ""
	}
	switch req.Principal.Kind {
	case WebIdentity, SAML:
		// STS does not name the caller, who has no ARN yet.
		return "Not authorized to perform " + req.Action
	case Anonymous, Root, User, RoleSession, FederatedUser, Service:
	}
	text := fmt.Sprintf("User: %s is not authorized to perform: %s", req.Principal.String(), req.Action)
	if req.Resource != "" && req.Resource != "*" {
		text += " on resource: " + req.Resource
	}
	return text + d.messageReason(req)
}

func (d *Decision) messageReason(req *Request) string {
	if len(d.Deciding) == 0 {
		return ""
	}
	l := &d.Layers[d.Deciding[0]]
	switch d.Outcome {
	case ExplicitDeny:
		text := " with an explicit deny in " + l.Layer.inMessage()
		if s := l.statement(); s != nil && s.Source.ARN != "" {
			text += ": " + s.Source.ARN
		}
		return text
	case ImplicitDeny:
		return fmt.Sprintf(" because no %s allows the %s action", l.Layer.messageType(), req.Action)
	case Allowed, Unknown, NotApplicable:
	}
	return ""
}

// messageType is the policy type that AWS's messages use: they do not know
// key policies and grants as types of their own.
func (l Layer) messageType() string {
	if l == LayerKey || l == LayerGrant {
		l = LayerResource
	}
	return l.policyType()
}

// inMessage is the policy type with its article.
func (l Layer) inMessage() string {
	switch t := l.messageType(); l {
	case LayerTrust:
		return "the " + t
	case LayerIdentity:
		return "an " + t
	case LayerSCP, LayerRCP, LayerEndpoint, LayerBoundary, LayerSession, LayerResource, LayerKey, LayerGrant:
		return "a " + t
	}
	return ""
}
