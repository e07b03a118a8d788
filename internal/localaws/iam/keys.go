package iam

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerKeys(s *service.Service) {
	service.Register(s, "CreateAccessKey", writer(orCaller(func(in *iam.CreateAccessKeyInput) *string { return in.UserName }), "CreateAccessKey", createAccessKey))
	service.Register(s, "ListAccessKeys", reader(orCaller(func(in *iam.ListAccessKeysInput) *string { return in.UserName }), "ListAccessKeys", listAccessKeys))
	service.Register(s, "UpdateAccessKey", writer(orCaller(func(in *iam.UpdateAccessKeyInput) *string { return in.UserName }), "UpdateAccessKey", updateAccessKey))
	service.Register(s, "DeleteAccessKey", writer(orCaller(func(in *iam.DeleteAccessKeyInput) *string { return in.UserName }), "DeleteAccessKey", deleteAccessKey))
	service.Register(s, "GetAccessKeyLastUsed", reader(lastUsedResource, "GetAccessKeyLastUsed", getAccessKeyLastUsed))
}

// callingUser is the user a key operation is about.
func callingUser(c *service.Call, name *string) (*store.User, *wire.Error) {
	n, e := userName(c, name)
	if e != nil {
		return nil, e
	}
	return findUser(c, n)
}

func createAccessKey(c *service.Call, in *iam.CreateAccessKeyInput) (*iam.CreateAccessKeyOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	if limit := quotaAccessKeysPerUser.of(c); len(user.AccessKeys) >= limit {
		return nil, limitExceeded(c, "AccessKeysPerUser", limit)
	}
	ids := c.World.IDs()
	key := &store.AccessKey{
		ID: ids.AccessKey(store.PrefixAccessKey, c.Account), Secret: ids.Secret(),
		Account: c.Account, User: user.ID, Active: true, Created: c.Now,
	}
	c.World.AccessKeys[key.ID] = store.NewVersioned(c.Now, key)
	c.Own().IAM.User(user.Name).Edit(c.Now, func(u *store.User) { u.AccessKeys = append(u.AccessKeys, key.ID) })
	return &iam.CreateAccessKeyOutput{AccessKey: &types.AccessKey{
		AccessKeyId: aws.String(key.ID), SecretAccessKey: aws.String(key.Secret), CreateDate: at(key.Created),
		Status: types.StatusTypeActive, UserName: aws.String(user.Name),
	}}, nil
}

func listAccessKeys(c *service.Call, in *iam.ListAccessKeysInput) (*iam.ListAccessKeysOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	p, e := page(c, in.Marker, in.MaxItems, slices.Clone(user.AccessKeys), func(id string) string { return id })
	if e != nil {
		return nil, e
	}
	out := &iam.ListAccessKeysOutput{AccessKeyMetadata: []types.AccessKeyMetadata{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, id := range p.items {
		key := c.World.AccessKeys[id].Latest()
		if key == nil {
			continue
		}
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, types.AccessKeyMetadata{
			AccessKeyId: aws.String(id), CreateDate: at(key.Created), Status: status(key), UserName: aws.String(user.Name),
		})
	}
	return out, nil
}

func status(key *store.AccessKey) types.StatusType {
	if key.Active {
		return types.StatusTypeActive
	}
	return types.StatusTypeInactive
}

// findKey is a key of the user.
func findKey(c *service.Call, user *store.User, id *string) (*store.Versioned[store.AccessKey], *wire.Error) {
	v := c.World.AccessKeys[aws.ToString(id)]
	if v.Latest() == nil || !slices.Contains(user.AccessKeys, aws.ToString(id)) {
		return nil, noSuchEntity(c, "The Access Key with id %s cannot be found.", aws.ToString(id))
	}
	return v, nil
}

func updateAccessKey(c *service.Call, in *iam.UpdateAccessKeyInput) (*iam.UpdateAccessKeyOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	key, e := findKey(c, user, in.AccessKeyId)
	if e != nil {
		return nil, e
	}
	switch in.Status {
	case types.StatusTypeActive, types.StatusTypeInactive:
	case types.StatusTypeExpired:
		return nil, c.Errorf("ValidationError", "Value 'Expired' at 'status' cannot be set")
	}
	key.Edit(c.Now, func(k *store.AccessKey) { k.Active = in.Status == types.StatusTypeActive })
	return nil, nil
}

func deleteAccessKey(c *service.Call, in *iam.DeleteAccessKeyInput) (*iam.DeleteAccessKeyOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	key, e := findKey(c, user, in.AccessKeyId)
	if e != nil {
		return nil, e
	}
	key.Put(c.Now, nil)
	c.Own().IAM.User(user.Name).Edit(c.Now, func(u *store.User) {
		u.AccessKeys = slices.DeleteFunc(u.AccessKeys, func(id string) bool { return id == *in.AccessKeyId })
	})
	return nil, nil
}

// lastUsedResource is the user whose key it is; AWS checks the permission on it.
func lastUsedResource(c *service.Call, in *iam.GetAccessKeyLastUsedInput) string {
	if user := keyOwner(c, in.AccessKeyId); user != nil {
		return user.UserARN(c.Account).String()
	}
	return "*"
}

// keyOwner is the user of the account who has the key, nil when there is none.
func keyOwner(c *service.Call, id *string) *store.User {
	key := c.World.AccessKeys[aws.ToString(id)].Latest()
	if key == nil || key.Account != c.Account {
		return nil
	}
	user, _ := c.World.UserByID(key.User, c.Now)
	return user
}

func getAccessKeyLastUsed(c *service.Call, in *iam.GetAccessKeyLastUsedInput) (*iam.GetAccessKeyLastUsedOutput, *wire.Error) {
	user := keyOwner(c, in.AccessKeyId)
	if user == nil {
		// AWS does not tell other accounts' keys from keys that do not exist.
		return nil, c.Errorf("AccessDenied", "User %s is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key %s",
			c.Caller.Principal.ARN, aws.ToString(in.AccessKeyId))
	}
	used := &types.AccessKeyLastUsed{Region: aws.String("N/A"), ServiceName: aws.String("N/A")}
	if use, ok := c.World.LastUse(*in.AccessKeyId); ok {
		used = &types.AccessKeyLastUsed{LastUsedDate: at(use.At), Region: aws.String(use.Region), ServiceName: aws.String(use.Service)}
	}
	return &iam.GetAccessKeyLastUsedOutput{UserName: aws.String(user.Name), AccessKeyLastUsed: used}, nil
}
