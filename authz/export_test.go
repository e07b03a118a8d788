package authz

import (
	"github.com/stile-aws/stile/authz/internal/glob"
	"github.com/stile-aws/stile/policy"
)

// ruleNames are the names that the corpus uses.
var ruleNames = [ruleCount]string{
	ruleDefaultDeny:           "default-deny",
	ruleExplicitDeny:          "explicit-deny",
	ruleSameAccountUnion:      "same-account-union",
	ruleCrossAccountBothSides: "cross-account-both-sides",
	rulePartition:             "partition",
	ruleNoPermissionNeeded:    "no-permission-needed",
	ruleRootFullAccess:        "root-full-access",
	ruleRootCannotAssume:      "root-cannot-assume",
	ruleFederatedSTS:          "federated-user-sts",
	ruleAccountDelegates:      "account-delegates",
	ruleUserGrant:             "user-grant",
	ruleRoleGrant:             "role-grant",
	ruleRoleGrantLimited:      "role-grant-limited",
	ruleSessionGrant:          "session-grant",
	ruleFederatedGrant:        "federated-grant",
	ruleFederatedUserOfUser:   "federated-user-of-user",
	ruleStarGrant:             "star-grant",
	ruleStarPrincipalARN:      "star-principalarn",
	ruleAnonymous:             "anonymous",
	ruleServicePrincipal:      "service-principal",
	ruleStarService:           "star-service",
	ruleCanonicalUser:         "canonical-user",
	ruleUniqueID:              "unique-id",
	ruleRolePath:              "role-path",
	rulePrincipalCase:         "principal-case",
	rulePrincipalNoWildcard:   "principal-no-wildcard",
	rulePrincipalAccountID:    "principal-account-id",
	ruleNotPrincipalAllow:     "notprincipal-allow",
	ruleNotPrincipalDeny:      "notprincipal-deny",
	ruleNotPrincipalParents:   "notprincipal-parents",
	ruleNotPrincipalBoundary:  "notprincipal-boundary",
	ruleBoundary:              "boundary",
	ruleSessionPolicy:         "session-policy",
	ruleFederatedNeedsSession: "federated-needs-session",
	ruleSCP:                   "scp",
	ruleSCPLevels:             "scp-levels",
	ruleSCPOr:                 "scp-or",
	ruleSCPManagement:         "scp-management",
	ruleSCPServiceLinked:      "scp-service-linked",
	ruleSCPCallerOnly:         "scp-caller-only",
	ruleRCP:                   "rcp",
	ruleRCPFullAccess:         "rcp-full-access",
	ruleRCPServices:           "rcp-services",
	ruleRCPManagement:         "rcp-management",
	ruleRCPServiceLinked:      "rcp-service-linked",
	ruleRCPServiceLinkedTrust: "rcp-service-linked-trust",
	ruleRCPManagedKey:         "rcp-managed-key",
	ruleRCPRetireGrant:        "rcp-retire-grant",
	ruleEndpoint:              "endpoint",
	ruleTrustExplicit:         "trust-explicit",
	ruleTrustActions:          "trust-actions",
	ruleWebIdentity:           "web-identity",
	ruleSAML:                  "saml",
	ruleKeyExplicit:           "key-explicit",
	ruleKeyActions:            "key-actions",
	ruleKeyCrossAccount:       "key-cross-account",
	ruleGrant:                 "grant",
	ruleGrantContext:          "grant-context",
	ruleActionCase:            "action-case",
	ruleActionWildcard:        "action-wildcard",
	ruleNotAction:             "notaction",
	ruleResourceSegments:      "resource-segments",
	ruleResourceRunsOn:        "resource-runs-on",
	ruleResourceIncomplete:    "resource-incomplete",
	ruleResourceCase:          "resource-case",
	ruleResourceStar:          "resource-star",
	ruleNotResource:           "notresource",
	ruleResourceAbsent:        "resource-absent",
	ruleConditionsAnd:         "conditions-and",
	ruleValuesOr:              "values-or",
	ruleValuesEmpty:           "values-empty",
	ruleNegatedNor:            "negated-nor",
	ruleMissingKey:            "missing-key",
	ruleMissingKeyNegated:     "missing-key-negated",
	ruleIfExists:              "if-exists",
	ruleForAllValues:          "for-all-values",
	ruleForAllValuesEmpty:     "for-all-values-empty",
	ruleForAnyValue:           "for-any-value",
	ruleForAnyValueEmpty:      "for-any-value-empty",
	ruleMultivalued:           "multivalued",
	ruleKeyCase:               "key-case",
	ruleNull:                  "null",
	ruleNullEmpty:             "null-empty",
	ruleStringEquals:          "string-equals",
	ruleStringIgnoreCase:      "string-ignore-case",
	ruleStringLike:            "string-like",
	ruleNumeric:               "numeric",
	ruleDate:                  "date",
	ruleDateEpoch:             "date-epoch",
	ruleBool:                  "bool",
	ruleBinary:                "binary",
	ruleIP:                    "ip",
	ruleIPNoPrefix:            "ip-no-prefix",
	ruleIPv6:                  "ipv6",
	ruleARNSegments:           "arn-segments",
	ruleARNIncomplete:         "arn-incomplete",
	ruleOperatorCase:          "operator-case",
	ruleVariable:              "variable",
	ruleVariableVersion:       "variable-version",
	ruleVariableDefault:       "variable-default",
	ruleVariableEscape:        "variable-escape",
	ruleVariableMissing:       "variable-missing",
	ruleVariableResourcePart:  "variable-resource-part",
	ruleVariableOperators:     "variable-operators",
	ruleVariableWildcard:      "variable-wildcard",
	ruleVariableMultivalued:   "variable-multivalued",
	ruleKeyPrincipalARN:       "key-principal-arn",
	ruleKeyPrincipalAccount:   "key-principal-account",
	ruleKeyPrincipalType:      "key-principal-type",
	ruleKeyUserID:             "key-userid",
	ruleKeyUsername:           "key-username",
	ruleKeyIsService:          "key-is-service",
	ruleKeyResourceAccount:    "key-resource-account",
	ruleUnknownKey:            "unknown-key",
	ruleUnread:                "unread",
}

// Rules are the names of all rules.
func Rules() []string { return ruleNames[:] }

// Without is the evaluator with one rule turned off.
type Without struct{ off ruleset }

// NewWithout turns off the rule of the given name.
func NewWithout(name string) (w Without, ok bool) {
	for r, n := range ruleNames {
		if n == name {
			w.off.add(rule(r))
			return w, true
		}
	}
	return w, false
}

// Compile is Compile without the rule.
func (w Without) Compile(doc *policy.Document, src Source) (*Policy, error) {
	return compile(doc, src, w.off)
}

// Evaluate is Evaluate without the rule.
func (w Without) Evaluate(req *Request, pols *Policies) Decision {
	return explain(req, pols, nil, w.off)
}

// Glob is the wildcard matcher.
var Glob = glob.Match

// CompileGlob encodes a pattern for Glob.
func CompileGlob(s string) string {
	p := compilePattern(s, syntax{wildcards: true})
	return p.encoded()
}
