package apply

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/internal/plan"
)

// ErrLedgerMoved means that another run changed the ledger since it was read.
var ErrLedgerMoved = errors.New("another run changed the scope's ledger meanwhile; plan again")

// current is the version stage Secrets Manager gives a secret's newest value.
const current = "AWSCURRENT"

// Ledgers keeps one scope's ledger as the Secrets Manager secret
// stile/ledger/SCOPE in the scope's home account. Writes are compare-and-swap
// by version, so two runs never both believe that they hold it. Not safe for
// concurrent use; a run has one.
type Ledgers struct {
	source  Source
	home    plan.Home
	scope   string
	ledger  *ledger.Ledger
	version string // of the secret's value; "" when there is no secret
}

// OpenLedgers reads the scope's ledger; where there is none, it is empty.
func OpenLedgers(ctx context.Context, source Source, home plan.Home, scope string) (*Ledgers, error) {
	l := &Ledgers{source: source, home: home, scope: scope, ledger: ledger.New(scope)}
	c, err := l.client(ctx)
	if err != nil {
		return nil, err
	}
	got, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(l.name())})
	switch {
	case awserr.KindOf(err) == awserr.NotFound:
		return l, nil
	case err != nil:
		return nil, fmt.Errorf("reading ledger of scope %q in %s: %w", scope, home.Account, awserr.Plain(err))
	}
	l.version = aws.ToString(got.VersionId)
	text, err := unpack(got.SecretBinary)
	if err != nil {
		return nil, fmt.Errorf("reading ledger of scope %q in %s: %w", scope, home.Account, err)
	}
	if l.ledger, err = ledger.Parse(text, scope); err != nil {
		return nil, err
	}
	return l, nil
}

// ledgerSize bounds a secret's value (Secrets Manager quotas: 65,536 bytes), and
// unpackedSize what one may unpack to.
const (
	ledgerSize   = 65536
	unpackedSize = 32 << 20
)

// pack compresses a ledger: a thousand roles take some 15 KiB.
func pack(text []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if out.Len() > ledgerSize {
		return nil, fmt.Errorf("the ledger takes %d of %d bytes; split the declarations into several scopes", out.Len(), ledgerSize)
	}
	return out.Bytes(), nil
}

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return io.ReadAll(io.LimitReader(z, unpackedSize))
}

func (l *Ledgers) name() string { return "stile/ledger/" + l.scope }

// Ledger is what was read, or written last. Do not change it.
func (l *Ledgers) Ledger() *ledger.Ledger { return l.ledger }

func (l *Ledgers) client(ctx context.Context) (*secretsmanager.Client, error) {
	cfg, err := l.source.Config(ctx, l.home.Account, l.home.Region)
	if err != nil {
		return nil, err
	}
	return secretsmanager.NewFromConfig(cfg), nil
}

// differs reports whether the ledger is not yet as the plan leaves it.
func (l *Ledgers) differs(p *plan.Plan) bool {
	return !bytes.Equal(l.ledger.Encode(), p.Ledger.Encode())
}

// removable reports whether p ends the scope, and only its ledger is left.
func (l *Ledgers) removable(p *plan.Plan) bool {
	return p.Destroy && l.version != "" && len(p.Ledger.Entries) == 0
}

// begin writes what the plan intends, before anything is made. Where it
// intends nothing new, as deletions, it takes the ledger all the same: a run
// that read it earlier will find that it moved.
func (l *Ledgers) begin(ctx context.Context, p *plan.Plan, r *run) error {
	if len(p.Steps) == 0 {
		return nil
	}
	next := l.ledger.Clone()
	for _, s := range p.Steps {
		for _, e := range s.Writes {
			next.Intend(e)
		}
	}
	return l.replace(ctx, next, r)
}

// end writes what came of it: what was made is no longer an intention, what
// was deleted is forgotten. What failed stays intended.
func (l *Ledgers) end(ctx context.Context, p *plan.Plan, r *run) error {
	next := l.ledger.Clone()
	all := true
	for _, s := range p.Steps {
		if !r.succeeded(s.ID) {
			all = false
			continue
		}
		for _, e := range s.Writes {
			next.Made(e.Account, e.Kind, e.ID)
		}
		for _, e := range s.Drops {
			next.Drop(e.Account, e.Kind, e.ID)
		}
	}
	if all {
		next = p.Ledger.Clone()
	}
	if p.Destroy && all && len(next.Entries) == 0 {
		return l.remove(ctx, r)
	}
	return l.write(ctx, next, r)
}

// write puts next in the place of the version that was read.
func (l *Ledgers) write(ctx context.Context, next *ledger.Ledger, r *run) error {
	if l.version != "" && bytes.Equal(next.Encode(), l.ledger.Encode()) {
		return nil
	}
	return l.replace(ctx, next, r)
}

// replace writes next even if it says nothing new: it succeeds only while
// nobody else has written since.
func (l *Ledgers) replace(ctx context.Context, next *ledger.Ledger, r *run) error {
	value, err := pack(next.Encode())
	if err == nil {
		// The token becomes the version's id: by it our own write is known again
		// when its answer was lost, even beside a run that writes the same.
		token := rand.Text() + rand.Text()
		err = r.again(ctx, func() error { return l.swap(ctx, value, token) }, nil)
	}
	if err != nil {
		return fmt.Errorf("writing ledger of scope %q in %s: %w", l.scope, l.home.Account, awserr.Plain(err))
	}
	l.ledger = next
	return nil
}

// swap stores value as a version without a stage, then moves AWSCURRENT from
// the version that was read to it: Secrets Manager refuses when another version
// is current by now.
func (l *Ledgers) swap(ctx context.Context, value []byte, token string) error {
	c, err := l.client(ctx)
	if err != nil {
		return err
	}
	name := aws.String(l.name())
	if l.version == "" {
		_, err := c.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: name, SecretBinary: value, ClientRequestToken: &token, Description: aws.String("What stile's scope " + l.scope + " owns. Do not edit."),
			Tags: []types.Tag{{Key: aws.String(compile.TagScope), Value: aws.String(l.scope)}},
		})
		if awserr.KindOf(err) == awserr.Exists {
			return l.settle(ctx, c, token, err)
		}
		if err == nil {
			l.version = token
		}
		return err
	}
	_, err = c.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: name, SecretBinary: value, ClientRequestToken: &token, VersionStages: []string{"stile:pending"}})
	if awserr.KindOf(err) == awserr.NotFound {
		return fmt.Errorf("%w (%v)", ErrLedgerMoved, awserr.Text(err)) // destroyed
	}
	if err != nil {
		return err
	}
	_, err = c.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: name, VersionStage: aws.String(current), MoveToVersionId: &token, RemoveFromVersionId: &l.version,
	})
	if err != nil {
		return l.settle(ctx, c, token, err)
	}
	l.version = token
	return nil
}

// settle finds out what became of a create or move that failed: done although
// the answer was lost, lost to another run, or to be tried again.
func (l *Ledgers) settle(ctx context.Context, c *secretsmanager.Client, token string, failure error) error {
	got, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(l.name())})
	switch {
	case err != nil && awserr.KindOf(failure) == awserr.Exists:
		return err
	case err != nil:
		return failure
	case aws.ToString(got.VersionId) == token:
		l.version = token
		return nil
	case aws.ToString(got.VersionId) != l.version:
		return fmt.Errorf("%w (%v)", ErrLedgerMoved, awserr.Text(failure))
	}
	return failure
}

// remove deletes the ledger of a scope that owns nothing any more. Secrets
// Manager deletes whatever version is there, so the ledger is taken once more
// before: that fails when another run has written meanwhile.
func (l *Ledgers) remove(ctx context.Context, r *run) error {
	if err := l.replace(ctx, ledger.New(l.scope), r); err != nil {
		return err
	}
	err := r.again(ctx, func() error {
		c, err := l.client(ctx)
		if err != nil {
			return err
		}
		_, err = c.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String(l.name()), ForceDeleteWithoutRecovery: aws.Bool(true)})
		return gone(err)
	}, nil)
	if err != nil {
		return fmt.Errorf("deleting ledger of scope %q in %s: %w", l.scope, l.home.Account, awserr.Plain(err))
	}
	l.version = ""
	return nil
}
