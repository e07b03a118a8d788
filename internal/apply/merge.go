package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/policy"
)

// errLost is a write that somebody else's write replaced. It is tried again.
var errLost = errors.New("somebody wrote the policy at the same time")

// settling is how long a write of a shared policy is left alone before it is
// read again: whoever had read the policy just before has written it by then.
const settling = time.Second

// merge puts our statements into a shared policy by read, merge, write, read
// again and compare: these services have no revision check, so an update of
// ours that somebody overwrites can only be seen afterwards. What somebody
// else writes in the one round trip between our read and our write cannot be
// seen at all; so that it stays one round trip, the SDK does not repeat the write.
func (d *doer) merge(ctx context.Context, op *plan.MergeOp) error {
	docs := d.documents(op)
	before, err := docs.read(ctx)
	if err != nil {
		if awserr.KindOf(err) == awserr.NotFound && len(op.Put) == 0 {
			return nil // the resource went, and our statements with it
		}
		return err
	}
	there, err := parsePolicy(op.Target, before)
	if err != nil || policy.Equal(there, plan.Merge(there, op)) {
		return err
	}
	wanted, err := plan.MergeText(before, op)
	if err != nil {
		return err
	}
	if err := docs.write(ctx, wanted); err != nil {
		return err
	}
	if err := d.sleep(ctx, settling); err != nil {
		return err
	}
	text, err := docs.read(ctx)
	if err != nil {
		return err
	}
	after, err := parsePolicy(op.Target, text)
	if err != nil {
		return err
	}
	if !holds(after, op) {
		return awserr.As(awserr.Conflict, fmt.Errorf("writing policy of %s: %w", op.Target, errLost))
	}
	return nil
}

// holds reports whether doc has our statements as op wants them.
func holds(doc *policy.Document, op *plan.MergeOp) bool {
	for i := range op.Put {
		there, ok := doc.FindSid(op.Put[i].Sid)
		if !ok || there.Canonical() != op.Put[i].Canonical() {
			return false
		}
	}
	for _, sid := range op.Remove {
		if _, ok := doc.FindSid(sid); ok {
			return false
		}
	}
	return true
}

// documents reads and writes the policy of one resource.
type documents interface {
	// read returns the policy's text, "" where there is none.
	read(ctx context.Context) (string, error)
	// write puts the policy; "" takes it away.
	write(ctx context.Context, text string) error
}

func (d *doer) documents(op *plan.MergeOp) documents {
	if op.Kind == compile.KeyPolicy {
		return &keyPolicy{kms.NewFromConfig(d.cfg), op.Target}
	}
	return &secretPolicy{secretsmanager.NewFromConfig(d.cfg), op.Target}
}

type secretPolicy struct {
	client *secretsmanager.Client
	id     string
}

func (p *secretPolicy) read(ctx context.Context) (string, error) {
	got, err := p.client.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &p.id})
	if err != nil {
		return "", err
	}
	return aws.ToString(got.ResourcePolicy), nil
}

func (p *secretPolicy) write(ctx context.Context, text string) error {
	if text == "" {
		_, err := p.client.DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &p.id},
			func(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} })
		return err
	}
	// BlockPublicPolicy is off unless asked for.
	_, err := p.client.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: &p.id, ResourcePolicy: &text, BlockPublicPolicy: aws.Bool(true)},
		func(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} })
	return err
}

type keyPolicy struct {
	client *kms.Client
	id     string
}

// defaultPolicy is the only policy name that KMS keys have.
const defaultPolicy = "default"

func (p *keyPolicy) read(ctx context.Context) (string, error) {
	got, err := p.client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &p.id, PolicyName: aws.String(defaultPolicy)})
	if err != nil {
		return "", err
	}
	return aws.ToString(got.Policy), nil
}

func (p *keyPolicy) write(ctx context.Context, text string) error {
	if text == "" {
		return fmt.Errorf("writing policy of %s: no statement would be left; a key needs a policy", p.id)
	}
	_, err := p.client.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &p.id, PolicyName: aws.String(defaultPolicy), Policy: &text},
		func(o *kms.Options) { o.Retryer = aws.NopRetryer{} })
	return err
}

func parsePolicy(id, text string) (*policy.Document, error) {
	if text == "" {
		return policy.NewDocument(), nil
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("parsing policy of %s, which is left as it is: %w", id, err)
	}
	return doc, nil
}
