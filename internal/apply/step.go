package apply

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/plan"
)

// Waits between the attempts of one step double from first to longest, with jitter.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = 15 * time.Second
)

// retry does a step until it succeeds, fails for good, or the time is up.
func (r *run) retry(ctx context.Context, s *plan.Step) error {
	return r.again(ctx, func() error { return r.do(ctx, s) }, func(attempt int, err error) {
		r.event(Event{State: Waiting, Step: s.ID, Account: s.Account, Summary: s.Summary, Error: awserr.Text(err), Attempt: attempt})
	})
}

// again repeats f while AWS may accept it later, and tells waiting (when not
// nil) of each attempt that has to be repeated.
func (r *run) again(ctx context.Context, f func() error, waiting func(attempt int, err error)) error {
	wait, waited := firstWait, time.Duration(0)
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || !awserr.KindOf(err).Retry() {
			return err
		}
		if waited >= r.cfg.patience() {
			return fmt.Errorf("giving up after %d attempts in %s: %w", attempt, waited.Round(time.Second), err)
		}
		if waiting != nil {
			waiting(attempt, err)
		}
		pause := wait/2 + rand.N(wait/2+1)
		if err := r.cfg.sleep(ctx, pause); err != nil {
			return err
		}
		waited += pause
		wait = min(2*wait, longestWait)
	}
}

// do makes the calls of one step once.
func (r *run) do(ctx context.Context, s *plan.Step) error {
	cfg, err := r.cfg.Source.Config(ctx, s.Account, s.Region)
	if err != nil {
		return err
	}
	d := &doer{iam: iam.NewFromConfig(cfg), cfg: cfg, scope: r.plan.Scope, sleep: r.cfg.sleep}
	switch op := s.Op; {
	case op.Provider != nil:
		return d.provider(ctx, s.Verb, op.Provider)
	case op.Role != nil:
		return d.role(ctx, s.Verb, op.Role)
	case op.Inline != nil:
		return d.inline(ctx, s.Verb, op.Inline)
	case op.Detach != nil:
		return d.detach(ctx, op.Detach.Role, op.Detach.Policy)
	case op.Merge != nil:
		return d.merge(ctx, op.Merge)
	}
	return fmt.Errorf("step %s has nothing to do: the plan is not one of this version", s.ID)
}

// doer makes one step's calls in one account.
type doer struct {
	iam   *iam.Client
	cfg   aws.Config
	scope string
	sleep func(context.Context, time.Duration) error
}

// gone takes "there is none" as success: a deletion may be repeated.
func gone(err error) error {
	if awserr.KindOf(err) == awserr.NotFound {
		return nil
	}
	return err
}

func tagList(tags map[string]string) []types.Tag {
	var out []types.Tag
	for _, k := range sortedKeys(tags) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

// ours reports whether tags say that this run's scope owns a thing.
func (d *doer) ours(tags []types.Tag) bool {
	for _, t := range tags {
		if aws.ToString(t.Key) == compile.TagScope {
			return aws.ToString(t.Value) == d.scope
		}
	}
	return false
}

func (d *doer) provider(ctx context.Context, verb plan.Verb, op *plan.ProviderOp) error {
	switch verb {
	case plan.Delete:
		return d.deleteProvider(ctx, op)
	case plan.Create:
		_, err := d.iam.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: &op.URL, ClientIDList: op.ClientIDs, Tags: tagList(op.Tags)})
		if awserr.KindOf(err) == awserr.Exists {
			return d.providerThere(ctx, op, err)
		}
		return err
	}
	for _, id := range op.ClientIDs {
		if _, err := d.iam.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: &op.ARN, ClientID: &id}); err != nil {
			return err
		}
	}
	if len(op.Tags) == 0 {
		return nil
	}
	_, err := d.iam.TagOpenIDConnectProvider(ctx, &iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: &op.ARN, Tags: tagList(op.Tags)})
	return err
}

// providerThere settles a create that found the provider there: an earlier
// attempt of ours whose answer was lost, or somebody else's.
func (d *doer) providerThere(ctx context.Context, op *plan.ProviderOp, exists error) error {
	got, err := d.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &op.ARN})
	if awserr.KindOf(err) == awserr.NotFound {
		return awserr.As(awserr.NotYetVisible, err) // it exists, and is not seen everywhere yet
	}
	if err != nil {
		return err
	}
	if !d.ours(got.Tags) {
		return fmt.Errorf("somebody made OIDC provider %s since the plan; plan again: %w", op.URL, exists)
	}
	return nil
}

// deleteProvider makes sure that the provider is still ours and that no role
// of somebody else's trusts it since the plan.
func (d *doer) deleteProvider(ctx context.Context, op *plan.ProviderOp) error {
	got, err := d.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &op.ARN})
	if err != nil {
		return gone(err)
	}
	if !d.ours(got.Tags) {
		return fmt.Errorf("OIDC provider %s is not scope %s's any more; it is kept", op.URL, d.scope)
	}
	roles := iam.NewListRolesPaginator(d.iam, &iam.ListRolesInput{})
	for roles.HasMorePages() {
		page, err := roles.NextPage(ctx)
		if err != nil {
			return err
		}
		for i := range page.Roles {
			if err := d.lets(ctx, &page.Roles[i], op); err != nil {
				return err
			}
		}
	}
	_, err = d.iam.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: &op.ARN})
	return gone(err)
}

// lets is an error when role keeps op's provider from being deleted.
func (d *doer) lets(ctx context.Context, role *types.Role, op *plan.ProviderOp) error {
	trust, err := url.PathUnescape(aws.ToString(role.AssumeRolePolicyDocument))
	if err != nil || !strings.Contains(trust, op.ARN) {
		return nil
	}
	got, err := d.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: role.RoleName}) // ListRoles tells no tags, and late of deletions
	if err != nil {
		return gone(err)
	}
	if !d.ours(got.Role.Tags) {
		return fmt.Errorf("role %s of somebody else's trusts OIDC provider %s since the plan; it is kept, plan again", aws.ToString(role.RoleName), op.URL)
	}
	return nil
}

func (d *doer) role(ctx context.Context, verb plan.Verb, op *plan.RoleOp) error {
	switch verb {
	case plan.Delete:
		return d.deleteRole(ctx, op)
	case plan.Create:
		return d.createRole(ctx, op)
	}
	return d.updateRole(ctx, op)
}

func (d *doer) createRole(ctx context.Context, op *plan.RoleOp) error {
	in := &iam.CreateRoleInput{
		RoleName: &op.Name, Path: &op.Path, AssumeRolePolicyDocument: aws.String(string(op.Trust.JSON())),
		MaxSessionDuration: aws.Int32(int32(op.MaxSession)), Tags: tagList(op.Tags),
	}
	if op.Boundary != "" {
		in.PermissionsBoundary = &op.Boundary
	}
	if op.Description != "" {
		in.Description = &op.Description
	}
	_, err := d.iam.CreateRole(ctx, in)
	if awserr.KindOf(err) != awserr.Exists {
		return err
	}
	got, getErr := d.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &op.Name})
	if awserr.KindOf(getErr) == awserr.NotFound {
		return awserr.As(awserr.NotYetVisible, getErr) // it exists, and is not seen everywhere yet
	}
	if getErr != nil {
		return getErr
	}
	if !d.ours(got.Role.Tags) || aws.ToString(got.Role.Path) != op.Path {
		return fmt.Errorf("somebody made role %s since the plan; plan again: %w", op.Name, err)
	}
	return d.updateRole(ctx, op) // an earlier attempt of ours, whose answer was lost
}

// updateRole changes what op sets. The owner is checked once more, for tags may
// have changed since the plan.
func (d *doer) updateRole(ctx context.Context, op *plan.RoleOp) error {
	if op.Tags[compile.TagScope] == "" {
		got, err := d.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &op.Name})
		if err != nil {
			return err
		}
		if !d.ours(got.Role.Tags) {
			return fmt.Errorf("role %s is not scope %s's any more; plan again", op.Name, d.scope)
		}
	}
	if op.Trust != nil {
		if _, err := d.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &op.Name, PolicyDocument: aws.String(string(op.Trust.JSON()))}); err != nil {
			return err
		}
	}
	if op.MaxSession != 0 {
		if _, err := d.iam.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: &op.Name, MaxSessionDuration: aws.Int32(int32(op.MaxSession))}); err != nil {
			return err
		}
	}
	if err := d.boundary(ctx, op); err != nil {
		return err
	}
	if len(op.Tags) == 0 {
		return nil
	}
	_, err := d.iam.TagRole(ctx, &iam.TagRoleInput{RoleName: &op.Name, Tags: tagList(op.Tags)})
	return err
}

func (d *doer) boundary(ctx context.Context, op *plan.RoleOp) error {
	switch op.Boundary {
	case "":
		return nil
	case "-":
		_, err := d.iam.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &op.Name})
		return gone(err)
	}
	_, err := d.iam.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &op.Name, PermissionsBoundary: &op.Boundary})
	return err
}

// deleteRole makes sure that the role is still ours, empties and deletes it.
func (d *doer) deleteRole(ctx context.Context, op *plan.RoleOp) error {
	got, err := d.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &op.Name})
	if err != nil {
		return gone(err)
	}
	if !d.ours(got.Role.Tags) {
		return fmt.Errorf("role %s is not scope %s's any more; it is kept", op.Name, d.scope)
	}
	for _, name := range op.Inline {
		if _, err := d.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &op.Name, PolicyName: &name}); gone(err) != nil {
			return err
		}
	}
	for _, policyARN := range op.Attached {
		if err := d.detach(ctx, op.Name, policyARN); err != nil {
			return err
		}
	}
	_, err = d.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &op.Name})
	return gone(err)
}

func (d *doer) detach(ctx context.Context, role, policyARN string) error {
	_, err := d.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &role, PolicyArn: &policyARN})
	return gone(err)
}

func (d *doer) inline(ctx context.Context, verb plan.Verb, op *plan.InlineOp) error {
	switch {
	case op.Kind == "user" && verb == plan.Delete:
		_, err := d.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &op.Name, PolicyName: &op.PolicyName})
		return gone(err)
	case op.Kind == "user":
		_, err := d.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &op.Name, PolicyName: &op.PolicyName, PolicyDocument: aws.String(string(op.Document.JSON()))})
		return err
	case verb == plan.Delete:
		_, err := d.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &op.Name, PolicyName: &op.PolicyName})
		return gone(err)
	}
	_, err := d.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &op.Name, PolicyName: &op.PolicyName, PolicyDocument: aws.String(string(op.Document.JSON()))})
	if awserr.KindOf(err) == awserr.NotFound {
		return awserr.As(awserr.NotYetVisible, err) // the role was made, or read, moments ago
	}
	return err
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
