package kms

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Quotas and defaults of the KMS developer guide and API reference.
const (
	materialSize    = 32 // AES-256
	maxKeys         = 100_000
	maxPolicySize   = 32 << 10
	defaultWindow   = 30 // days until a key is deleted
	defaultRotation = 365
	day             = 24 * time.Hour
)

func createKey(c *service.Call, in *kms.CreateKeyInput) (*kms.CreateKeyOutput, *wire.Error) {
	tags, e := requestTags(c, in.Tags, nil)
	if e != nil {
		return nil, e
	}
	key := newKey(c, aws.ToString(in.Description))
	key.Tags = tags
	if e := mayCreate(c, key, in); e != nil {
		return nil, e
	}
	if e := supported(c, in); e != nil {
		return nil, e
	}
	text := defaultPolicy(c.Account)
	if in.Policy != nil {
		text, e = acceptPolicy(c, key, *in.Policy, in.BypassPolicyLockoutSafetyCheck)
		if e != nil {
			return nil, e
		}
	}
	key.Policy = store.NewVersioned(time.Time{}, &text)
	records := c.Own().KMS.Make(c.Region)
	if len(records.Keys) >= maxKeys {
		return nil, c.Errorf("LimitExceededException", "This account has %d keys in this Region, which is the limit", maxKeys)
	}
	records.AddKey(key, c.Now)
	return &kms.CreateKeyOutput{KeyMetadata: metadata(key)}, nil
}

func newKey(c *service.Call, description string) *store.KMSKey {
	return &store.KMSKey{
		ID: c.World.IDs().UUID(), Account: c.Account, Region: c.Region, Material: c.World.IDs().Bytes(materialSize),
		Description: description, Created: c.Now, Enabled: true,
	}
}

// mayCreate asks for kms:CreateKey and, with tags, for kms:TagResource. Both are
// decided by IAM policies alone: there is no key policy yet.
func mayCreate(c *service.Call, key *store.KMSKey, in *kms.CreateKeyInput) *wire.Error {
	keys := map[string][]string{
		"kms:CallerAccount":                  {string(c.Caller.Account())},
		"kms:BypassPolicyLockoutSafetyCheck": {strconv.FormatBool(in.BypassPolicyLockoutSafetyCheck)},
		"kms:KeySpec":                        {string(cmp.Or(in.KeySpec, types.KeySpecSymmetricDefault))},
		"kms:KeyUsage":                       {string(cmp.Or(in.KeyUsage, types.KeyUsageTypeEncryptDecrypt))},
		"kms:KeyOrigin":                      {string(cmp.Or(in.Origin, types.OriginTypeAwsKms))},
		"kms:MultiRegion":                    {strconv.FormatBool(aws.ToBool(in.MultiRegion))},
	}
	if e := c.Require(gate.Access{Action: "kms:CreateKey", Resource: "*", Account: c.Account, RequestTags: key.Tags, Context: keys}); e != nil {
		return e
	}
	if len(key.Tags) == 0 {
		return nil
	}
	delegates, e := compiled(c, key, defaultPolicy(c.Account))
	if e != nil {
		return e
	}
	return c.Require(gate.Access{
		Action: "kms:TagResource", Resource: key.ARN().String(), Account: c.Account, Policy: delegates,
		RequestTags: key.Tags, Context: map[string][]string{"kms:CallerAccount": {string(c.Caller.Account())}},
	})
}

// supported refuses the kinds of keys that this package does not have.
func supported(c *service.Call, in *kms.CreateKeyInput) *wire.Error {
	//lint:ignore SA1019 clients send the older parameter still
	spec := cmp.Or(in.KeySpec, types.KeySpec(in.CustomerMasterKeySpec), types.KeySpecSymmetricDefault)
	usage := cmp.Or(in.KeyUsage, types.KeyUsageTypeEncryptDecrypt)
	origin := cmp.Or(in.Origin, types.OriginTypeAwsKms)
	if spec == types.KeySpecSymmetricDefault && usage != types.KeyUsageTypeEncryptDecrypt {
		return c.Errorf("ValidationException", "The operation failed because the KeyUsage value of the KMS key is %s. To perform this operation, the KeyUsage value must be ENCRYPT_DECRYPT.", usage)
	}
	if spec != types.KeySpecSymmetricDefault || origin != types.OriginTypeAwsKms || aws.ToBool(in.MultiRegion) || in.CustomKeyStoreId != nil || in.XksKeyId != nil {
		return c.Errorf("UnsupportedOperationException", "stile's local AWS has symmetric encryption keys of one Region with material of AWS KMS only, not %s of %s", spec, origin)
	}
	return nil
}

func metadata(key *store.KMSKey) *types.KeyMetadata {
	m := &types.KeyMetadata{
		KeyId: &key.ID, AWSAccountId: aws.String(string(key.Account)), Arn: aws.String(key.ARN().String()),
		CreationDate: &key.Created, Description: &key.Description, Enabled: key.Enabled && key.Deletes.IsZero(),
		KeyManager: types.KeyManagerTypeCustomer, KeySpec: types.KeySpecSymmetricDefault,
		KeyState: types.KeyStateEnabled, KeyUsage: types.KeyUsageTypeEncryptDecrypt, MultiRegion: aws.Bool(false),
		Origin: types.OriginTypeAwsKms, EncryptionAlgorithms: []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault},
	}
	//lint:ignore SA1019 clients read the older field still
	m.CustomerMasterKeySpec = types.CustomerMasterKeySpecSymmetricDefault
	if key.Service != "" {
		m.KeyManager = types.KeyManagerTypeAws
	}
	switch {
	case !key.Deletes.IsZero():
		m.KeyState, m.DeletionDate = types.KeyStatePendingDeletion, aws.Time(key.Deletes)
	case !key.Enabled:
		m.KeyState = types.KeyStateDisabled
	}
	return m
}

func describeKey(c *service.Call, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, *wire.Error) {
	ref := aws.ToString(in.KeyId)
	if name, ok := managedAlias(c, ref); ok {
		makeManaged(c, c.Own(), name)
	}
	key, e := use(c, request{action: "kms:DescribeKey", ref: ref, aliases: true})
	if e != nil {
		return nil, e
	}
	return &kms.DescribeKeyOutput{KeyMetadata: metadata(key)}, nil
}

func listKeys(c *service.Call, in *kms.ListKeysInput) (*kms.ListKeysOutput, *wire.Error) {
	if e := account(c, "kms:ListKeys", "*"); e != nil {
		return nil, e
	}
	records := c.Own().KMS.In(c.Region)
	ids := slices.Sorted(maps.Keys(records.Keys))
	ids = slices.DeleteFunc(ids, func(id string) bool { return records.Keys[id].Gone(c.Now) })
	shown, next, e := page(c, ids, func(id string) string { return id }, in.Marker, in.Limit, 100)
	if e != nil {
		return nil, e
	}
	out := &kms.ListKeysOutput{Keys: []types.KeyListEntry{}, NextMarker: next, Truncated: next != nil}
	for _, id := range shown {
		out.Keys = append(out.Keys, types.KeyListEntry{KeyId: aws.String(id), KeyArn: aws.String(records.Keys[id].ARN().String())})
	}
	return out, nil
}

func enableKey(c *service.Call, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, *wire.Error) {
	return nil, setEnabled(c, "kms:EnableKey", aws.ToString(in.KeyId), true)
}

func disableKey(c *service.Call, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, *wire.Error) {
	return nil, setEnabled(c, "kms:DisableKey", aws.ToString(in.KeyId), false)
}

func setEnabled(c *service.Call, action, ref string, enabled bool) *wire.Error {
	key, e := alive(c, request{action: action, ref: ref})
	if e != nil {
		return e
	}
	key.Enabled = enabled
	return nil
}

// alive is use for operations that work on disabled keys, but not on those
// pending deletion.
func alive(c *service.Call, r request) (*store.KMSKey, *wire.Error) {
	key, e := use(c, r)
	if e != nil {
		return nil, e
	}
	if !key.Deletes.IsZero() {
		return nil, c.Errorf("KMSInvalidStateException", "%s is pending deletion.", key.ARN())
	}
	return key, nil
}

func scheduleKeyDeletion(c *service.Call, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, *wire.Error) {
	window := cmp.Or(aws.ToInt32(in.PendingWindowInDays), defaultWindow)
	key, e := alive(c, request{
		action: "kms:ScheduleKeyDeletion", ref: aws.ToString(in.KeyId),
		keys: map[string][]string{"kms:ScheduleKeyDeletionPendingWindowInDays": {strconv.Itoa(int(window))}},
	})
	if e != nil {
		return nil, e
	}
	if window < 7 || window > 30 {
		return nil, c.Errorf("ValidationException", "PendingWindowInDays must be between 7 and 30 (inclusive)")
	}
	key.Deletes = c.Now.Add(time.Duration(window) * day)
	return &kms.ScheduleKeyDeletionOutput{
		KeyId: aws.String(key.ARN().String()), DeletionDate: aws.Time(key.Deletes),
		KeyState: types.KeyStatePendingDeletion, PendingWindowInDays: &window,
	}, nil
}

func cancelKeyDeletion(c *service.Call, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, *wire.Error) {
	key, e := use(c, request{action: "kms:CancelKeyDeletion", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	if key.Deletes.IsZero() {
		return nil, c.Errorf("KMSInvalidStateException", "%s is not pending deletion.", key.ARN())
	}
	key.Deletes, key.Enabled = time.Time{}, false // "the key state … is Disabled"
	return &kms.CancelKeyDeletionOutput{KeyId: aws.String(key.ARN().String())}, nil
}

func updateKeyDescription(c *service.Call, in *kms.UpdateKeyDescriptionInput) (*kms.UpdateKeyDescriptionOutput, *wire.Error) {
	key, e := alive(c, request{action: "kms:UpdateKeyDescription", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	key.Description = aws.ToString(in.Description)
	return nil, nil
}

func getKeyRotationStatus(c *service.Call, in *kms.GetKeyRotationStatusInput) (*kms.GetKeyRotationStatusOutput, *wire.Error) {
	key, e := use(c, request{action: "kms:GetKeyRotationStatus", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	out := &kms.GetKeyRotationStatusOutput{KeyId: aws.String(key.ARN().String())}
	switch {
	case key.Service != "": // "Key rotation status for AWS managed keys is always true"
		out.KeyRotationEnabled = true
	case !key.Rotation.IsZero() && key.Deletes.IsZero():
		out.KeyRotationEnabled, out.RotationPeriodInDays = true, aws.Int32(key.RotationDays)
		period := time.Duration(key.RotationDays) * day
		out.NextRotationDate = aws.Time(key.Rotation.Add((c.Now.Sub(key.Rotation)/period + 1) * period))
	}
	return out, nil
}

func enableKeyRotation(c *service.Call, in *kms.EnableKeyRotationInput) (*kms.EnableKeyRotationOutput, *wire.Error) {
	days := cmp.Or(aws.ToInt32(in.RotationPeriodInDays), defaultRotation)
	key, e := usable(c, request{
		action: "kms:EnableKeyRotation", ref: aws.ToString(in.KeyId),
		keys: map[string][]string{"kms:RotationPeriodInDays": {strconv.Itoa(int(days))}},
	})
	if e != nil {
		return nil, e
	}
	if key.Rotation.IsZero() || key.RotationDays != days {
		key.Rotation, key.RotationDays = c.Now, days
	}
	return nil, nil
}

func disableKeyRotation(c *service.Call, in *kms.DisableKeyRotationInput) (*kms.DisableKeyRotationOutput, *wire.Error) {
	key, e := usable(c, request{action: "kms:DisableKeyRotation", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	key.Rotation, key.RotationDays = time.Time{}, 0
	return nil, nil
}
