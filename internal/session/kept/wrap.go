package kept

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/session/shelf"
)

// Wrap gives p's credentials from the store as long as they are good. When they
// are asked for again although they are, as a [creds.Cache] does well before
// they end, they are fetched anew.
func (s *Store) Wrap(p creds.Provider) creds.Provider {
	return s.WrapAs(p.Key(), p)
}

// WrapAs is Wrap by a key of the caller's, for a p whose own key does not tell
// everything that its credentials depend on.
func (s *Store) WrapAs(key string, p creds.Provider) creds.Provider {
	return &provider{store: s, from: p, key: key}
}

type provider struct {
	store *Store
	from  creds.Provider
	key   string
	given atomic.Pointer[string] // the access key id that was given last
}

// What is valid is renewed within renewal, since programs that ask go away after a
// minute, and after a failure it is left alone for respite: whoever asks, AWS is
// asked so often and no more while it is down.
const (
	renewal = 8 * time.Second
	respite = 20 * time.Second
)

// Retrieve implements aws.CredentialsProvider. While there is a valid
// credential no failure to fetch another is seen.
func (p *provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	var out aws.Credentials
	have := func() bool {
		e, ok := p.store.Get(p.key)
		out = e.Credentials
		return ok && !p.gave(out.AccessKeyID) && (e.Good(time.Now()) || p.inRespite(&e))
	}
	fetch := func(ctx context.Context) error {
		if e, ok := p.store.Get(p.key); ok && e.Valid(time.Now()) {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeoutCause(ctx, renewal, errSlow)
			defer stop()
		}
		c, err := p.from.Retrieve(ctx)
		if err != nil {
			return err
		}
		out = c
		_ = p.store.Put(p.key, c) // on a full disk the next process fetches itself
		return nil
	}
	var err error
	switch {
	case p.store.Shared():
		err = flight.Do(ctx, p.store.locks(), shelf.File(p.store.full(p.key)), have, fetch)
	case !have():
		err = fetch(ctx)
	}
	if err != nil {
		if e, ok := p.store.Get(p.key); ok && e.Valid(time.Now()) {
			return e.Credentials, nil
		}
		return aws.Credentials{}, err
	}
	p.given.Store(&out.AccessKeyID)
	return out, nil
}

var errSlow = fmt.Errorf("no answer within %s", renewal)

// inRespite reports that a credential is valid and was not to be renewed just now.
func (p *provider) inRespite(e *Entry) bool {
	if !p.store.Shared() || !e.Valid(time.Now()) {
		return false
	}
	since := time.Since(flight.Failed(p.store.locks(), shelf.File(p.store.full(p.key))))
	return since >= 0 && since < respite
}

func (p *provider) gave(accessKeyID string) bool {
	last := p.given.Load()
	return last != nil && *last == accessKeyID
}

// Invalidate forgets a credential that AWS refuses, here and below.
func (p *provider) Invalidate(accessKeyID string) bool {
	known := p.store.Forget(p.key, accessKeyID)
	if keeper, ok := p.from.(interface{ Invalidate(string) bool }); ok {
		known = keeper.Invalidate(accessKeyID) || known
	}
	return known
}

// SessionName is the name of the provider's sessions, "" where they have none.
func (p *provider) SessionName() string {
	if n, ok := p.from.(interface{ SessionName() string }); ok {
		return n.SessionName()
	}
	return ""
}

// SourceIdentity is that of the provider's sessions, "" where none is known of.
func (p *provider) SourceIdentity() string {
	if n, ok := p.from.(interface{ SourceIdentity() string }); ok {
		return n.SourceIdentity()
	}
	return ""
}

func (p *provider) Key() string    { return p.key }
func (p *provider) String() string { return fmt.Sprint(p.from) }

// Format prints as String, whatever the verb.
func (p *provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }
