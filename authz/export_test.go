package authz

import (
	"math"

	"github.com/stile-aws/stile/authz/internal/rule"
	"github.com/stile-aws/stile/policy"
)

// ruleNames are the names that the corpus uses.
var ruleNames = [rule.Count]string{
	rule.DefaultDeny:            "default-deny",
	rule.ExplicitDeny:           "explicit-deny",
	rule.SameAccountUnion:       "same-account-union",
	rule.CrossAccountBothSides:  "cross-account-both-sides",
	rule.Partition:              "partition",
	rule.NoPermissionNeeded:     "no-permission-needed",
	rule.RootFullAccess:         "root-full-access",
	rule.RootCannotAssume:       "root-cannot-assume",
	rule.OwnersOnly:             "owners-only",
	rule.RootKeepsPolicy:        "root-keeps-policy",
	rule.FederatedSTS:           "federated-user-sts",
	rule.FederatedIAM:           "federated-user-iam",
	rule.SessionToken:           "session-token",
	rule.PermissionOnly:         "permission-only",
	rule.AccountDelegates:       "account-delegates",
	rule.UserGrant:              "user-grant",
	rule.RoleGrant:              "role-grant",
	rule.RoleGrantLimited:       "role-grant-limited",
	rule.SessionGrant:           "session-grant",
	rule.FederatedGrant:         "federated-grant",
	rule.FederatedUserOfUser:    "federated-user-of-user",
	rule.StarGrant:              "star-grant",
	rule.StarPrincipalARN:       "star-principalarn",
	rule.Anonymous:              "anonymous",
	rule.ServicePrincipal:       "service-principal",
	rule.StarService:            "star-service",
	rule.CanonicalUser:          "canonical-user",
	rule.UniqueID:               "unique-id",
	rule.RolePath:               "role-path",
	rule.PrincipalCase:          "principal-case",
	rule.PrincipalNoWildcard:    "principal-no-wildcard",
	rule.PrincipalAccountID:     "principal-account-id",
	rule.NotPrincipalAllow:      "notprincipal-allow",
	rule.NotPrincipalDeny:       "notprincipal-deny",
	rule.NotPrincipalParents:    "notprincipal-parents",
	rule.NotPrincipalBoundary:   "notprincipal-boundary",
	rule.Boundary:               "boundary",
	rule.SessionPolicy:          "session-policy",
	rule.FederatedNeedsSession:  "federated-needs-session",
	rule.SCP:                    "scp",
	rule.SCPLevels:              "scp-levels",
	rule.SCPOr:                  "scp-or",
	rule.SCPManagement:          "scp-management",
	rule.SCPServiceLinked:       "scp-service-linked",
	rule.SCPCallerOnly:          "scp-caller-only",
	rule.RCP:                    "rcp",
	rule.RCPFullAccess:          "rcp-full-access",
	rule.RCPServices:            "rcp-services",
	rule.RCPManagement:          "rcp-management",
	rule.RCPServiceLinked:       "rcp-service-linked",
	rule.RCPServiceLinkedTrust:  "rcp-service-linked-trust",
	rule.RCPManagedKey:          "rcp-managed-key",
	rule.RCPRetireGrant:         "rcp-retire-grant",
	rule.RCPNoResource:          "rcp-no-resource",
	rule.Endpoint:               "endpoint",
	rule.EndpointGateway:        "endpoint-gateway",
	rule.TrustExplicit:          "trust-explicit",
	rule.TrustActions:           "trust-actions",
	rule.WebIdentity:            "web-identity",
	rule.SAML:                   "saml",
	rule.KeyExplicit:            "key-explicit",
	rule.KeyActions:             "key-actions",
	rule.KeyCrossAccount:        "key-cross-account",
	rule.Grant:                  "grant",
	rule.GrantContext:           "grant-context",
	rule.GrantContextCase:       "grant-context-case",
	rule.GrantContextOperations: "grant-context-operations",
	rule.RetireGrant:            "retire-grant",
	rule.ActionCase:             "action-case",
	rule.ActionWildcard:         "action-wildcard",
	rule.ActionBlank:            "action-blank",
	rule.NotAction:              "notaction",
	rule.ResourceSegments:       "resource-segments",
	rule.ResourceRunsOn:         "resource-runs-on",
	rule.ResourceIncomplete:     "resource-incomplete",
	rule.ResourceCase:           "resource-case",
	rule.ResourceStar:           "resource-star",
	rule.NotResource:            "notresource",
	rule.ResourceAbsent:         "resource-absent",
	rule.ConditionsAnd:          "conditions-and",
	rule.ValuesOr:               "values-or",
	rule.ValuesEmpty:            "values-empty",
	rule.NegatedNor:             "negated-nor",
	rule.MissingKey:             "missing-key",
	rule.MissingKeyNegated:      "missing-key-negated",
	rule.IfExists:               "if-exists",
	rule.ForAllValues:           "for-all-values",
	rule.ForAllValuesEmpty:      "for-all-values-empty",
	rule.ForAnyValue:            "for-any-value",
	rule.ForAnyValueEmpty:       "for-any-value-empty",
	rule.Multivalued:            "multivalued",
	rule.KeyCase:                "key-case",
	rule.Null:                   "null",
	rule.NullEmpty:              "null-empty",
	rule.StringEquals:           "string-equals",
	rule.StringIgnoreCase:       "string-ignore-case",
	rule.StringLike:             "string-like",
	rule.Numeric:                "numeric",
	rule.Date:                   "date",
	rule.DateEpoch:              "date-epoch",
	rule.Bool:                   "bool",
	rule.Binary:                 "binary",
	rule.IP:                     "ip",
	rule.IPNoPrefix:             "ip-no-prefix",
	rule.IPv6:                   "ipv6",
	rule.ARNSegments:            "arn-segments",
	rule.ARNIncomplete:          "arn-incomplete",
	rule.OperatorCase:           "operator-case",
	rule.Variable:               "variable",
	rule.VariableVersion:        "variable-version",
	rule.VariableDefault:        "variable-default",
	rule.VariableEscape:         "variable-escape",
	rule.VariableMissing:        "variable-missing",
	rule.VariableResourcePart:   "variable-resource-part",
	rule.VariableOperators:      "variable-operators",
	rule.VariableWildcard:       "variable-wildcard",
	rule.VariableMultivalued:    "variable-multivalued",
	rule.KeyPrincipalARN:        "key-principal-arn",
	rule.KeyPrincipalAccount:    "key-principal-account",
	rule.KeyPrincipalType:       "key-principal-type",
	rule.KeyUserID:              "key-userid",
	rule.KeyUsername:            "key-username",
	rule.KeyIsService:           "key-is-service",
	rule.KeyServiceName:         "key-service-name",
	rule.KeyResourceAccount:     "key-resource-account",
	rule.UnknownKey:             "unknown-key",
	rule.Unread:                 "unread",
}

// Rules are the names of all rules.
func Rules() []string { return ruleNames[:] }

// Without is the evaluator with one rule turned off.
type Without struct{ off rule.Set }

// NewWithout turns off the rule of the given name.
func NewWithout(name string) (w Without, ok bool) {
	for r, n := range ruleNames {
		if n == name {
			w.off.Add(rule.Rule(r))
			return w, true
		}
	}
	return w, false
}

// Compile is Compile without the rule.
func (w Without) Compile(doc *policy.Document, src Source) (*Policy, error) {
	return compile(doc, src, w.off, worthIndexing)
}

// Evaluate is Evaluate without the rule.
func (w Without) Evaluate(req *Request, pols *Policies) Decision {
	return explain(req, pols, nil, w.off)
}

// CompileIndexed is Compile with an index of however little there is.
func CompileIndexed(doc *policy.Document, src Source) (*Policy, error) {
	return compile(doc, src, rule.Set{}, 0)
}

// CompilePlain is Compile without an index, so that all statements are compared.
func CompilePlain(doc *policy.Document, src Source) (*Policy, error) {
	p, err := compile(doc, src, rule.Set{}, math.MaxInt)
	if err == nil {
		p.services = allServices
	}
	return p, err
}

// Looked is how many statements Decide compares with req.
func Looked(req *Request, pols *Policies) int {
	e := evaluation{req: req, pols: pols, facts: defaultFacts()}
	e.run()
	return e.looked
}
