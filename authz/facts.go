package authz

import (
	"maps"
	"sync"
)

// Facts is what the evaluator has to know about AWS's services and cannot read
// from policies. Action and key names are in lower case. A Facts must not be
// changed once it is in use.
type Facts struct {
	// RCPServices says of service prefixes whether RCPs affect their resources.
	// Where it has none AWS may have added the service: an RCP that would deny
	// leaves the answer open.
	RCPServices map[string]bool
	// CrossAccount has, for each service prefix where only some operations
	// work on resources of other accounts, those operations. A service that is
	// not a key has no such limit.
	CrossAccount map[string]map[string]bool
	// NoPermission has the actions that everybody with credentials may call,
	// even against an explicit deny.
	NoPermission map[string]bool
	// RootForbidden has the actions that the root user cannot call.
	RootForbidden map[string]bool
	// OwnersOnly has operations on a resource's policy that only callers of the
	// resource's own account can use, and that this policy cannot deny to the
	// root user of the account.
	OwnersOnly map[string]bool
	// Multivalued has the condition keys that hold several values.
	Multivalued map[string]bool
}

// DefaultFacts gives the facts built into this package, as a copy that the
// caller may extend before use.
func DefaultFacts() *Facts {
	d := defaultFacts()
	return &Facts{
		RCPServices:   maps.Clone(d.RCPServices),
		CrossAccount:  maps.Clone(d.CrossAccount),
		NoPermission:  maps.Clone(d.NoPermission),
		RootForbidden: maps.Clone(d.RootForbidden),
		OwnersOnly:    maps.Clone(d.OwnersOnly),
		Multivalued:   maps.Clone(d.Multivalued),
	}
}

var defaultFacts = sync.OnceValue(func() *Facts {
	return &Facts{
		// AWS Organizations User Guide, "Resource control policies (RCPs)",
		// list of services that support RCPs, which grows.
		RCPServices: map[string]bool{
			"s3": true, "sts": true, "kms": true, "sqs": true, "secretsmanager": true, "dynamodb": true, "ecr": true,
			"logs": true, "events": true, "cognito-identity": true, "cognito-idp": true, "codebuild": true, "aoss": true,
			"lambda": false, "sns": false, "iam": false, "ec2": false,
		},
		// AWS KMS Developer Guide, "Allowing users in other accounts to use a
		// KMS key": the operations listed there; "Cross-account operation" in
		// the table "KMS permissions".
		CrossAccount: map[string]map[string]bool{"kms": set(
			"kms:creategrant", "kms:decrypt", "kms:describekey", "kms:derivesharedsecret", "kms:encrypt",
			"kms:generatedatakey", "kms:generatedatakeypair", "kms:generatedatakeypairwithoutplaintext",
			"kms:generatedatakeywithoutplaintext", "kms:generatemac", "kms:getkeyrotationstatus", "kms:getpublickey",
			"kms:listgrants", "kms:reencryptfrom", "kms:reencryptto", "kms:retiregrant", "kms:revokegrant",
			"kms:sign", "kms:verify", "kms:verifymac",
		)},
		// AWS STS API Reference, GetCallerIdentity: "No permissions are
		// required to perform this operation. If an administrator attaches a
		// policy to your identity that explicitly denies access to the
		// sts:GetCallerIdentity action, you can still perform this operation."
		// GetSessionToken: "No permissions are required for users to perform
		// this operation … You cannot use policies to control authentication
		// operations."
		NoPermission: set("sts:getcalleridentity", "sts:getsessiontoken"),
		// AWS STS API Reference, AssumeRole: "You cannot use AWS account root
		// user credentials to call AssumeRole."
		RootForbidden: set("sts:assumerole"),
		// Amazon S3 API Reference, PutBucketPolicy: "the calling identity must …
		// belong to the bucket owner's account"; "the root principal in a bucket
		// owner's AWS account can perform the GetBucketPolicy, PutBucketPolicy, and
		// DeleteBucketPolicy API actions, even if their bucket policy explicitly
		// denies the root principal's access".
		OwnersOnly: set("s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"),
		// IAM User Guide, "AWS global condition context keys", value type
		// "Multivalued"; KMS and DynamoDB pages of their own keys.
		Multivalued: set(
			"aws:calledvia", "aws:principalorgpaths", "aws:principalservicenameslist", "aws:resourceorgpaths",
			"aws:sourceorgpaths", "aws:tagkeys", "aws:vpceorgpaths", "sts:transitivetagkeys",
			"cognito-identity.amazonaws.com:amr", "dynamodb:attributes", "dynamodb:leadingkeys",
			"kms:encryptioncontextkeys", "kms:grantoperations", "kms:resourcealiases",
		),
	}
})

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
