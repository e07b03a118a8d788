package kms

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxGrants is how many grants a key can have (KMS quotas).
const maxGrants = 50_000

func createGrant(c *service.Call, in *kms.CreateGrantInput) (*kms.CreateGrantOutput, *wire.Error) {
	key, e := usable(c, request{
		action: "kms:CreateGrant", ref: aws.ToString(in.KeyId), keys: grantKeys(in),
		grants: func(parent *store.KMSGrant) bool { return allowsChild(parent, in) },
	})
	if e != nil {
		return nil, e
	}
	grant, e := newGrant(c, in)
	if e != nil {
		return nil, e
	}
	if e := dryRun(c, in.DryRun); e != nil {
		return nil, e
	}
	for i := range key.Grants { // "use the name to prevent unintended duplicates"
		if old := &key.Grants[i]; grant.Name != "" && sameGrant(old, grant) {
			return &kms.CreateGrantOutput{GrantId: &old.ID, GrantToken: aws.String(token(old.ID))}, nil
		}
	}
	if len(key.Grants) >= maxGrants {
		return nil, c.Errorf("LimitExceededException", "A key can have at most %d grants", maxGrants)
	}
	grant.ID = c.World.IDs().Hex(64)
	key.Grants = append(key.Grants, *grant)
	return &kms.CreateGrantOutput{GrantId: &grant.ID, GrantToken: aws.String(token(grant.ID))}, nil
}

// token is a grant token. Grants are effective at once here, so that it has
// nothing to say.
func token(id string) string { return "stile" + id }

func grantKeys(in *kms.CreateGrantInput) map[string][]string {
	keys := map[string][]string{
		"kms:GrantIsForAWSResource": {"false"},
		"kms:GranteePrincipal":      {cmp.Or(aws.ToString(in.GranteePrincipal), aws.ToString(in.GranteeServicePrincipal))},
		"kms:GrantOperations":       operationNames(in.Operations),
	}
	if in.RetiringPrincipal != nil {
		keys["kms:RetiringPrincipal"] = []string{*in.RetiringPrincipal}
	}
	if in.Constraints != nil {
		kind := "EncryptionContextSubset"
		if in.Constraints.EncryptionContextEquals != nil {
			kind = "EncryptionContextEquals"
		}
		keys["kms:GrantConstraintType"] = []string{kind}
	}
	return keys
}

func operationNames(operations []types.GrantOperation) []string {
	names := make([]string, len(operations))
	for i, operation := range operations {
		names[i] = string(operation)
	}
	return names
}

func newGrant(c *service.Call, in *kms.CreateGrantInput) (*store.KMSGrant, *wire.Error) {
	g := &store.KMSGrant{Name: aws.ToString(in.Name), Issuer: c.Caller.Account(), Operations: operationNames(in.Operations), Created: c.Now}
	for _, name := range g.Operations {
		if !grantable(name) {
			return nil, c.Errorf("ValidationException", "The operation %s does not work with symmetric encryption keys", name)
		}
	}
	var e *wire.Error
	if g.Grantee, e = grantPrincipal(c, in.GranteePrincipal, in.GranteeServicePrincipal); e != nil {
		return nil, e
	}
	if g.Grantee == "" {
		return nil, c.Errorf("ValidationException", "GranteePrincipal must be specified")
	}
	if g.Retiring, e = grantPrincipal(c, in.RetiringPrincipal, in.RetiringServicePrincipal); e != nil {
		return nil, e
	}
	if k := in.Constraints; k != nil {
		if k.EncryptionContextEquals != nil && k.EncryptionContextSubset != nil || k.SourceArn != nil {
			return nil, c.Errorf("ValidationException", "Constraints must have either EncryptionContextEquals or EncryptionContextSubset")
		}
		g.Context, g.Equals = constraint(in)
	}
	return g, nil
}

// constraint is the encryption context that a new grant asks for, nil for none.
func constraint(in *kms.CreateGrantInput) (context map[string]string, equals bool) {
	switch k := in.Constraints; {
	case k == nil:
		return nil, false
	case k.EncryptionContextEquals != nil:
		return k.EncryptionContextEquals, true
	default:
		return k.EncryptionContextSubset, false
	}
}

// allowsChild reports whether who has CreateGrant from parent may make the
// grant that in asks for: one with some or all of parent's operations and with
// a constraint at least as strict (KMS developer guide, "Granting CreateGrant
// permission"). Policies that allow kms:CreateGrant are not bound by it. A grant
// that does not allow the child allows nothing, so that KMS denies access.
func allowsChild(parent *store.KMSGrant, in *kms.CreateGrantInput) bool {
	for _, name := range in.Operations {
		if !slices.Contains(parent.Operations, string(name)) {
			return false
		}
	}
	context, equals := constraint(in)
	switch {
	case parent.Context == nil:
		return true
	case context == nil || parent.Equals && (!equals || len(context) != len(parent.Context)):
		return false
	}
	for name, value := range parent.Context {
		if got, ok := context[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// grantable has the operations that a grant on a symmetric key can allow.
func grantable(name string) bool {
	switch types.GrantOperation(name) {
	case types.GrantOperationDecrypt, types.GrantOperationEncrypt, types.GrantOperationGenerateDataKey,
		types.GrantOperationGenerateDataKeyWithoutPlaintext, types.GrantOperationReEncryptFrom, types.GrantOperationReEncryptTo,
		types.GrantOperationCreateGrant, types.GrantOperationRetireGrant, types.GrantOperationDescribeKey,
		types.GrantOperationGenerateDataKeyPair, types.GrantOperationGenerateDataKeyPairWithoutPlaintext:
		return true
	}
	return false
}

// grantPrincipal is the stored form of a grant's principal, "" when none is named.
func grantPrincipal(c *service.Call, principal, servicePrincipal *string) (string, *wire.Error) {
	switch {
	case servicePrincipal != nil:
		return *servicePrincipal, nil
	case principal == nil:
		return "", nil
	case strings.HasSuffix(*principal, ".amazonaws.com"):
		return *principal, nil
	}
	stored, ok := c.World.CanonicalPrincipal(*principal)
	if !ok || stored == "*" {
		return "", c.Errorf("InvalidArnException", "ARN does not refer to a valid principal: %s", *principal)
	}
	return stored, nil
}

func sameGrant(a, b *store.KMSGrant) bool {
	return a.Name == b.Name && a.Grantee == b.Grantee && a.Retiring == b.Retiring && a.Equals == b.Equals &&
		slices.Equal(a.Operations, b.Operations) && string(additional(nil, a.Context)) == string(additional(nil, b.Context))
}

func listGrants(c *service.Call, in *kms.ListGrantsInput) (*kms.ListGrantsOutput, *wire.Error) {
	key, e := use(c, request{action: "kms:ListGrants", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	var entries []types.GrantListEntry
	for i := range key.Grants {
		entry := grantEntry(c, key, &key.Grants[i])
		if in.GrantId != nil && *in.GrantId != *entry.GrantId || in.GranteePrincipal != nil && *in.GranteePrincipal != *entry.GranteePrincipal {
			continue
		}
		entries = append(entries, entry)
	}
	shown, next, e := grantPage(c, entries, in.Marker, in.Limit)
	if e != nil {
		return nil, e
	}
	return &kms.ListGrantsOutput{Grants: shown, NextMarker: next, Truncated: next != nil}, nil
}

func grantPage(c *service.Call, entries []types.GrantListEntry, marker *string, limit *int32) ([]types.GrantListEntry, *string, *wire.Error) {
	return page(c, entries, func(g types.GrantListEntry) string { return *g.GrantId }, marker, limit, 50)
}

func grantEntry(c *service.Call, key *store.KMSKey, g *store.KMSGrant) types.GrantListEntry {
	entry := types.GrantListEntry{
		GrantId: &g.ID, KeyId: aws.String(key.ARN().String()), GranteePrincipal: aws.String(c.World.PresentPrincipal(g.Grantee)),
		CreationDate: &g.Created, IssuingAccount: aws.String("arn:" + store.Partition + ":iam::" + string(g.Issuer) + ":root"),
		Name: aws.String(g.Name),
	}
	for _, name := range g.Operations {
		entry.Operations = append(entry.Operations, types.GrantOperation(name))
	}
	if g.Retiring != "" {
		entry.RetiringPrincipal = aws.String(c.World.PresentPrincipal(g.Retiring))
	}
	if g.Context != nil {
		entry.Constraints = &types.GrantConstraints{EncryptionContextSubset: g.Context}
		if g.Equals {
			entry.Constraints = &types.GrantConstraints{EncryptionContextEquals: g.Context}
		}
	}
	return entry
}

func listRetirableGrants(c *service.Call, in *kms.ListRetirableGrantsInput) (*kms.ListRetirableGrantsOutput, *wire.Error) {
	if e := account(c, "kms:ListRetirableGrants", "*"); e != nil {
		return nil, e
	}
	var entries []types.GrantListEntry
	for _, key := range c.Own().KMS.In(c.Region).Keys {
		for i := range key.Grants {
			g := &key.Grants[i]
			if !key.Gone(c.Now) && g.Retiring != "" && c.World.PresentPrincipal(g.Retiring) == aws.ToString(in.RetiringPrincipal) {
				entries = append(entries, grantEntry(c, key, g))
			}
		}
	}
	shown, next, e := grantPage(c, entries, in.Marker, in.Limit)
	if e != nil {
		return nil, e
	}
	return &kms.ListRetirableGrantsOutput{Grants: shown, NextMarker: next, Truncated: next != nil}, nil
}

func revokeGrant(c *service.Call, in *kms.RevokeGrantInput) (*kms.RevokeGrantOutput, *wire.Error) {
	key, e := use(c, request{
		action: "kms:RevokeGrant", ref: aws.ToString(in.KeyId),
		keys: map[string][]string{"kms:GrantIsForAWSResource": {"false"}},
	})
	if e != nil {
		return nil, e
	}
	if key.Grant(aws.ToString(in.GrantId)) == nil {
		return nil, c.Errorf("NotFoundException", "Grant ID %s not found", aws.ToString(in.GrantId))
	}
	if e := dryRun(c, in.DryRun); e != nil {
		return nil, e
	}
	drop(key, *in.GrantId)
	return nil, nil
}

func drop(key *store.KMSKey, id string) {
	key.Grants = slices.DeleteFunc(slices.Clone(key.Grants), func(g store.KMSGrant) bool { return g.ID == id })
}

// retireGrant is allowed to the retiring principal of the grant, to its grantee
// where the grant has RetireGrant, and to whom the account of either lets.
func retireGrant(c *service.Call, in *kms.RetireGrantInput) (*kms.RetireGrantOutput, *wire.Error) {
	key, id, e := retired(c, in)
	if e != nil {
		return nil, e
	}
	t := target{key: key, arn: key.ARN()}
	r := request{
		action: "kms:RetireGrant", keys: map[string][]string{"kms:GrantIsForAWSResource": {"false"}},
		grants: func(own *store.KMSGrant) bool { return own.ID == id },
	}
	if e := t.allow(c, r); e != nil {
		return nil, e
	}
	if e := dryRun(c, in.DryRun); e != nil {
		return nil, e
	}
	drop(key, id)
	return nil, nil
}

// retired finds the grant by its token or by key and id.
func retired(c *service.Call, in *kms.RetireGrantInput) (*store.KMSKey, string, *wire.Error) {
	if in.GrantToken != nil {
		id := strings.TrimPrefix(*in.GrantToken, token(""))
		for _, owner := range c.World.AccountIDs() {
			for _, key := range c.World.Accounts[owner].KMS.In(c.Region).Keys {
				if key.Grant(id) != nil && !key.Gone(c.Now) {
					return key, id, nil
				}
			}
		}
		return nil, "", c.Errorf("InvalidGrantTokenException", "Invalid grant token.")
	}
	if in.KeyId == nil || in.GrantId == nil {
		return nil, "", c.Errorf("ValidationException", "Specify either a grant token or both KeyId and GrantId")
	}
	t, e := resolve(c, c.Account, *in.KeyId, false)
	if e != nil {
		return nil, "", e
	}
	if t.key == nil || t.key.Grant(*in.GrantId) == nil {
		return nil, "", c.Errorf("NotFoundException", "Grant ID %s not found", *in.GrantId)
	}
	return t.key, *in.GrantId, nil
}
