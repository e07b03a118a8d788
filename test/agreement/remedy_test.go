package agreement_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/authz/remedy"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
)

// refusal is why nothing is proposed for a leg.
type refusal struct {
	*remedy.Refusal
	leg effective.Leg
}

// propose finds the change that gives a leg of an answer the other outcome, as
// stile can does.
func propose(t *testing.T, a *verify.Answer, find finder, l *effective.Leg) (*remedy.Change, *refusal) {
	t.Helper()
	if l.Question.Action == "" {
		return nil, &refusal{&remedy.Refusal{Reasons: []remedy.Reason{{Text: l.Decision.Summary()}}}, *l}
	}
	req, pols := a.View.Prepare(l.Question)
	list, err := find(remedy.Options{Carrier: effective.Carrier, Pin: l.Question.Via}, req, pols, a.View.Facts())
	if refused, ok := errors.AsType[*remedy.Refusal](err); ok {
		return nil, &refusal{refused, *l}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, leg(l))
	}
	return &list[0], nil
}

type finder func(remedy.Options, *authz.Request, *authz.Policies, *authz.Facts) ([]remedy.Change, error)

// make makes an edit through the API, as who reads it would. AWS refuses
// documents that are not well formed.
func (w *world) make(t *testing.T, e *remedy.Edit, caller *authz.Principal, resource string) error {
	t.Helper()
	ctx := t.Context()
	account := e.Account
	if e.Layer == authz.LayerSCP {
		account = tooling
	}
	cfg, _ := w.Config(ctx, account, region)
	document := ""
	if e.Result != nil {
		document = e.Result.String()
	}
	r, err := arn.Parse(resource)
	if err != nil && e.Layer != authz.LayerIdentity && e.Layer != authz.LayerBoundary && e.Layer != authz.LayerSCP {
		return err
	}
	switch e.Layer {
	case authz.LayerIdentity:
		return w.putIdentity(t, e, caller, document)
	case authz.LayerTrust:
		return second(iam.NewFromConfig(cfg).UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String(r.Name()), PolicyDocument: &document}))
	case authz.LayerKey:
		return second(kms.NewFromConfig(cfg).PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &resource, Policy: &document, BypassPolicyLockoutSafetyCheck: true}))
	case authz.LayerResource:
		if r.Service == "dynamodb" {
			return second(dynamodb.NewFromConfig(cfg).PutResourcePolicy(ctx, &dynamodb.PutResourcePolicyInput{ResourceArn: &resource, Policy: &document}))
		}
		if document == "" {
			return second(secretsmanager.NewFromConfig(cfg).DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &resource}))
		}
		return second(secretsmanager.NewFromConfig(cfg).PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: &resource, ResourcePolicy: &document}))
	case authz.LayerBoundary:
		return second(iam.NewFromConfig(cfg).CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &e.Document.ARN, PolicyDocument: &document, SetAsDefault: true}))
	case authz.LayerSCP:
		return w.putSCP(t, organizations.NewFromConfig(cfg), e, document)
	case authz.LayerGrant:
		return second(kms.NewFromConfig(cfg).RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &resource, GrantId: &e.Document.Name}))
	case authz.LayerRCP, authz.LayerEndpoint, authz.LayerSession:
	}
	return fmt.Errorf("there is no call for %v", e)
}

// putIdentity writes a policy of the caller's role or user, or of its group.
func (w *world) putIdentity(t *testing.T, e *remedy.Edit, caller *authz.Principal, document string) error {
	t.Helper()
	cfg, _ := w.Config(t.Context(), e.Account, region)
	c := iam.NewFromConfig(cfg)
	if e.Document.ARN != "" {
		return second(c.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: &e.Document.ARN, PolicyDocument: &document, SetAsDefault: true}))
	}
	entity := caller.ARN
	if caller.Kind == authz.RoleSession {
		entity = caller.Entity
	}
	holder, name, existing := strings.Cut(e.Document.Name, " inline policy ")
	if !existing {
		holder, name = entity.Type()+"/"+entity.Name(), fmt.Sprintf("fix%d", w.Uint32())
	}
	kind, who, _ := strings.Cut(holder, "/")
	switch kind {
	case "role":
		if document == "" {
			return second(c.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: &who, PolicyName: &name}))
		}
		return second(c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &who, PolicyName: &name, PolicyDocument: &document}))
	case "user":
		if document == "" {
			return second(c.DeleteUserPolicy(t.Context(), &iam.DeleteUserPolicyInput{UserName: &who, PolicyName: &name}))
		}
		return second(c.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &who, PolicyName: &name, PolicyDocument: &document}))
	case "group":
		if document == "" {
			return second(c.DeleteGroupPolicy(t.Context(), &iam.DeleteGroupPolicyInput{GroupName: &who, PolicyName: &name}))
		}
		return second(c.PutGroupPolicy(t.Context(), &iam.PutGroupPolicyInput{GroupName: &who, PolicyName: &name, PolicyDocument: &document}))
	}
	return fmt.Errorf("%s is of nobody", e.Document.Name)
}

func (w *world) putSCP(t *testing.T, c *organizations.Client, e *remedy.Edit, document string) error {
	t.Helper()
	if !e.New {
		id := e.Document.ARN[strings.LastIndexByte(e.Document.ARN, '/')+1:]
		return second(c.UpdatePolicy(t.Context(), &organizations.UpdatePolicyInput{PolicyId: &id, Content: &document}))
	}
	made, err := c.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{
		Content: &document, Description: aws.String("a fix"), Name: aws.String(fmt.Sprintf("fix%d", w.Uint32())), Type: orgtypes.PolicyTypeServiceControlPolicy,
	})
	if err != nil {
		return err
	}
	return second(c.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: made.Policy.PolicySummary.Id, TargetId: &e.Node}))
}

// deed is something that somebody may be able to do.
type deed struct{ who, action, resource string }

// deeds are what everybody can do, by what is observed; true where it is
// certain, false where it depends.
func (w *world) deeds(t *testing.T, inv *inventory.Inventory) map[deed]bool {
	t.Helper()
	v := effective.New(inv)
	out := map[deed]bool{}
	for i := range w.callers {
		p, err := v.Principal(w.callers[i].arn.String())
		if err != nil {
			t.Fatal(err)
		}
		side := v.Caller(p)
		ask := func(action, resource string) {
			q := effective.Question{Principal: p, Action: action, Resource: resource}
			if o := v.Decide(q, side, v.Guard(q)); o == authz.Allowed || o == authz.Unknown {
				out[deed{w.callers[i].arn.String(), action, resource}] = o == authz.Allowed
			}
		}
		for _, id := range accounts {
			for name, path := range roles {
				ask("sts:AssumeRole", arn.IAM("aws", id, "role", path, name).String())
				ask("iam:GetRole", arn.IAM("aws", id, "role", path, name).String())
			}
			for _, s := range w.secrets[id] {
				ask("secretsmanager:GetSecretValue", s.ARN().String())
				ask("secretsmanager:DescribeSecret", s.ARN().String())
			}
			for _, action := range []string{"kms:Decrypt", "kms:Encrypt", "kms:DescribeKey"} {
				ask(action, w.keys[id].ARN().String())
			}
			table := "arn:aws:dynamodb:" + region + ":" + string(id) + ":table/Orders"
			ask("dynamodb:GetItem", table)
			ask("dynamodb:PutItem", table)
		}
		ask("dynamodb:ListTables", "*")
	}
	return out
}

// denied is the first leg of an answer that is denied, nil when none is.
func denied(a *verify.Answer) *effective.Leg {
	legs := slices.Concat(a.Ways[0].Hops, a.Ways[0].Uses)
	i := slices.IndexFunc(legs, func(l effective.Leg) bool {
		return l.Decision.Outcome == authz.ImplicitDeny || l.Decision.Outcome == authz.ExplicitDeny
	})
	if i < 0 {
		return nil
	}
	return &legs[i]
}

// remedies is how many worlds there are in which proposals are made.
const remedies = 5

// What is proposed for a call that is denied, made through the API, lets the
// call pass, and nobody else do anything else.
func TestProposalsAllowWhatWasAskedForAndNothingElse(t *testing.T) {
	made, refused := 0, 0
	for seed := range uint64(remedies) {
		w := newWorld(t, 2000+seed)
		for range 6 {
			q := w.question()
			inv := w.observed(t)
			before := w.deeds(t, inv)
			changes, refusal := w.remedied(t, &q, inv)
			switch {
			case refusal != nil:
				refused++
				checkRefusal(t, refusal)
				continue
			case changes == nil:
				continue
			}
			made++
			if err := q.call(t.Context()); err != nil {
				t.Errorf("%s by %s on %s after\n%s\n%v", q.action, q.caller.arn, q.resource, printed(changes), err)
			}
			asked := deed{q.caller.arn.String(), q.action, q.resource}
			for d, certain := range w.deeds(t, w.observed(t)) {
				if was, could := before[d]; d != asked && (!could || certain && !was) {
					t.Errorf("%s by %s on %s: after\n%s\n%s may %s on %s (certain %v, before %v %v)", q.action, q.caller.arn, q.resource, printed(changes), d.who, d.action, d.resource, certain, could, was)
				}
			}
		}
	}
	if made < remedies {
		t.Errorf("%d changes were made, %d refused", made, refused)
	}
}

// What is proposed against a call that is allowed, made through the API, has it
// refused, and takes nothing else from anybody that it does not say.
func TestProposalsCloseWhatWasAskedForAndNothingElse(t *testing.T) {
	made := 0
	for seed := range uint64(remedies) {
		w := newWorld(t, 3000+seed)
		for range 12 {
			q := w.question()
			inv := w.observed(t)
			a := w.can(t, inv, verify.Query{Who: q.who(false), Action: q.action, Resource: q.resource, Context: q.everything(w.server.World().Now())})
			if a.Outcome != authz.Allowed {
				continue
			}
			l := &a.Ways[0].Uses[0]
			change, refused := propose(t, &a, remedy.Options.Close, l)
			if refused != nil {
				if !l.Question.Principal.ServiceLinked {
					t.Errorf("%s by %s on %s: %v", q.action, q.caller.arn, q.resource, refused)
				}
				continue
			}
			before := w.deeds(t, inv)
			w.makeAll(t, change, l)
			made++
			if err := q.call(t.Context()); err == nil {
				t.Errorf("%s by %s on %s passes after\n%s", q.action, q.caller.arn, q.resource, printed([]*remedy.Change{change}))
			}
			if len(change.Affects) > 0 {
				continue
			}
			asked, after := deed{q.caller.arn.String(), q.action, q.resource}, w.deeds(t, w.observed(t))
			for d, was := range before {
				if certain, can := after[d]; d != asked && (!can || was && !certain) {
					t.Errorf("%s by %s on %s: after\n%s\n%s may no longer %s on %s (before %v, now %v %v)", q.action, q.caller.arn, q.resource, printed([]*remedy.Change{change}), d.who, d.action, d.resource, was, can, certain)
				}
			}
		}
	}
	if made < remedies {
		t.Errorf("%d changes were made", made)
	}
}

// remedied makes one proposal after the other until the call is not denied any
// more: none where it is allowed already, or may be.
func (w *world) remedied(t *testing.T, q *question, inv *inventory.Inventory) (changes []*remedy.Change, refused *refusal) {
	t.Helper()
	query := verify.Query{Who: q.who(false), Action: q.action, Resource: q.resource, Context: q.everything(w.server.World().Now()), Now: w.server.World().Now()}
	for range 6 {
		a := w.can(t, inv, query)
		l := denied(&a)
		if l == nil {
			if a.Outcome == authz.Unknown {
				return nil, nil
			}
			return changes, nil
		}
		change, refused := propose(t, &a, remedy.Options.Allow, l)
		if refused != nil {
			return changes, refused
		}
		changes = append(changes, change)
		w.makeAll(t, change, l)
		inv = w.observed(t)
	}
	t.Fatalf("%s by %s on %s is still denied after\n%s", q.action, q.caller.arn, q.resource, printed(changes))
	return nil, nil
}

// makeAll makes the edits of a change, which follow from a leg.
func (w *world) makeAll(t *testing.T, c *remedy.Change, l *effective.Leg) {
	t.Helper()
	done := map[string]bool{}
	for i := range c.Edits {
		e := &c.Edits[i]
		key := e.Document.String() + e.Node
		if done[key] && !e.New {
			continue // the result has all edits of the document
		}
		done[key] = true
		if err := w.make(t, e, &l.Question.Principal, l.Resource); err != nil {
			t.Fatalf("making %s: %v\n%s", e, err, printed([]*remedy.Change{c}))
		}
	}
}

func printed(changes []*remedy.Change) string {
	var b strings.Builder
	for _, c := range changes {
		for i := range c.Edits {
			fmt.Fprintf(&b, "%s\n", &c.Edits[i])
			for _, st := range c.Edits[i].After {
				fmt.Fprintf(&b, "    %s\n", st.String())
			}
		}
	}
	return b.String()
}

// checkRefusal wants reasons, and the statements where some deny.
func checkRefusal(t *testing.T, r *refusal) {
	t.Helper()
	if len(r.Reasons) == 0 || r.leg.Decision.Outcome == authz.ExplicitDeny && r.leg.Question.Action != "" && !slices.ContainsFunc(r.Reasons, func(reason remedy.Reason) bool { return reason.Document != nil }) {
		t.Errorf("refused for %v\n%s", r.Reasons, leg(&r.leg))
	}
}
