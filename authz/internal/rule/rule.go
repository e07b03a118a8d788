// Package rule names the rules that the evaluator carries out, and sets of
// them. Start with [Set].
package rule

// A Rule is one sentence of AWS's documentation that the evaluator carries
// out. Rules are always on; package tests turn single rules off to prove that
// the corpus notices (see testdata/corpus, where each case names its rule).
type Rule uint8

// The rules, grouped as the corpus is.
const (
	// Combination.
	DefaultDeny Rule = iota
	ExplicitDeny
	SameAccountUnion
	CrossAccountBothSides
	Partition
	NoPermissionNeeded
	RootFullAccess
	RootCannotAssume
	OwnersOnly
	RootKeepsPolicy
	FederatedSTS
	FederatedIAM
	SessionToken
	PermissionOnly

	// What a resource-based policy grants to whom.
	AccountDelegates
	UserGrant
	RoleGrant
	RoleGrantLimited
	SessionGrant
	FederatedGrant
	FederatedUserOfUser
	StarGrant
	StarPrincipalARN
	Anonymous
	ServicePrincipal
	StarService
	CanonicalUser
	UniqueID
	RolePath
	PrincipalCase
	PrincipalNoWildcard
	PrincipalAccountID
	NotPrincipalAllow
	NotPrincipalDeny
	NotPrincipalParents
	NotPrincipalBoundary

	// Layers that limit.
	Boundary
	SessionPolicy
	FederatedNeedsSession
	SCP
	SCPLevels
	SCPOr
	SCPManagement
	SCPServiceLinked
	SCPCallerOnly
	RCP
	RCPFullAccess
	RCPServices
	RCPManagement
	RCPServiceLinked
	RCPServiceLinkedTrust
	RCPManagedKey
	RCPRetireGrant
	RCPNoResource
	Endpoint
	EndpointGateway

	// Roles and keys.
	TrustExplicit
	TrustActions
	WebIdentity
	SAML
	KeyExplicit
	KeyActions
	KeyCrossAccount
	Grant
	GrantContext
	GrantContextCase
	GrantContextOperations
	RetireGrant

	// Elements.
	ActionCase
	ActionWildcard
	ActionBlank
	NotAction
	ResourceSegments
	ResourceRunsOn
	ResourceIncomplete
	ResourceCase
	ResourceStar
	NotResource
	ResourceAbsent

	// Conditions.
	ConditionsAnd
	ValuesOr
	ValuesEmpty
	NegatedNor
	MissingKey
	MissingKeyNegated
	IfExists
	ForAllValues
	ForAllValuesEmpty
	ForAnyValue
	ForAnyValueEmpty
	Multivalued
	KeyCase
	Null
	NullEmpty
	StringEquals
	StringIgnoreCase
	StringLike
	Numeric
	Date
	DateEpoch
	Bool
	Binary
	IP
	IPNoPrefix
	IPv6
	ARNSegments
	ARNIncomplete
	OperatorCase

	// Policy variables.
	Variable
	VariableVersion
	VariableDefault
	VariableEscape
	VariableMissing
	VariableResourcePart
	VariableOperators
	VariableWildcard
	VariableMultivalued

	// Keys that follow from the request.
	KeyPrincipalARN
	KeyPrincipalAccount
	KeyPrincipalType
	KeyUserID
	KeyUsername
	KeyIsService
	KeyServiceName
	KeyResourceAccount

	// Three values.
	UnknownKey
	Unread

	Count
)

// Set is a set of rules; the zero Set is empty.
type Set [2]uint64

// Has reports whether r is in the set.
func (s *Set) Has(r Rule) bool { return s[r>>6]&(1<<(r&63)) != 0 }

// Empty reports whether no rule is in the set.
func (s *Set) Empty() bool { return s[0]|s[1] == 0 }

// Add puts r into the set.
func (s *Set) Add(r Rule) { s[r>>6] |= 1 << (r & 63) }
