package secretsmanager

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Staging labels that Secrets Manager moves itself.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// addVersion stores a value and gives it its labels. The same value with the same
// token again changes nothing.
func addVersion(c *service.Call, s *store.Secret, value *payload, stages []string) (*store.SecretVersion, *wire.Error) {
	v, e := newVersion(c, s, s, value)
	if e != nil {
		return nil, e
	}
	attach(c, s, v, stages)
	return v, nil
}

// newVersion encrypts a value under the key of under, which is s or what s is to
// become. It gives the version that is there when it has the same value.
func newVersion(c *service.Call, s, under *store.Secret, value *payload) (*store.SecretVersion, *wire.Error) {
	if old := s.Versions[value.token]; old != nil {
		if value.is(old) {
			return old, nil
		}
		return nil, c.Errorf("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", value.token, s.ARN())
	}
	envelope, e := seal(c, under, value.token, value.data)
	if e != nil {
		return nil, e
	}
	return &store.SecretVersion{ID: value.token, Created: c.Now, Binary: value.binary, Envelope: envelope, Digest: value.digest()}, nil
}

// attach adds a version with its labels, unless it is there already.
func attach(c *service.Call, s *store.Secret, v *store.SecretVersion, stages []string) {
	if s.Versions[v.ID] == v {
		return
	}
	if len(s.Versions) == 0 && !slices.Contains(stages, current) {
		stages = append(slices.Clone(stages), current) // "the first version … automatically" gets AWSCURRENT
	}
	if s.Versions == nil {
		s.Versions = map[string]*store.SecretVersion{}
	}
	s.Versions[v.ID] = v
	for _, stage := range stages {
		move(s, stage, v)
	}
	prune(s)
	s.Changed = c.Now
}

// move moves a label to a version. The version that loses AWSCURRENT gets AWSPREVIOUS.
func move(s *store.Secret, stage string, to *store.SecretVersion) {
	from := s.Staged(stage)
	if from == to {
		return
	}
	if from != nil {
		unlabel(from, stage)
		if stage == current {
			move(s, previous, from)
		}
	}
	to.Stages = append(slices.Clone(to.Stages), stage)
}

func unlabel(v *store.SecretVersion, stage string) {
	v.Stages = slices.DeleteFunc(slices.Clone(v.Stages), func(have string) bool { return have == stage })
}

// prune removes the oldest versions without a label when there are too many.
func prune(s *store.Secret) {
	excess := len(s.Versions) - keepVersions
	if excess <= 0 {
		return
	}
	for _, v := range byAge(s) {
		if excess > 0 && len(v.Stages) == 0 {
			delete(s.Versions, v.ID)
			excess--
		}
	}
}

// byAge lists the versions, oldest first.
func byAge(s *store.Secret) []*store.SecretVersion {
	return slices.SortedFunc(maps.Values(s.Versions), func(a, b *store.SecretVersion) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
}

func putSecretValue(c *service.Call, in *secretsmanager.PutSecretValueInput) (*secretsmanager.PutSecretValueOutput, *wire.Error) {
	s, e := request{action: "PutSecretValue", id: aws.ToString(in.SecretId)}.living(c)
	if e != nil {
		return nil, e
	}
	value, e := newPayload(c, in.SecretString, in.SecretBinary, in.ClientRequestToken)
	if e != nil {
		return nil, e
	}
	if value == nil {
		return nil, c.Errorf("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	}
	stages := in.VersionStages
	if len(stages) == 0 {
		stages = []string{current}
	}
	v, e := addVersion(c, s, value, stages)
	if e != nil {
		return nil, e
	}
	return &secretsmanager.PutSecretValueOutput{
		ARN: aws.String(s.ARN().String()), Name: &s.Name, VersionId: &v.ID, VersionStages: v.Stages,
	}, nil
}

func getSecretValue(c *service.Call, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, *wire.Error) {
	r := request{action: "GetSecretValue", id: aws.ToString(in.SecretId), keys: map[string][]string{}}
	if in.VersionId != nil {
		r.keys["secretsmanager:VersionId"] = []string{*in.VersionId}
	}
	if in.VersionStage != nil {
		r.keys["secretsmanager:VersionStage"] = []string{*in.VersionStage}
	}
	s, e := r.living(c)
	if e != nil {
		return nil, e
	}
	v, e := version(c, s, in.VersionId, in.VersionStage)
	if e != nil {
		return nil, e
	}
	data, e := open(c, s, v)
	if e != nil {
		return nil, e
	}
	s.Accessed.Set(c.Now)
	v.Accessed.Set(c.Now)
	out := &secretsmanager.GetSecretValueOutput{
		ARN: aws.String(s.ARN().String()), Name: &s.Name, VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created,
	}
	if v.Binary {
		out.SecretBinary = data
	} else {
		out.SecretString = aws.String(string(data))
	}
	return out, nil
}

// version is the version that a request is about: the one with the id, the one
// with the label, or the current one.
func version(c *service.Call, s *store.Secret, id, stage *string) (*store.SecretVersion, *wire.Error) {
	if id != nil {
		v := s.Versions[*id]
		switch {
		case v == nil:
			return nil, c.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", *id)
		case stage != nil && !slices.Contains(v.Stages, *stage):
			return nil, c.Errorf("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
		}
		return v, nil
	}
	wanted := current
	if stage != nil {
		wanted = *stage
	}
	if v := s.Staged(wanted); v != nil {
		return v, nil
	}
	return nil, c.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", wanted)
}

func updateSecretVersionStage(c *service.Call, in *secretsmanager.UpdateSecretVersionStageInput) (*secretsmanager.UpdateSecretVersionStageOutput, *wire.Error) {
	stage := aws.ToString(in.VersionStage)
	s, e := request{
		action: "UpdateSecretVersionStage", id: aws.ToString(in.SecretId),
		keys: map[string][]string{"secretsmanager:VersionStage": {stage}},
	}.living(c)
	if e != nil {
		return nil, e
	}
	from := s.Staged(stage)
	if e := mayMove(c, stage, from, in); e != nil {
		return nil, e
	}
	if in.MoveToVersionId != nil {
		to := s.Versions[*in.MoveToVersionId]
		if to == nil {
			return nil, c.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", *in.MoveToVersionId)
		}
		if to != from && len(to.Stages) >= maxStages {
			return nil, c.Errorf("LimitExceededException", "A version can have at most %d staging labels.", maxStages)
		}
		move(s, stage, to)
	} else if from != nil {
		unlabel(from, stage)
	}
	s.Changed = c.Now
	return &secretsmanager.UpdateSecretVersionStageOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name}, nil
}

// mayMove checks that the caller knows where the label is: RemoveFromVersionId
// has to name the version that has it, or none when none has it. That makes
// moving a label an atomic compare-and-swap.
func mayMove(c *service.Call, stage string, from *store.SecretVersion, in *secretsmanager.UpdateSecretVersionStageInput) *wire.Error {
	switch {
	case in.MoveToVersionId == nil && in.RemoveFromVersionId == nil:
		return c.Errorf("InvalidParameterException", "You must provide MoveToVersionId, RemoveFromVersionId or both.")
	case in.RemoveFromVersionId == nil && from != nil && from.ID != *in.MoveToVersionId:
		return c.Errorf("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", stage, from.ID)
	case in.RemoveFromVersionId != nil && (from == nil || from.ID != *in.RemoveFromVersionId):
		return c.Errorf("InvalidParameterException", "When you move staging label %s, if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label %s.", stage, stage)
	case in.MoveToVersionId == nil && stage == current:
		return c.Errorf("InvalidParameterException", "You can only move staging label %s to a different secret version. It can't be completely removed.", stage)
	}
	return nil
}

func listSecretVersionIDs(c *service.Call, in *secretsmanager.ListSecretVersionIdsInput) (*secretsmanager.ListSecretVersionIdsOutput, *wire.Error) {
	s, e := request{action: "ListSecretVersionIds", id: aws.ToString(in.SecretId)}.secret(c)
	if e != nil {
		return nil, e
	}
	var entries []types.SecretVersionsListEntry
	for _, v := range slices.Backward(byAge(s)) {
		if len(v.Stages) == 0 && !aws.ToBool(in.IncludeDeprecated) {
			continue
		}
		key := v.Envelope.Key
		if s.Key == "" {
			key = "DefaultEncryptionKey"
		}
		entries = append(entries, types.SecretVersionsListEntry{
			VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created, LastAccessedDate: v.Accessed.Time(), KmsKeyIds: []string{key},
		})
	}
	shown, next, e := page(c, entries, func(v types.SecretVersionsListEntry) string { return *v.VersionId }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &secretsmanager.ListSecretVersionIdsOutput{ARN: aws.String(s.ARN().String()), Name: &s.Name, Versions: shown, NextToken: next}, nil
}
