package authz

// A rule is one sentence of AWS's documentation that the evaluator carries
// out. Rules are always on; package tests turn single rules off to prove that
// the corpus notices (see testdata/corpus, where each case names its rule).
type rule uint8

// The rules, grouped as the corpus is.
const (
	// Combination.
	ruleDefaultDeny rule = iota
	ruleExplicitDeny
	ruleSameAccountUnion
	ruleCrossAccountBothSides
	rulePartition
	ruleNoPermissionNeeded
	ruleRootFullAccess
	ruleRootCannotAssume
	ruleFederatedSTS

	// What a resource-based policy grants to whom.
	ruleAccountDelegates
	ruleUserGrant
	ruleRoleGrant
	ruleRoleGrantLimited
	ruleSessionGrant
	ruleFederatedGrant
	ruleFederatedUserOfUser
	ruleStarGrant
	ruleStarPrincipalARN
	ruleAnonymous
	ruleServicePrincipal
	ruleStarService
	ruleCanonicalUser
	ruleUniqueID
	ruleRolePath
	rulePrincipalCase
	rulePrincipalNoWildcard
	rulePrincipalAccountID
	ruleNotPrincipalAllow
	ruleNotPrincipalDeny
	ruleNotPrincipalParents
	ruleNotPrincipalBoundary

	// Layers that limit.
	ruleBoundary
	ruleSessionPolicy
	ruleFederatedNeedsSession
	ruleSCP
	ruleSCPLevels
	ruleSCPOr
	ruleSCPManagement
	ruleSCPServiceLinked
	ruleSCPCallerOnly
	ruleRCP
	ruleRCPFullAccess
	ruleRCPServices
	ruleRCPManagement
	ruleRCPServiceLinked
	ruleRCPServiceLinkedTrust
	ruleRCPManagedKey
	ruleRCPRetireGrant
	ruleEndpoint

	// Roles and keys.
	ruleTrustExplicit
	ruleTrustActions
	ruleWebIdentity
	ruleSAML
	ruleKeyExplicit
	ruleKeyActions
	ruleKeyCrossAccount
	ruleGrant
	ruleGrantContext

	// Elements.
	ruleActionCase
	ruleActionWildcard
	ruleNotAction
	ruleResourceSegments
	ruleResourceRunsOn
	ruleResourceIncomplete
	ruleResourceCase
	ruleResourceStar
	ruleNotResource
	ruleResourceAbsent

	// Conditions.
	ruleConditionsAnd
	ruleValuesOr
	ruleValuesEmpty
	ruleNegatedNor
	ruleMissingKey
	ruleMissingKeyNegated
	ruleIfExists
	ruleForAllValues
	ruleForAllValuesEmpty
	ruleForAnyValue
	ruleForAnyValueEmpty
	ruleMultivalued
	ruleKeyCase
	ruleNull
	ruleNullEmpty
	ruleStringEquals
	ruleStringIgnoreCase
	ruleStringLike
	ruleNumeric
	ruleDate
	ruleDateEpoch
	ruleBool
	ruleBinary
	ruleIP
	ruleIPNoPrefix
	ruleIPv6
	ruleARNSegments
	ruleARNIncomplete
	ruleOperatorCase

	// Policy variables.
	ruleVariable
	ruleVariableVersion
	ruleVariableDefault
	ruleVariableEscape
	ruleVariableMissing
	ruleVariableResourcePart
	ruleVariableOperators
	ruleVariableWildcard
	ruleVariableMultivalued

	// Keys that follow from the request.
	ruleKeyPrincipalARN
	ruleKeyPrincipalAccount
	ruleKeyPrincipalType
	ruleKeyUserID
	ruleKeyUsername
	ruleKeyIsService
	ruleKeyResourceAccount

	// Three values.
	ruleUnknownKey
	ruleUnread

	ruleCount
)

// ruleset is a set of rules.
type ruleset [2]uint64

func (s *ruleset) has(r rule) bool { return s[r>>6]&(1<<(r&63)) != 0 }

func (s *ruleset) add(r rule) { s[r>>6] |= 1 << (r & 63) }
