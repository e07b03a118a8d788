package secretsmanager

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func listSecrets(c *service.Call, in *secretsmanager.ListSecretsInput) (*secretsmanager.ListSecretsOutput, *wire.Error) {
	if e := c.Require(gate.Access{Action: "secretsmanager:ListSecrets", Resource: "*", Account: c.Account}); e != nil {
		return nil, e
	}
	found := filtered(c, in.Filters, aws.ToBool(in.IncludePlannedDeletion))
	sortSecrets(found, in.SortBy, in.SortOrder)
	shown, next, e := page(c, found, func(s *store.Secret) string { return s.Name }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	out := &secretsmanager.ListSecretsOutput{SecretList: []types.SecretListEntry{}, NextToken: next}
	for _, s := range shown {
		out.SecretList = append(out.SecretList, listed(s))
	}
	return out, nil
}

// filtered are the secrets of the caller's account that pass all filters.
func filtered(c *service.Call, filters []types.Filter, deleted bool) []*store.Secret {
	var found []*store.Secret
	for _, s := range *c.Own().Secrets.In(c.Region) {
		if s.Gone(c.Now) || !s.Deleted.IsZero() && !deleted {
			continue
		}
		if !slices.ContainsFunc(filters, func(f types.Filter) bool { return !passes(s, f) }) {
			found = append(found, s)
		}
	}
	return found
}

// passes reports whether one of the filter's values fits. Values match
// prefixes; "!" before a value negates it.
func passes(s *store.Secret, f types.Filter) bool {
	return slices.ContainsFunc(f.Values, func(value string) bool {
		wanted, negated := strings.CutPrefix(value, "!")
		return fits(s, f.Key, wanted) != negated
	})
}

func fits(s *store.Secret, key types.FilterNameStringType, value string) bool {
	switch key {
	case types.FilterNameStringTypeName:
		return strings.HasPrefix(s.Name, value)
	case types.FilterNameStringTypeDescription:
		return wordPrefix(s.Description, value)
	case types.FilterNameStringTypeTagKey:
		return anyPrefix(maps.Keys(s.Tags), value)
	case types.FilterNameStringTypeTagValue:
		return anyPrefix(maps.Values(s.Tags), value)
	case types.FilterNameStringTypeAll:
		return fitsAll(s, value)
	case types.FilterNameStringTypePrimaryRegion, types.FilterNameStringTypeOwningService:
		return false // there are neither replicas nor secrets of services
	}
	return false
}

func anyPrefix(all func(yield func(string) bool), prefix string) bool {
	for text := range all {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// wordPrefix reports whether text, or a word in it, begins with prefix in any case.
func wordPrefix(text, prefix string) bool {
	text, prefix = strings.ToLower(text), strings.ToLower(prefix)
	return strings.HasPrefix(text, prefix) || anyPrefix(slices.Values(words(text)), prefix)
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" /_+=.@-", r) })
}

// fitsAll breaks the value into words and looks for each in all attributes.
func fitsAll(s *store.Secret, value string) bool {
	texts := []string{s.Name, s.Description}
	texts = slices.AppendSeq(texts, maps.Keys(s.Tags))
	texts = slices.AppendSeq(texts, maps.Values(s.Tags))
	for _, word := range words(value) {
		if !slices.ContainsFunc(texts, func(text string) bool { return wordPrefix(text, word) }) {
			return false
		}
	}
	return true
}

// sortSecrets sorts by creation, newest first, unless the caller wants it otherwise.
func sortSecrets(list []*store.Secret, by types.SortByType, order types.SortOrderType) {
	slices.SortFunc(list, func(a, b *store.Secret) int {
		var n int
		switch by {
		case types.SortByTypeName:
			n = cmp.Compare(a.Name, b.Name)
		case types.SortByTypeLastChangedDate:
			n = a.Changed.Compare(b.Changed)
		case types.SortByTypeLastAccessedDate:
			n = aws.ToTime(a.Accessed.Time()).Compare(aws.ToTime(b.Accessed.Time()))
		default:
			n = a.Created.Compare(b.Created)
		}
		if order != types.SortOrderTypeAsc {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(a.Name, b.Name))
	})
}

// page cuts one page out of all, in the order they have.
func page[T any](c *service.Call, all []T, name func(T) string, token *string, limit *int32) (shown []T, next *string, e *wire.Error) {
	shown, next, ok := service.OrderedPage(all, name, token, limit, 100)
	if !ok {
		return nil, nil, c.Errorf("InvalidNextTokenException", "The NextToken value is invalid.")
	}
	return shown, next, nil
}

// batchGetSecretValue reads several secrets. Those that the caller may not
// read, or that have no value, are errors of their own in the answer.
func batchGetSecretValue(c *service.Call, in *secretsmanager.BatchGetSecretValueInput) (*secretsmanager.BatchGetSecretValueOutput, *wire.Error) {
	if e := c.Require(gate.Access{Action: "secretsmanager:BatchGetSecretValue", Resource: "*", Account: c.Account}); e != nil {
		return nil, e
	}
	if (len(in.SecretIdList) > 0) == (len(in.Filters) > 0) {
		return nil, c.Errorf("InvalidParameterException", "You must provide either SecretIdList or Filters, but not both.")
	}
	ids, next, e := batch(c, in)
	if e != nil {
		return nil, e
	}
	out := &secretsmanager.BatchGetSecretValueOutput{SecretValues: []types.SecretValueEntry{}, Errors: []types.APIErrorType{}, NextToken: next}
	for _, id := range ids {
		v, e := getSecretValue(c, &secretsmanager.GetSecretValueInput{SecretId: &id})
		if e != nil {
			out.Errors = append(out.Errors, types.APIErrorType{ErrorCode: &e.Code, Message: &e.Message, SecretId: &id})
			continue
		}
		out.SecretValues = append(out.SecretValues, types.SecretValueEntry{
			ARN: v.ARN, Name: v.Name, VersionId: v.VersionId, VersionStages: v.VersionStages, CreatedDate: v.CreatedDate,
			SecretString: v.SecretString, SecretBinary: v.SecretBinary,
		})
	}
	return out, nil
}

// batch are the ids of one batch: as listed, or as the filters find them, which
// takes the permission to list.
func batch(c *service.Call, in *secretsmanager.BatchGetSecretValueInput) (ids []string, next *string, e *wire.Error) {
	if len(in.SecretIdList) > 0 {
		return in.SecretIdList, nil, nil
	}
	if e := c.Require(gate.Access{Action: "secretsmanager:ListSecrets", Resource: "*", Account: c.Account}); e != nil {
		return nil, nil, e
	}
	found := filtered(c, in.Filters, false)
	sortSecrets(found, types.SortByTypeName, types.SortOrderTypeAsc)
	limit := in.MaxResults
	if limit == nil {
		limit = aws.Int32(20)
	}
	shown, next, e := page(c, found, func(s *store.Secret) string { return s.Name }, in.NextToken, limit)
	for _, s := range shown {
		ids = append(ids, s.ARN().String())
	}
	return ids, next, e
}
