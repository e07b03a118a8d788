package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

// simulation is a case in the engine's own form, as its documentation has it.
type simulation struct {
	// ID and Own are ours, taken out before the engine sees the rest: the case,
	// and the condition keys that it gives itself.
	ID                   string           `json:"id"`
	Own                  []string         `json:"own"`
	Request              request          `json:"request"`
	IdentityPolicies     []named          `json:"identityPolicies"`
	SCPs                 []orgLevel       `json:"serviceControlPolicies"`
	RCPs                 []orgLevel       `json:"resourceControlPolicies"`
	ResourcePolicy       *json.RawMessage `json:"resourcePolicy,omitempty"`
	SessionPolicy        *json.RawMessage `json:"sessionPolicy,omitempty"`
	PermissionBoundaries []named          `json:"permissionBoundaryPolicies,omitempty"`
	EndpointPolicies     []named          `json:"vpcEndpointPolicies,omitempty"`
}

type request struct {
	Principal any               `json:"principal"`
	Action    string            `json:"action"`
	Resource  map[string]string `json:"resource"`
	Context   map[string]any    `json:"contextVariables"`
}

type named struct {
	Name   string          `json:"name"`
	Policy json.RawMessage `json:"policy"`
}

type orgLevel struct {
	Identifier string  `json:"orgIdentifier"`
	Policies   []named `json:"policies"`
}

// newSimulation turns a case into the engine's input. why says what cannot be
// expressed there, and is empty when all can.
func newSimulation(c *corpus.Case, req *authz.Request, pols *authz.Policies) (s simulation, why string) {
	if why := inexpressible(req, pols); why != "" {
		return simulation{}, why
	}
	s = simulation{
		ID: c.ID, Own: append([]string{}, c.ContextKeys()...),
		Request: request{
			Principal: principal(&req.Principal), Action: req.Action, Context: contextKeys(c, req),
			Resource: map[string]string{"resource": req.Resource, "accountId": string(corpus.Owner(req))},
		},
		IdentityPolicies: list(pols.Identity), SCPs: levels(pols.SCPs), RCPs: levels(pols.RCPs),
		ResourcePolicy: document(pols.Resource),
	}
	if req.Principal.Kind == authz.Anonymous {
		// Nobody has no policies; the engine refuses to be given any.
		s.IdentityPolicies, s.SCPs = []named{}, []orgLevel{}
	}
	if pols.Boundary != nil && req.Principal.Kind != authz.Anonymous {
		s.PermissionBoundaries = list([]*authz.Policy{pols.Boundary})
	}
	if pols.Endpoint != nil {
		s.EndpointPolicies = list([]*authz.Policy{pols.Endpoint})
	}
	session := req.Principal.Kind == authz.RoleSession || req.Principal.Kind == authz.FederatedUser
	if len(pols.Session) == 1 && session {
		s.SessionPolicy = document(pols.Session[0])
	}
	return s, ""
}

// inexpressible says which fact of a case the engine has no input for.
func inexpressible(req *authz.Request, pols *authz.Policies) string {
	p := &req.Principal
	unknown := false
	req.Context.All(func(_ string, _ []string, known bool) bool {
		unknown = unknown || !known
		return true
	})
	switch {
	case len(pols.Unread) > 0, unknown:
		return "a key or a document that is not known"
	case len(pols.Grants) > 0:
		return "KMS grants"
	case p.Management || req.ResourceManagement:
		return "the management account, whose control policies the caller of the engine has to leave out"
	case req.ResourceAWSManaged:
		return "AWS managed KMS keys"
	case p.EntityID != "" || p.Kind == authz.FederatedUser && !p.Entity.IsZero() && p.Entity.Name() != p.ARN.Name():
		return "the user behind a federated user"
	case p.Kind == authz.RoleSession && !p.Entity.IsZero() && p.Entity.Resource != "role/"+p.Entity.Name():
		return "the path of the role behind a session"
	case len(pols.Session) > 1:
		return "several session policies"
	case pols.HasSession && len(pols.Session) == 0:
		return "a session with an empty list of session policies"
	case p.Kind == authz.WebIdentity && p.Provider.IsZero():
		return "identity providers without an ARN"
	}
	return ""
}

func principal(p *authz.Principal) any {
	switch p.Kind {
	case authz.Anonymous:
		return map[string]string{"type": "Anonymous"}
	case authz.Service:
		return p.ServiceName
	case authz.WebIdentity, authz.SAML:
		return p.Provider.String()
	case authz.Root, authz.User, authz.RoleSession, authz.FederatedUser:
	}
	return p.ARN.String()
}

// contextKeys gives the condition keys, with those that follow from caller and
// resource, which the engine does not derive itself.
func contextKeys(c *corpus.Case, req *authz.Request) map[string]any {
	keys := derived(req)
	for _, key := range c.ContextKeys() {
		for name := range keys {
			if strings.EqualFold(name, key) {
				delete(keys, name)
			}
		}
		values, _, _ := req.Context.Get(key)
		keys[key] = append([]string{}, values...)
		if len(values) == 1 {
			keys[key] = values[0]
		}
	}
	return keys
}

func derived(req *authz.Request) map[string]any {
	p := &req.Principal
	keys := map[string]any{"aws:ResourceAccount": string(corpus.Owner(req))}
	caller := p.ARN
	kind := map[authz.PrincipalKind]string{
		authz.Root: "Account", authz.User: "User", authz.RoleSession: "AssumedRole", authz.FederatedUser: "FederatedUser", authz.Anonymous: "Anonymous",
	}[p.Kind]
	if kind != "" {
		keys["aws:PrincipalType"] = kind
	}
	switch p.Kind {
	case authz.RoleSession:
		role, _, _ := p.ARN.RoleSession()
		caller = arn.IAM(p.ARN.Partition, p.ARN.Account, "role", "", role)
	case authz.User:
		keys["aws:username"] = p.ARN.Name()
	case authz.Service:
		keys["aws:PrincipalServiceName"] = p.ServiceName
	case authz.Anonymous:
		keys["aws:PrincipalAccount"] = "anonymous"
	case authz.Root, authz.FederatedUser, authz.WebIdentity, authz.SAML:
	}
	if !caller.IsZero() {
		keys["aws:PrincipalArn"], keys["aws:PrincipalAccount"] = caller.String(), string(caller.Account)
	}
	if p.Kind == authz.Service || !caller.IsZero() {
		keys["aws:PrincipalIsAWSService"] = fmt.Sprint(p.Kind == authz.Service)
	}
	if p.ID != "" {
		keys["aws:userid"] = p.ID
	}
	return keys
}

func document(p *authz.Policy) *json.RawMessage {
	if p == nil {
		return nil
	}
	text := json.RawMessage(p.Document().JSON())
	return &text
}

func list(policies []*authz.Policy) []named {
	out := []named{}
	for i, p := range policies {
		out = append(out, named{Name: fmt.Sprintf("%s %d", p.Source().Name, i), Policy: json.RawMessage(p.Document().JSON())})
	}
	return out
}

func levels(tree []authz.Level) []orgLevel {
	out := []orgLevel{}
	for i := range tree {
		out = append(out, orgLevel{Identifier: tree[i].Node, Policies: list(tree[i].Policies)})
	}
	return out
}
