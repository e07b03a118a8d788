package iam

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// kind is what can own policies: roles, users and groups work alike. Nothing
// writes to the three below.
type kind struct {
	name     string // "role"
	title    string // "Role"
	size     quota  // of all inline policies together
	attached quota
}

var (
	roles  = kind{"role", "Role", quotaRolePolicySize, quotaAttachedPerRole}
	users  = kind{"user", "User", quotaUserPolicySize, quotaAttachedPerUser}
	groups = kind{"group", "Group", quotaGroupPolicySize, quotaAttachedPerGroup}
)

// owner is a role, user or group that exists.
type owner struct {
	*store.Entity
	kind kind
	edit func(at time.Time, change func(*store.Entity))
}

// find looks an entity up by name.
func (k kind) find(c *service.Call, name string) (*owner, *wire.Error) {
	own := &c.Own().IAM
	o := &owner{kind: k}
	switch k.name {
	case "role":
		v := own.Role(name)
		if r := v.Latest(); r != nil {
			o.Entity = &r.Entity
			o.edit = func(at time.Time, change func(*store.Entity)) { v.Edit(at, func(r *store.Role) { change(&r.Entity) }) }
		}
	case "user":
		v := own.User(name)
		if u := v.Latest(); u != nil {
			o.Entity = &u.Entity
			o.edit = func(at time.Time, change func(*store.Entity)) { v.Edit(at, func(u *store.User) { change(&u.Entity) }) }
		}
	case "group":
		v := own.Group(name)
		if g := v.Latest(); g != nil {
			o.Entity = &g.Entity
			o.edit = func(at time.Time, change func(*store.Entity)) { v.Edit(at, func(g *store.Group) { change(&g.Entity) }) }
		}
	}
	if o.Entity == nil {
		return nil, noSuchEntity(c, "The %s with name %s cannot be found.", k.name, name)
	}
	return o, nil
}

// arn is the ARN of the entity called name, with its path when it exists.
func (k kind) arn(c *service.Call, name string) arn.ARN {
	path := "/"
	if o, e := k.find(c, name); e == nil {
		path, name = o.Path, o.Name
	}
	return arn.IAM(store.Partition, c.Account, k.name, path, name)
}

// renaming is what giving an entity another name or path asks for: "permission
// on both the source object and the target object" (API reference, UpdateUser).
func (k kind) renaming(c *service.Call, action string, name, newName, newPath *string) []gate.Access {
	from := k.arn(c, aws.ToString(name))
	to := arn.IAM(store.Partition, c.Account, k.name, from.Path(), from.Name())
	if newName != nil {
		to = arn.IAM(store.Partition, c.Account, k.name, to.Path(), *newName)
	}
	if newPath != nil {
		to = arn.IAM(store.Partition, c.Account, k.name, pathOf(newPath), to.Name())
	}
	source := onRecord(c, action, from.String())
	if to == from {
		return []gate.Access{source}
	}
	target := source
	target.Resource = to.String()
	return []gate.Access{source, target}
}

func (o *owner) arn(c *service.Call) arn.ARN {
	return arn.IAM(store.Partition, c.Account, o.kind.name, o.Path, o.Name)
}

// on is the resource of operations on one entity.
func on[I any](k kind, name func(*I) *string) func(*service.Call, *I) string {
	return func(c *service.Call, in *I) string { return k.arn(c, aws.ToString(name(in))).String() }
}

// names are the entities of one kind that exist, by lower-case name.
func live[T any](records map[string]*store.Versioned[T]) []*T {
	var all []*T
	for _, v := range records {
		if record := v.Latest(); record != nil {
			all = append(all, record)
		}
	}
	return all
}

// underPath keeps the records whose path begins with prefix.
func underPath[T any](records []*T, prefix *string, path func(*T) string) []*T {
	if aws.ToString(prefix) == "" {
		return records
	}
	var kept []*T
	for _, r := range records {
		if strings.HasPrefix(path(r), aws.ToString(prefix)) {
			kept = append(kept, r)
		}
	}
	return kept
}

// put stores the first or a new version of a record.
func put[T any](records map[string]*store.Versioned[T], name string, at time.Time, record *T) {
	key := strings.ToLower(name)
	if v := records[key]; v != nil {
		v.Put(at, record)
		return
	}
	records[key] = store.NewVersioned(at, record)
}

func boundary(ref string) *types.AttachedPermissionsBoundary {
	if ref == "" {
		return nil
	}
	return &types.AttachedPermissionsBoundary{
		PermissionsBoundaryArn:  aws.String(ref),
		PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
	}
}

// boundaryContext is iam:PermissionsBoundary, the boundary that the request is
// about or that its entity has (IAM user guide, "IAM and AWS STS condition
// context keys").
func boundaryContext(ref string) map[string][]string {
	if ref == "" {
		return nil
	}
	return map[string][]string{"iam:PermissionsBoundary": {ref}}
}
