package catalog

import (
	"slices"
	"strings"
)

// ProbeKind is a live call that shows whether an action is allowed and changes
// nothing.
type ProbeKind string

// The kinds, each one operation with harmless arguments.
const (
	ProbeCallerIdentity  ProbeKind = "sts:GetCallerIdentity"
	ProbeListClusters    ProbeKind = "eks:ListClusters"
	ProbeDescribeCluster ProbeKind = "eks:DescribeCluster"
	// ProbeGetMissingItem gets an item whose key cannot exist, so that no data
	// comes back.
	ProbeGetMissingItem ProbeKind = "dynamodb:GetItem"
	// ProbeQueryMissing queries for a key that cannot exist.
	ProbeQueryMissing   ProbeKind = "dynamodb:Query"
	ProbeDescribeTable  ProbeKind = "dynamodb:DescribeTable"
	ProbeListTables     ProbeKind = "dynamodb:ListTables"
	ProbeDescribeSecret ProbeKind = "secretsmanager:DescribeSecret"
	// ProbeGetSecretValue fetches a secret; the prober drops the value unread.
	// It moves the secret's LastAccessedDate and is logged by CloudTrail.
	ProbeGetSecretValue ProbeKind = "secretsmanager:GetSecretValue"
	ProbeDescribeKey    ProbeKind = "kms:DescribeKey"
	ProbeListBuckets    ProbeKind = "s3:ListAllMyBuckets"
)

// Probe is how one action is tried.
type Probe struct {
	Action string
	Kind   ProbeKind
	// Resource reports whether the call names one resource; a pattern has to
	// be resolved to something that exists before it can be probed.
	Resource bool
	// AllowedErrors are error codes that come only after the service has
	// authorized the call, and so prove that it was allowed.
	AllowedErrors []string
	Source        string
}

// ProbeFor gives the side-effect-free call that tries action; ok is false when
// there is none, and then the action is reported as not probed.
func ProbeFor(action string) (p Probe, ok bool) {
	i := slices.IndexFunc(probes[:], func(p Probe) bool { return strings.EqualFold(p.Action, action) })
	if i < 0 {
		return Probe{}, false
	}
	return probes[i], true
}

// Probes lists every probe by action.
func Probes() []Probe { return slices.Clone(probes[:]) }

// probes is sorted by action. All are operations of access level Read or List
// in the Service Authorization Reference.
var probes = [...]Probe{
	{Action: "dynamodb:DescribeTable", Kind: ProbeDescribeTable, Resource: true, AllowedErrors: []string{"ResourceNotFoundException"}, Source: "DynamoDB API DescribeTable"},
	{Action: "dynamodb:GetItem", Kind: ProbeGetMissingItem, Resource: true, AllowedErrors: []string{"ResourceNotFoundException", "ValidationException"}, Source: "DynamoDB API GetItem: no matching item returns no Item element"},
	{Action: "dynamodb:ListTables", Kind: ProbeListTables, Source: "DynamoDB API ListTables"},
	{Action: "dynamodb:Query", Kind: ProbeQueryMissing, Resource: true, AllowedErrors: []string{"ResourceNotFoundException", "ValidationException"}, Source: "DynamoDB API Query: no match returns an empty result set"},
	{Action: "eks:DescribeCluster", Kind: ProbeDescribeCluster, Resource: true, AllowedErrors: []string{"ResourceNotFoundException"}, Source: "EKS API DescribeCluster"},
	{Action: "eks:ListClusters", Kind: ProbeListClusters, Source: "EKS API ListClusters"},
	{Action: "kms:DescribeKey", Kind: ProbeDescribeKey, Resource: true, Source: "KMS API DescribeKey"},
	{Action: "s3:ListAllMyBuckets", Kind: ProbeListBuckets, Source: "S3 API ListBuckets"},
	{Action: "secretsmanager:DescribeSecret", Kind: ProbeDescribeSecret, Resource: true, AllowedErrors: []string{"ResourceNotFoundException"}, Source: "Secrets Manager API DescribeSecret"},
	{Action: "secretsmanager:GetSecretValue", Kind: ProbeGetSecretValue, Resource: true, AllowedErrors: []string{"ResourceNotFoundException"}, Source: "Secrets Manager API GetSecretValue"},
	{Action: "sts:GetCallerIdentity", Kind: ProbeCallerIdentity, Source: "STS API GetCallerIdentity: no permissions are required"},
}
