// Package patience answers for credentials within a time, for clients of the
// protocols that AWS's own machines speak: they go away after a second or two,
// and then cannot tell anybody why there was no answer.
//
// [New] wraps a provider. Who asks it gets credentials, or the reason why there
// are none, before the client has gone. The fetch itself goes on: it is the
// wrapped provider's to end and to share, as a creds.Cached does.
package patience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/awserr"
)

// Provider is an aws.CredentialsProvider. Safe for concurrent use.
type Provider struct {
	from aws.CredentialsProvider
	most time.Duration

	mu     sync.Mutex // guards the rest
	given  aws.Credentials
	failed error // the last failure, nil after a success
}

// New has from's credentials waited for no longer than most. from must heed its
// context.
func New(from aws.CredentialsProvider, most time.Duration) *Provider {
	return &Provider{from: from, most: most}
}

var errSlow = errors.New("no credentials in time")

// Retrieve gives the credentials. When they do not come in time, or at all, those
// that were given before are given again as long as they are valid.
func (p *Provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, leave := context.WithTimeoutCause(ctx, p.most, errSlow)
	defer leave()
	c, err := p.from.Retrieve(ctx)
	slow := err != nil && context.Cause(ctx) == errSlow
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slow {
		p.failed = err
	}
	switch {
	case err == nil:
		p.given = c
		return c, nil
	case p.given.HasKeys() && p.given.CanExpire && time.Now().Before(p.given.Expires):
		return p.given, nil
	case !slow:
		return aws.Credentials{}, err
	}
	err = fmt.Errorf("waiting for credentials: there was no answer within %s; they are still being asked for, try again", p.most)
	if p.failed != nil {
		err = fmt.Errorf("%w (the last time: %s)", err, awserr.Text(p.failed))
	}
	return aws.Credentials{}, awserr.As(awserr.Transient, err)
}
