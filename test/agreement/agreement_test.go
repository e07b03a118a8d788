// Package agreement_test asks of random worlds, by what is observed in them,
// who can do what, and then does it: four accounts on a local AWS, three of them
// in an organization, with SCPs, RCPs, boundaries, trust policies, key policies
// with grants, and the policies of secrets and tables. What verify.Can allows
// must succeed, what it denies must be refused, and what it does not know it
// must say.
//
// world_test.go makes the worlds, policies_test.go their policies.
package agreement_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
)

// How many worlds there are, and questions to each.
const (
	worlds    = 24
	questions = 80
)

// question is one call.
type question struct {
	caller   caller
	action   string
	resource string
	sent     map[string][]string // what the call says beside
	call     func(context.Context) error
}

// question draws a call of a random caller, to a resource in any account.
func (w *world) question() question {
	id := pick(w, accounts...)
	secret, key := w.secrets[id][w.IntN(2)].ARN().String(), w.keys[id].ARN().String()
	q := question{caller: pick(w, w.callers...)}
	cfg := q.caller.config
	switch w.IntN(11) {
	case 0, 1, 2:
		name := pick(w, slices.Sorted(maps.Keys(roles))...)
		role := arn.IAM("aws", id, "role", roles[name], name).String()
		q.action, q.resource, q.sent = "sts:AssumeRole", role, map[string][]string{"sts:RoleSessionName": {"run-2"}}
		in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("run-2")}
		if w.one(2) {
			in.ExternalId, q.sent["sts:ExternalId"] = aws.String("x-1"), []string{"x-1"}
		}
		q.call = func(ctx context.Context) error { return second(sts.NewFromConfig(cfg).AssumeRole(ctx, in)) }
	case 3, 4:
		q.action, q.resource, q.sent = "secretsmanager:GetSecretValue", secret, map[string][]string{"secretsmanager:VersionStage": {"AWSCURRENT"}}
		in := &secretsmanager.GetSecretValueInput{SecretId: &secret, VersionStage: aws.String("AWSCURRENT")}
		q.call = func(ctx context.Context) error {
			return second(secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, in))
		}
	case 5:
		q.action, q.resource = "secretsmanager:DescribeSecret", secret
		q.call = func(ctx context.Context) error {
			return second(secretsmanager.NewFromConfig(cfg).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &secret}))
		}
	case 6:
		q.action, q.resource = "kms:Decrypt", key
		q.call = func(ctx context.Context) error {
			return second(kms.NewFromConfig(cfg).Decrypt(ctx, &kms.DecryptInput{KeyId: &key, CiphertextBlob: w.sealed[id]}))
		}
	case 7:
		q.action, q.resource = "kms:DescribeKey", key
		q.call = func(ctx context.Context) error {
			return second(kms.NewFromConfig(cfg).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key}))
		}
	case 8, 9:
		q.action, q.resource = "dynamodb:GetItem", "arn:aws:dynamodb:"+region+":"+string(id)+":table/Orders"
		team := w.team()
		q.sent = map[string][]string{"dynamodb:LeadingKeys": {team}}
		in := &dynamodb.GetItemInput{TableName: &q.resource, Key: map[string]dynamodbtypes.AttributeValue{"id": &dynamodbtypes.AttributeValueMemberS{Value: team}}}
		q.call = func(ctx context.Context) error { return second(dynamodb.NewFromConfig(cfg).GetItem(ctx, in)) }
	default:
		q.action, q.resource = "dynamodb:ListTables", "*"
		q.call = func(ctx context.Context) error {
			return second(dynamodb.NewFromConfig(cfg).ListTables(ctx, &dynamodb.ListTablesInput{}))
		}
		if w.one(2) {
			q.action, q.resource = "iam:GetRole", arn.IAM("aws", q.caller.arn.Account, "role", "/", "hub").String()
			q.call = func(ctx context.Context) error {
				return second(iam.NewFromConfig(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("hub")}))
			}
		}
	}
	return q
}

func second[T any](_ T, err error) error { return err }

// everything is what AWS knows of the call beside, and observation does not
// tell: where it comes from, and what the session is like.
func (q *question) everything(now time.Time) map[string][]string {
	out := map[string][]string{"aws:SourceIp": {"127.0.0.1"}, "aws:CurrentTime": {now.UTC().Format(time.RFC3339)}, "aws:RequestedRegion": {region}}
	if q.caller.arn.Type() == "role" {
		out["aws:MultiFactorAuthPresent"] = []string{"false"}
	}
	maps.Copy(out, q.sent)
	return out
}

// who is the caller as people write it; of a role the session, if that is known.
func (q *question) who(session bool) access.Address {
	a := q.caller.arn
	if a.Type() == "role" && session {
		a = arn.SessionARN(a.Partition, a.Account, a.Name(), sessionName)
	}
	return access.Address{ARN: a}
}

func TestWhatCanSaysIsWhatHappens(t *testing.T) {
	var all tally
	t.Run("worlds", func(t *testing.T) {
		for seed := range uint64(worlds) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, seed)
				inv := w.observed(t)
				for range questions {
					w.compare(t, inv, &all)
				}
			})
		}
	})
	t.Logf("%+v", &all)
	// Without these the test could pass by knowing nothing.
	if total := worlds * questions; all.allowed < total/8 || all.denied < total/4 || all.unknown > total/4 || all.open > total/20 {
		t.Errorf("of %d questions %d were allowed, %d denied, %d open, %d with everything told", total, all.allowed, all.denied, all.unknown, all.open)
	}
}

// compare asks one question in two ways, with and without what AWS knows of the
// call, and makes the call.
func (w *world) compare(t *testing.T, inv *inventory.Inventory, all *tally) {
	t.Helper()
	q := w.question()
	now := w.server.World().Now()
	err := q.call(t.Context())
	refused, is := errors.AsType[smithy.APIError](err)
	if err != nil && (!is || !strings.HasPrefix(refused.ErrorCode(), "AccessDenied")) {
		t.Fatalf("%s by %s on %s: %v", q.action, q.caller.arn, q.resource, err)
	}
	for _, told := range []bool{false, true} {
		query := verify.Query{Who: q.who(told), Action: q.action, Resource: q.resource, Context: q.sent, Now: now}
		if told {
			query.Context = q.everything(now)
		}
		a, failure := verify.Options{Strict: true}.Can(inv, query)
		if failure != nil {
			t.Fatalf("%s by %s on %s: %v", q.action, query.Who, q.resource, failure)
		}
		all.add(a.Outcome, told)
		switch happened := err == nil; {
		case a.Outcome == authz.Unknown && len(missing(&a)) == 0:
			t.Errorf("%s by %s on %s is unknown without a reason", q.action, query.Who, q.resource)
		case a.Outcome != authz.Unknown && (a.Outcome == authz.Allowed) != happened:
			t.Errorf("%s by %s on %s (everything told: %v): can says %v, the call gave %v\n%s", q.action, query.Who, q.resource, told, a.Outcome, err, text(&a))
		case a.Outcome == authz.Unknown && told:
			all.why(missing(&a))
		}
	}
}

func missing(a *verify.Answer) []string {
	var out []string
	for _, l := range slices.Concat(a.Ways[0].Hops, a.Ways[0].Uses) {
		out = append(out, l.Decision.Missing...)
	}
	return out
}

func text(a *verify.Answer) string {
	var b strings.Builder
	for _, l := range slices.Concat(a.Ways[0].Hops, a.Ways[0].Uses) {
		b.WriteString(leg(&l))
	}
	return b.String()
}

func leg(l *effective.Leg) string {
	return l.Action + " on " + l.Resource + "\n" + l.Decision.Text()
}

// tally counts answers.
type tally struct {
	mu                             sync.Mutex // guards what follows
	allowed, denied, unknown, open int        // open: with everything told
	reasons                        map[string]int
}

func (c *tally) add(o authz.Outcome, told bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case o == authz.Unknown && told:
		c.open++
	case told:
	case o == authz.Unknown:
		c.unknown++
	case o == authz.Allowed:
		c.allowed++
	default:
		c.denied++
	}
}

func (c *tally) why(missing []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == nil {
		c.reasons = map[string]int{}
	}
	c.reasons[strings.Join(missing, ", ")]++
}

func (c *tally) String() string {
	return fmt.Sprintf("allowed %d, denied %d, unknown %d; with everything told unknown %d: %v", c.allowed, c.denied, c.unknown, c.open, c.reasons)
}
