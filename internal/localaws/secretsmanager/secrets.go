package secretsmanager

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Quotas of the Secrets Manager user guide.
const (
	maxSecrets    = 500_000
	maxStages     = 20
	keepVersions  = 100 // unlabelled ones beyond go
	defaultWindow = 30  // days until a deleted secret goes
)

func createSecret(c *service.Call, in *secretsmanager.CreateSecretInput) (*secretsmanager.CreateSecretOutput, *wire.Error) {
	name := aws.ToString(in.Name)
	if !validName(name) {
		return nil, c.Errorf("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	secret := &store.Secret{
		Name: name, Account: c.Account, Region: c.Region, Suffix: c.World.IDs().Mixed(6),
		Description: aws.ToString(in.Description), Created: c.Now, Changed: c.Now, Tags: tagMap(in.Tags),
	}
	if e := mayCreate(c, secret, in); e != nil {
		return nil, e
	}
	if len(in.AddReplicaRegions) > 0 || in.Type != nil {
		return nil, c.Errorf("InvalidRequestException", "stile's local AWS neither replicates secrets nor manages those of other services")
	}
	if e := checkTags(c, in.Tags, nil); e != nil {
		return nil, e
	}
	value, e := newPayload(c, in.SecretString, in.SecretBinary, in.ClientRequestToken)
	if e != nil {
		return nil, e
	}
	records := c.Own().Secrets.Make(c.Region)
	if old := records.Secret(name, c.Now); old != nil {
		return existing(c, old, value)
	}
	if len(*records) >= maxSecrets {
		return nil, c.Errorf("LimitExceededException", "You've reached the quota of %d secrets.", maxSecrets)
	}
	if secret.Key, e = keyName(c, secret, in.KmsKeyId); e != nil {
		return nil, e
	}
	out := &secretsmanager.CreateSecretOutput{Name: &secret.Name, ARN: aws.String(secret.ARN().String())}
	if value != nil {
		if _, e := addVersion(c, secret, value, []string{current}); e != nil {
			return nil, e
		}
		out.VersionId = &value.token
	}
	records.Add(secret, c.Now)
	return out, nil
}

// validName reports whether a name has only "letters, numbers, and -/_+=.@!".
func validName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-/_+=.@!", r)
	})
}

func mayCreate(c *service.Call, secret *store.Secret, in *secretsmanager.CreateSecretInput) *wire.Error {
	access := gate.Access{
		Action: "secretsmanager:CreateSecret", Resource: secret.ARN().String(), Account: secret.Account, RequestTags: secret.Tags,
		Context: map[string][]string{"secretsmanager:Name": {secret.Name}},
	}
	if in.Description != nil {
		access.Context["secretsmanager:Description"] = []string{*in.Description}
	}
	if in.KmsKeyId != nil {
		access.Context["secretsmanager:KmsKeyId"] = []string{*in.KmsKeyId}
	}
	if e := c.Require(access); e != nil || len(secret.Tags) == 0 {
		return e
	}
	access.Action = "secretsmanager:TagResource"
	return c.Require(access)
}

// existing answers the creation of a secret that is there: the same request
// again succeeds again.
func existing(c *service.Call, old *store.Secret, value *payload) (*secretsmanager.CreateSecretOutput, *wire.Error) {
	if !old.Deleted.IsZero() {
		return nil, c.Errorf("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if value != nil && value.is(old.Versions[value.token]) {
		return &secretsmanager.CreateSecretOutput{Name: &old.Name, ARN: aws.String(old.ARN().String()), VersionId: &value.token}, nil
	}
	return nil, c.Errorf("ResourceExistsException", "The operation failed because the secret %s already exists.", old.Name)
}

func describeSecret(c *service.Call, in *secretsmanager.DescribeSecretInput) (*secretsmanager.DescribeSecretOutput, *wire.Error) {
	s, e := request{action: "DescribeSecret", id: aws.ToString(in.SecretId)}.secret(c)
	if e != nil {
		return nil, e
	}
	l := listed(s)
	return &secretsmanager.DescribeSecretOutput{
		ARN: l.ARN, Name: l.Name, Description: l.Description, KmsKeyId: l.KmsKeyId, CreatedDate: l.CreatedDate,
		LastChangedDate: l.LastChangedDate, LastAccessedDate: l.LastAccessedDate, DeletedDate: l.DeletedDate,
		Tags: l.Tags, VersionIdsToStages: l.SecretVersionsToStages,
	}, nil
}

func updateSecret(c *service.Call, in *secretsmanager.UpdateSecretInput) (*secretsmanager.UpdateSecretOutput, *wire.Error) {
	r := request{action: "UpdateSecret", id: aws.ToString(in.SecretId), keys: map[string][]string{}}
	if in.Description != nil {
		r.keys["secretsmanager:Description"] = []string{*in.Description}
	}
	if in.KmsKeyId != nil {
		r.keys["secretsmanager:KmsKeyId"] = []string{*in.KmsKeyId}
	}
	s, e := r.living(c)
	if e != nil {
		return nil, e
	}
	value, e := newPayload(c, in.SecretString, in.SecretBinary, in.ClientRequestToken)
	if e != nil {
		return nil, e
	}
	if in.Type != nil {
		return nil, c.Errorf("InvalidRequestException", "stile's local AWS does not manage secrets of other services")
	}
	rekeyed, anew, e := changeKey(c, s, in.KmsKeyId)
	if e != nil {
		return nil, e
	}
	var v *store.SecretVersion
	if value != nil {
		if v, e = newVersion(c, s, rekeyed, value); e != nil {
			return nil, e
		}
	}
	s.Key = rekeyed.Key
	for id, envelope := range anew {
		s.Versions[id].Envelope = envelope
	}
	out := &secretsmanager.UpdateSecretOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}
	if v != nil {
		attach(c, s, v, []string{current})
		out.VersionId = &v.ID
	}
	if in.Description != nil {
		s.Description = *in.Description
	}
	s.Changed = c.Now
	return out, nil
}

func deleteSecret(c *service.Call, in *secretsmanager.DeleteSecretInput) (*secretsmanager.DeleteSecretOutput, *wire.Error) {
	force := aws.ToBool(in.ForceDeleteWithoutRecovery)
	r := request{action: "DeleteSecret", id: aws.ToString(in.SecretId), keys: map[string][]string{
		"secretsmanager:ForceDeleteWithoutRecovery": {strconv.FormatBool(force)},
	}}
	if in.RecoveryWindowInDays != nil {
		r.keys["secretsmanager:RecoveryWindowInDays"] = []string{strconv.FormatInt(*in.RecoveryWindowInDays, 10)}
	}
	s, e := r.secret(c)
	if e != nil {
		return nil, e
	}
	window := int64(defaultWindow)
	if in.RecoveryWindowInDays != nil {
		window = *in.RecoveryWindowInDays
	}
	switch {
	case force && in.RecoveryWindowInDays != nil:
		return nil, c.Errorf("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case window < 7 || window > 30:
		return nil, c.Errorf("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	case !s.Deleted.IsZero() && !force:
		return nil, c.Errorf("InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	out := &secretsmanager.DeleteSecretOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}
	if force {
		delete(*c.World.Accounts[s.Account].Secrets.Make(s.Region), s.Name)
		out.DeletionDate = &c.Now
		return out, nil
	}
	s.Deleted, s.Deletes = c.Now, c.Now.Add(time.Duration(window)*24*time.Hour)
	out.DeletionDate = aws.Time(s.Deletes)
	return out, nil
}

func restoreSecret(c *service.Call, in *secretsmanager.RestoreSecretInput) (*secretsmanager.RestoreSecretOutput, *wire.Error) {
	s, e := request{action: "RestoreSecret", id: aws.ToString(in.SecretId)}.secret(c)
	if e != nil {
		return nil, e
	}
	s.Deleted, s.Deletes = time.Time{}, time.Time{}
	return &secretsmanager.RestoreSecretOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}, nil
}

// listed is how lists and descriptions show a secret.
func listed(s *store.Secret) types.SecretListEntry {
	entry := types.SecretListEntry{
		ARN: aws.String(s.ARN().String()), Name: &s.Name, CreatedDate: &s.Created, LastChangedDate: &s.Changed,
		LastAccessedDate: s.Accessed.Time(), Tags: tagList(s.Tags),
	}
	if s.Description != "" {
		entry.Description = &s.Description
	}
	if s.Key != "" {
		entry.KmsKeyId = &s.Key
	}
	if !s.Deleted.IsZero() {
		entry.DeletedDate = &s.Deleted
	}
	for id, v := range s.Versions {
		if len(v.Stages) > 0 {
			if entry.SecretVersionsToStages == nil {
				entry.SecretVersionsToStages = map[string][]string{}
			}
			entry.SecretVersionsToStages[id] = v.Stages
		}
	}
	return entry
}

func tagMap(list []types.Tag) map[string]string {
	return service.TagMap(list, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

func tagList(tags store.Tags) []types.Tag {
	if len(tags) == 0 {
		return nil
	}
	return service.TagList(tags, func(key, value *string) types.Tag { return types.Tag{Key: key, Value: value} })
}

func checkTags(c *service.Call, list []types.Tag, have store.Tags) *wire.Error {
	tags := tagMap(list)
	for key := range tags {
		if store.ReservedTag(key) {
			return c.Errorf("InvalidParameterException", "Tag keys that begin with aws: are reserved for system use.")
		}
	}
	if len(have.With(tags)) > store.MaxTags {
		return c.Errorf("InvalidParameterException", "A secret can have at most %d tags.", store.MaxTags)
	}
	return nil
}

func tagResource(c *service.Call, in *secretsmanager.TagResourceInput) (*secretsmanager.TagResourceOutput, *wire.Error) {
	tags := tagMap(in.Tags)
	s, e := request{action: "TagResource", id: aws.ToString(in.SecretId), tags: tags}.living(c)
	if e != nil {
		return nil, e
	}
	if e := checkTags(c, in.Tags, s.Tags); e != nil {
		return nil, e
	}
	s.Tags = s.Tags.With(tags)
	return nil, nil
}

func untagResource(c *service.Call, in *secretsmanager.UntagResourceInput) (*secretsmanager.UntagResourceOutput, *wire.Error) {
	s, e := request{action: "UntagResource", id: aws.ToString(in.SecretId), tagKeys: in.TagKeys}.living(c)
	if e != nil {
		return nil, e
	}
	s.Tags = s.Tags.Without(in.TagKeys)
	return nil, nil
}
