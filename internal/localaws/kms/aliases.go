package kms

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxAliases is how many aliases one key can have (KMS quotas).
const maxAliases = 50

// aliasesOf are the names of a key's aliases, sorted.
func aliasesOf(c *service.Call, key *store.KMSKey) []string {
	var names []string
	for name, alias := range c.World.Accounts[key.Account].KMS.In(key.Region).Aliases {
		if alias.Key == key.ID {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func createAlias(c *service.Call, in *kms.CreateAliasInput) (*kms.CreateAliasOutput, *wire.Error) {
	name := aws.ToString(in.AliasName)
	key, e := aliasTarget(c, "kms:CreateAlias", name, aws.ToString(in.TargetKeyId))
	if e != nil {
		return nil, e
	}
	records := c.Own().KMS.Make(c.Region)
	if records.Alias(name, c.Now) != nil {
		return nil, c.Errorf("AlreadyExistsException", "An alias with the name %s already exists", store.AliasARN(c.Account, c.Region, name))
	}
	if len(aliasesOf(c, key)) >= maxAliases {
		return nil, c.Errorf("LimitExceededException", "A key can have at most %d aliases", maxAliases)
	}
	records.SetAlias(name, key.ID, c.Now)
	return nil, nil
}

// aliasTarget checks an alias's name and finds the key it is to mean. The
// caller needs the permission on the alias, by IAM policies, and on the key.
func aliasTarget(c *service.Call, action, name, ref string) (*store.KMSKey, *wire.Error) {
	if e := ownAlias(c, name); e != nil {
		return nil, e
	}
	if strings.HasPrefix(ref, "alias/") {
		return nil, c.Errorf("ValidationException", "Aliases must refer to keys. Not aliases")
	}
	if e := account(c, action, store.AliasARN(c.Account, c.Region, name).String()); e != nil {
		return nil, e
	}
	return alive(c, request{action: action, ref: ref})
}

// ownAlias refuses names that customers cannot give.
func ownAlias(c *service.Call, name string) *wire.Error {
	switch {
	case !strings.HasPrefix(name, "alias/") || name == "alias/":
		return c.Errorf("ValidationException", "Invalid identifier")
	case strings.HasPrefix(name, "alias/aws/"):
		return c.Errorf("NotAuthorizedException", "")
	}
	return nil
}

func updateAlias(c *service.Call, in *kms.UpdateAliasInput) (*kms.UpdateAliasOutput, *wire.Error) {
	name := aws.ToString(in.AliasName)
	key, e := aliasTarget(c, "kms:UpdateAlias", name, aws.ToString(in.TargetKeyId))
	if e != nil {
		return nil, e
	}
	records, e := existing(c, "kms:UpdateAlias", name)
	if e != nil {
		return nil, e
	}
	records.SetAlias(name, key.ID, c.Now)
	return nil, nil
}

// existing makes sure that the caller may take an alias from the key it has.
func existing(c *service.Call, action, name string) (*store.KMS, *wire.Error) {
	records := c.Own().KMS.Make(c.Region)
	alias := records.Alias(name, c.Now)
	if alias == nil {
		return nil, c.Errorf("NotFoundException", "Alias %s is not found.", store.AliasARN(c.Account, c.Region, name))
	}
	_, e := use(c, request{action: action, ref: alias.Key})
	return records, e
}

func deleteAlias(c *service.Call, in *kms.DeleteAliasInput) (*kms.DeleteAliasOutput, *wire.Error) {
	name := aws.ToString(in.AliasName)
	if e := ownAlias(c, name); e != nil {
		return nil, e
	}
	if e := account(c, "kms:DeleteAlias", store.AliasARN(c.Account, c.Region, name).String()); e != nil {
		return nil, e
	}
	records, e := existing(c, "kms:DeleteAlias", name)
	if e != nil {
		return nil, e
	}
	delete(records.Aliases, name)
	return nil, nil
}

func listAliases(c *service.Call, in *kms.ListAliasesInput) (*kms.ListAliasesOutput, *wire.Error) {
	if e := account(c, "kms:ListAliases", "*"); e != nil {
		return nil, e
	}
	records := c.Own().KMS.In(c.Region)
	names := slices.Sorted(maps.Keys(records.Aliases))
	only := ""
	if in.KeyId != nil {
		t, e := resolve(c, c.Account, *in.KeyId, false)
		if e != nil {
			return nil, e
		}
		only = t.arn.Name()
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		alias := records.Alias(name, c.Now)
		return alias == nil || only != "" && alias.Key != only
	})
	shown, next, e := page(c, names, func(name string) string { return name }, in.Marker, in.Limit, 50)
	if e != nil {
		return nil, e
	}
	out := &kms.ListAliasesOutput{Aliases: []types.AliasListEntry{}, NextMarker: next, Truncated: next != nil}
	for _, name := range shown {
		alias := records.Aliases[name]
		out.Aliases = append(out.Aliases, types.AliasListEntry{
			AliasName: &alias.Name, AliasArn: aws.String(store.AliasARN(c.Account, c.Region, name).String()),
			TargetKeyId: &alias.Key, CreationDate: &alias.Created, LastUpdatedDate: &alias.Updated,
		})
	}
	return out, nil
}
