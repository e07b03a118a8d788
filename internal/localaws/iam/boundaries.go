package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// checkBoundary refuses a boundary that is no managed policy of the account or AWS's.
func checkBoundary(c *service.Call, ref string) *wire.Error {
	if ref == "" {
		return nil
	}
	if !arn.Is(ref) {
		return c.Errorf("ValidationError", "Value %s failed to satisfy constraint: Member must be a valid ARN", ref)
	}
	if _, e := findManaged(c, ref); e != nil {
		return noSuchEntity(c, "Scope ARN: %s does not exist or is not attachable.", ref)
	}
	return nil
}

// bounded makes the boundary of the entity a condition key of an operation that
// changes the entity's policies. Operations on its trust policy, its settings or
// its life do not have the key (Service Authorization Reference, IAM).
func bounded[I, O any](k kind, name func(*I) *string, op service.Op[I, O]) service.Op[I, O] {
	plain := op.Access
	op.Access = func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
		accesses, e := plain(c, in)
		if o, missing := k.find(c, aws.ToString(name(in))); missing == nil {
			for i := range accesses {
				accesses[i].Context = withBoundary(accesses[i].Context, o.Boundary)
			}
		}
		return accesses, e
	}
	return op
}

func withBoundary(context map[string][]string, ref string) map[string][]string {
	if ref == "" {
		return context
	}
	if context == nil {
		return boundaryContext(ref)
	}
	if context["iam:PermissionsBoundary"] == nil {
		context["iam:PermissionsBoundary"] = []string{ref}
	}
	return context
}

func putBoundary[I, O any](k kind, args func(*I) attachment) service.Op[I, O] {
	name := func(in *I) *string { return args(in).owner }
	op := writer(on(k, name), "Put"+k.title+"PermissionsBoundary", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.modifiable(c, a.owner)
		if e != nil {
			return nil, e
		}
		if e := checkBoundary(c, aws.ToString(a.policy)); e != nil {
			return nil, e
		}
		o.edit(c.Now, func(e *store.Entity) { e.Boundary = aws.ToString(a.policy) })
		return nil, nil
	})
	plain := op.Access
	op.Access = func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
		accesses, e := plain(c, in)
		for i := range accesses {
			accesses[i].Context = boundaryContext(aws.ToString(args(in).policy))
		}
		return accesses, e
	}
	return bounded(k, name, op)
}

func deleteBoundary[I, O any](k kind, name func(*I) *string) service.Op[I, O] {
	return bounded(k, name, writer(on(k, name), "Delete"+k.title+"PermissionsBoundary", func(c *service.Call, in *I) (*O, *wire.Error) {
		o, e := k.modifiable(c, name(in))
		if e != nil {
			return nil, e
		}
		if o.Boundary == "" {
			return nil, noSuchEntity(c, "The %s %s does not have a permissions boundary.", k.name, o.Name)
		}
		o.edit(c.Now, func(e *store.Entity) { e.Boundary = "" })
		return nil, nil
	}))
}

func registerBoundaries(s *service.Service) {
	service.Register(s, "PutRolePermissionsBoundary", putBoundary[iam.PutRolePermissionsBoundaryInput, iam.PutRolePermissionsBoundaryOutput](roles,
		func(in *iam.PutRolePermissionsBoundaryInput) attachment {
			return attachment{in.RoleName, in.PermissionsBoundary}
		}))
	service.Register(s, "DeleteRolePermissionsBoundary", deleteBoundary[iam.DeleteRolePermissionsBoundaryInput, iam.DeleteRolePermissionsBoundaryOutput](roles,
		func(in *iam.DeleteRolePermissionsBoundaryInput) *string { return in.RoleName }))
	service.Register(s, "PutUserPermissionsBoundary", putBoundary[iam.PutUserPermissionsBoundaryInput, iam.PutUserPermissionsBoundaryOutput](users,
		func(in *iam.PutUserPermissionsBoundaryInput) attachment {
			return attachment{in.UserName, in.PermissionsBoundary}
		}))
	service.Register(s, "DeleteUserPermissionsBoundary", deleteBoundary[iam.DeleteUserPermissionsBoundaryInput, iam.DeleteUserPermissionsBoundaryOutput](users,
		func(in *iam.DeleteUserPermissionsBoundaryInput) *string { return in.UserName }))
}
