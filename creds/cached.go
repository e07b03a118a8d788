package creds

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// Cached is one credential of a [Cache], an aws.CredentialsProvider to be put
// into any number of aws.Configs. Safe for concurrent use.
type Cached struct {
	cache *Cache
	from  Provider
	key   string

	held atomic.Pointer[held] // what is served; nil when there is nothing
	// quiet is until when, in Unix nanoseconds, no caller in the background
	// window needs to see to a refresh: one is under way, or has just failed.
	quiet atomic.Int64
	// failing is set while the last fetch failed: callers who have a valid
	// credential need not wait for the next one to fail too.
	failing atomic.Bool

	mu        sync.Mutex // guards the rest, and changes of held
	flight    *flight    // the fetch under way
	abandoned *flight    // one that was given up and whose provider has not returned yet
	failures  int        // since the last success
	failed    error      // the last failure's
	retryAt   time.Time  // before it, failed is the answer
	previous  string     // access key id of the credential before the one held
}

// held is a credential with the times that matter; never changed once stored.
type held struct {
	credentials aws.Credentials
	forever     bool
	since       time.Time // when it was fetched
	halfAt      time.Time // Keep refreshes from here on
	refreshAt   time.Time // a caller starts a refresh in the background
	blockAt     time.Time // callers wait for the refresh
	until       time.Time // when it expires
	doubt       time.Time // until when callers wait for another one; zero if it is not doubted
	renewal     bool      // fetched because AWS refused the one before
}

// flight is one fetch. The results are valid once done is closed.
type flight struct {
	done    chan struct{}
	cancel  context.CancelCauseFunc
	renewal bool // guarded by the Cached's mu
	held    *held
	err     error
}

// wait gives what the fetch brought, unless ctx ends before. A fetch that waits
// for another one is not late meanwhile.
func (f *flight) wait(ctx context.Context) (*held, error) {
	if u := fetching(ctx); u != nil {
		u.clock.stop(nil)
		defer u.clock.start()
	}
	select {
	case <-f.done:
		return f.held, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// The windows before expiry. They are those of AWS's design for all SDKs, which
// the Go SDK lacks (botocore pull request 3760, aws-sdk-java-v2 7053): refresh
// in the background early enough for any outage that is shorter, block at the end.
const (
	blockAhead = time.Minute

	shortLife, shortAhead   = 20 * time.Minute, 5 * time.Minute
	mediumLife, mediumAhead = 90 * time.Minute, 15 * time.Minute
	longAhead               = time.Hour

	ever = 100 * 365 * 24 * time.Hour // as good as: what never expires
)

// passingLife is how long credentials are held that a credential_process gave without
// an expiration. They never end by themselves, and are over as soon as the program
// prints others: so long, those who ask at once run it once.
const passingLife = 5 * time.Second

// hold works out the times of a credential fetched now. Refreshing begins up to
// a tenth of the window earlier, at random, so that what was fetched together
// is not refreshed together.
func hold(c aws.Credentials, now time.Time) *held {
	if !c.CanExpire {
		end := now.Add(ever)
		h := &held{credentials: c, forever: true, since: now, halfAt: end, refreshAt: end, blockAt: end, until: end}
		if c.Source == processcreds.ProviderName {
			end = now.Add(passingLife)
			h.refreshAt, h.blockAt, h.until = end, end, end
		}
		return h
	}
	life := c.Expires.Sub(now)
	ahead := longAhead
	switch {
	case life <= shortLife:
		ahead = shortAhead
	case life < mediumLife:
		ahead = mediumAhead
	}
	ahead = min(ahead+rand.N(ahead/10), life/2)
	return &held{
		credentials: c,
		since:       now,
		until:       c.Expires,
		halfAt:      c.Expires.Add(-max(life/2, ahead)),
		refreshAt:   c.Expires.Add(-ahead),
		blockAt:     c.Expires.Add(-min(blockAhead, life/4)),
	}
}

func (h *held) fresh(now time.Time) bool { return now.Before(h.refreshAt) }

func (h *held) valid(now time.Time) bool { return now.Before(h.until) }

// Retrieve gives the credential. It waits only when there is none or when it is
// in its last minute and has not failed to be refreshed, and then no longer than
// ctx allows; the fetch goes on for the others. While the credential is valid, no
// failure to refresh it is seen.
func (c *Cached) Retrieve(ctx context.Context) (aws.Credentials, error) {
	h := c.held.Load()
	if h == nil {
		return c.await(ctx)
	}
	now := time.Now()
	if h.fresh(now) {
		return h.credentials, nil
	}
	if now.Before(h.blockAt) || c.failing.Load() && h.valid(now) {
		if now.UnixNano() >= c.quiet.Load() {
			_, _, _ = c.join(ctx, now, (*held).fresh) // its outcome is kept for later callers
		}
		return h.credentials, nil
	}
	if !h.doubt.IsZero() && h.valid(now) {
		return c.inDoubt(ctx, h)
	}
	out, err := c.await(ctx)
	if err != nil && context.Cause(ctx) == nil && h.valid(time.Now()) {
		return h.credentials, nil
	}
	return out, err
}

// RetrieveLong is Retrieve for those who hand the credential on to programs that
// want at least so much of its life: when less is left and a new one will have
// more, it waits for that one. It does not wait after a failure.
func (c *Cached) RetrieveLong(ctx context.Context, least time.Duration) (aws.Credentials, error) {
	h := c.held.Load()
	if h != nil && h.short(time.Now(), least) && !c.failing.Load() {
		_, f, _ := c.join(ctx, time.Now(), func(now *held, _ time.Time) bool { return now != h })
		if f != nil {
			_, _ = f.wait(ctx) // Retrieve gives what is there then
		}
	}
	return c.Retrieve(ctx)
}

// short reports that less than least is left, and that a new credential of the
// same life would have more.
func (h *held) short(now time.Time, least time.Duration) bool {
	if h.until.Sub(now) >= least {
		return false
	}
	life := 2 * h.until.Sub(h.halfAt)
	return !now.Before(h.halfAt) || life > least+time.Minute
}

// await takes part in a fetch until it is done or ctx ends.
func (c *Cached) await(ctx context.Context) (aws.Credentials, error) {
	h, f, err := c.join(ctx, time.Now(), (*held).fresh)
	if f != nil {
		h, err = f.wait(ctx)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	return h.credentials, nil
}

// join returns what is held if it is good, else the fetch under way, or a new
// one; or the error of the last one, when that is not long ago.
func (c *Cached) join(ctx context.Context, now time.Time, good func(*held, time.Time) bool) (*held, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joinLocked(ctx, now, good)
}

func (c *Cached) joinLocked(ctx context.Context, now time.Time, good func(*held, time.Time) bool) (*held, *flight, error) {
	if h := c.held.Load(); h != nil && good(h, now) {
		return h, nil, nil
	}
	if c.flight != nil {
		return nil, c.flight, nil
	}
	if now.Before(c.retryAt) {
		return nil, nil, c.failed
	}
	if c.abandoned != nil { // a second fetch would only hang beside the first
		c.retryAt = c.nextLocked(now)
		c.quiet.Store(c.retryAt.UnixNano())
		return nil, nil, c.abandoned.err
	}
	f, err := c.takeOffLocked(ctx, now)
	return nil, f, err
}

// takeOffLocked starts a fetch that is bound by the cache's timeout and not by
// ctx's end. It keeps ctx's values, for traces.
func (c *Cached) takeOffLocked(ctx context.Context, now time.Time) (*flight, error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel}
	if err := c.cache.enter(f); err != nil {
		cancel(err)
		return nil, err
	}
	c.flight = f
	c.quiet.Store(now.Add(c.cache.timeout).UnixNano())
	go func() {
		defer c.cache.leave(f)
		c.fly(ctx, f)
	}()
	return f, nil
}

// fly fetches. Callers are freed when the time is over even if the provider
// does not heed its context; what it brings nevertheless is served.
func (c *Cached) fly(ctx context.Context, f *flight) {
	defer f.cancel(nil)
	late := fmt.Errorf("%v: no answer within %s", c.from, c.cache.timeout)
	clock := newClock(c.cache.timeout, func() { f.cancel(late) })
	defer clock.end()
	landed := context.AfterFunc(ctx, func() { c.abandon(f, context.Cause(ctx)) })
	began, before := time.Now(), c.held.Load()
	h, err := (*held)(nil), errUnfinished
	defer func() { // whatever the provider does
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // and not how the provider puts it
		}
		c.land(f, h, err)
		landed()
		ended := Fetch{Provider: c.String(), Key: c.key, Took: time.Since(began), Background: before != nil && began.Before(before.blockAt), Err: err}
		if h != nil && !h.forever {
			ended.Expires = h.until
		}
		c.cache.report(ctx, ended)
	}()
	h, err = c.fetch(context.WithValue(ctx, underwayKey{}, &underway{&c.cache.budgets, clock}))
}

// fetch asks the provider, and refuses what nobody could use.
func (c *Cached) fetch(ctx context.Context) (*held, error) {
	got, err := c.from.Retrieve(ctx)
	now := time.Now()
	switch {
	case err != nil:
		return nil, err
	case !got.HasKeys():
		return nil, fmt.Errorf("%v: the provider gave none", c.from)
	case got.CanExpire && !now.Before(got.Expires):
		return nil, fmt.Errorf("%v: expired on arrival, at %s; is the clock right?", c.from, got.Expires.Format(time.RFC3339))
	}
	h := hold(got, now)
	if p, ok := c.from.(interface{ asksPeople() bool }); ok && p.asksPeople() && !h.forever {
		h.halfAt, h.refreshAt = h.blockAt, h.blockAt
	}
	return h, nil
}

// land ends a fetch: what it brought is served, or its failure is remembered
// for a while.
func (c *Cached) land(f *flight, h *held, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned == f {
		c.abandoned = nil
		if err != nil {
			return // it has been remembered
		}
	}
	if err != nil {
		c.failLocked(f, err)
		return
	}
	h.renewal = f.renewal
	if old := c.held.Load(); old != nil {
		c.previous = old.credentials.AccessKeyID
	}
	c.failures, c.failed, c.retryAt = 0, nil, time.Time{}
	c.held.Store(h)
	c.quiet.Store(0)
	c.failing.Store(false)
	if c.flight == f {
		c.flight = nil
		f.held = h
		close(f.done)
	}
}

// abandon frees those who wait for a fetch before its provider returns.
func (c *Cached) abandon(f *flight, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == f { // it has not landed
		c.abandoned = f
		c.failLocked(f, err)
	}
}

// failLocked ends the fetch under way.
func (c *Cached) failLocked(f *flight, err error) {
	if !errors.Is(err, ErrClosed) {
		if h := c.held.Load(); h != nil && !h.doubt.IsZero() && denied(err) {
			c.held.Store(nil) // neither the services nor STS want to know of it
		}
		c.failures++
		c.failed = err
		c.retryAt = c.nextLocked(time.Now())
		c.quiet.Store(c.retryAt.UnixNano())
		c.failing.Store(true)
	}
	c.flight = nil
	f.err = err
	close(f.done)
}

// nextLocked is when to try again: seldom while what is held will do for
// longer, but not past the time when callers begin to wait; within three
// seconds once they do, so that they recover soon.
func (c *Cached) nextLocked(now time.Time) time.Time {
	if h := c.held.Load(); h != nil && now.Before(h.blockAt) {
		next := now.Add(backoff(c.failures, 5*time.Second, time.Minute))
		if next.After(h.blockAt) {
			return h.blockAt
		}
		return next
	}
	_, paced := errors.AsType[*pacedError](c.failed)
	switch {
	case paced:
		return now
	case denied(c.failed):
		// STS goes on saying so until somebody changes a policy.
		return now.Add(backoff(c.failures, 1500*time.Millisecond, 30*time.Second))
	}
	return now.Add(backoff(c.failures, 1500*time.Millisecond, 3*time.Second))
}

// backoff doubles from first to longest with every failure, less up to a
// quarter at random.
func backoff(failures int, first, longest time.Duration) time.Duration {
	d := min(first<<min(max(failures-1, 0), 10), longest)
	return d - rand.N(d/4)
}

// Keep refreshes the credential from half of its life on, whether anybody asks
// for it or not, until ctx ends. It is for those who hand the credential on to
// programs that ask late and once: they find as much life as can be had.
func (c *Cached) Keep(ctx context.Context) {
	for {
		next, ok := c.keepOnce(ctx)
		if !ok {
			return
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// keepOnce refreshes if it is time, and says when to look again.
func (c *Cached) keepOnce(ctx context.Context) (next time.Time, ok bool) {
	young := func(h *held, now time.Time) bool { return now.Before(h.halfAt) }
	h, f, err := c.join(ctx, time.Now(), young)
	if f != nil {
		h, err = f.wait(ctx)
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrClosed):
		return time.Time{}, false
	case err != nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.retryAt, true
	case h.forever:
		<-ctx.Done()
		return time.Time{}, false
	}
	return h.halfAt, true
}

// idle reports that nothing would be lost with c.
func (c *Cached) idle(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held.Load()
	return c.flight == nil && c.abandoned == nil && !now.Before(c.retryAt) && (h == nil || !h.valid(now))
}

// Key implements [Provider].
func (c *Cached) Key() string { return c.key }

// SessionName is the name of the role sessions, "" where there are none.
func (c *Cached) SessionName() string { return sessionNameOf(c.from) }

// SourceIdentity is that of the role sessions, "" where none is known of.
func (c *Cached) SourceIdentity() string { return sourceIdentityOf(c.from) }

// String names the role or source.
func (c *Cached) String() string { return fmt.Sprint(c.from) }

// Format prints as String, whatever the verb.
func (c *Cached) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }
