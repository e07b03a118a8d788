package creds

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// settling is how long a credential that has just been fetched is above
// suspicion: a Region that is not enabled for the account, and one that has not
// heard of the credential yet, refuse it in the words for one that is dead.
const settling = time.Minute

// longestDoubt is how long callers wait for what replaces an invalidated
// credential before they make do with it.
const longestDoubt = 10 * time.Second

// Renew gets another credential because AWS refused a call signed with the one
// of this access key id, and reports whether there is another to make the call
// again with. It waits for that as long as ctx allows; meanwhile, and if none can
// be had, other callers are served the old one, as nobody knows that all of AWS
// refuses it. A credential is not renewed for a refusal that is not [Refused],
// within a minute of its being fetched, or, where AWS says that it has expired,
// within a minute of its being renewed.
func (c *Cached) Renew(ctx context.Context, accessKeyID string, refusal error) bool {
	h := c.held.Load()
	if h == nil || !Refused(refusal) {
		return false
	}
	if h.credentials.AccessKeyID != accessKeyID {
		c.mu.Lock()
		defer c.mu.Unlock()
		return accessKeyID != "" && c.previous == accessKeyID // somebody else had it renewed
	}
	now := time.Now()
	if now.Sub(h.since) < settling && (h.renewal || !Expired(refusal)) {
		return false
	}
	if from, ok := c.from.(invalidator); ok && c.ready(now) {
		from.Invalidate(accessKeyID)
	}
	h, err := c.replace(ctx, h, now)
	return err == nil && h.credentials.AccessKeyID != accessKeyID
}

// ready reports that a fetch would begin if one were wanted.
func (c *Cached) ready(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flight == nil && c.abandoned == nil && !now.Before(c.retryAt)
}

// replace fetches what comes after old, unless it has come already.
func (c *Cached) replace(ctx context.Context, old *held, now time.Time) (*held, error) {
	c.mu.Lock()
	h, f, err := c.joinLocked(ctx, now, func(h *held, _ time.Time) bool { return h != old })
	if f != nil {
		f.renewal = true
	}
	c.mu.Unlock()
	if f != nil {
		return f.wait(ctx)
	}
	return h, err
}

// Invalidate doubts the credential with this access key id, and reports whether
// it was held. Those who ask next wait for another one, for ten seconds at most:
// as long as it is valid and there is none, the old one is served on, unless the
// next one is denied. Another one that came meanwhile stays.
func (c *Cached) Invalidate(accessKeyID string) bool {
	if h := c.held.Load(); h == nil || h.credentials.AccessKeyID != accessKeyID {
		return false
	}
	if from, ok := c.from.(invalidator); ok {
		from.Invalidate(accessKeyID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held.Load()
	if h == nil || h.credentials.AccessKeyID != accessKeyID {
		return false
	}
	c.held.Store(h.doubted(time.Now()))
	if h.doubt.IsZero() { // else the pause after a failure goes on
		c.retryAt = time.Time{}
	}
	c.quiet.Store(0)
	c.failing.Store(false)
	return true
}

// doubted is h to be replaced now.
func (h *held) doubted(now time.Time) *held {
	d := *h
	d.doubt = now.Add(longestDoubt)
	d.halfAt, d.refreshAt, d.blockAt = now, now, now
	return &d
}

// inDoubt gives what replaces h if it comes soon, else h.
func (c *Cached) inDoubt(ctx context.Context, h *held) (out aws.Credentials, err error) {
	soon, stop := context.WithDeadline(ctx, h.doubt)
	defer stop()
	out, err = c.await(soon)
	if err != nil && context.Cause(ctx) == nil && c.held.Load() != nil {
		return h.credentials, nil
	}
	return out, err
}
