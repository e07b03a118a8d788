package creds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ErrClosed means that a Cache was closed and fetches nothing any more.
var ErrClosed = errors.New("the credential cache is closed")

// Config says how a Cache works. The zero Config is good.
type Config struct {
	// Timeout bounds one fetch, whoever waits for it. Default 30 s. While others'
	// calls to STS are answered, the time that the fetch waits for its turn among
	// them does not count.
	Timeout time.Duration
	// STSRate is how many STS requests a second this cache makes of each source
	// account and Region. Default 300, half of AWS's quota.
	STSRate float64
	// OnFetch, if set, is told of every fetch once it has ended, by the goroutine
	// that fetched. It must not block, and may be called by several at once.
	OnFetch func(Fetch)
	// Logger, if set, has a line for every fetch: Debug for success, Warn for failure.
	Logger *slog.Logger
}

// Fetch is what became of one fetch. It holds no secret.
type Fetch struct {
	Provider string // as the provider prints itself: "credentials of arn:aws:iam::…"
	Key      string
	Took     time.Duration
	// Background is set when no caller had to wait: there was a valid credential.
	Background bool
	Expires    time.Time // of the new credential; zero when it failed or lasts for ever
	Err        error
}

// Cache holds one credential for each distinct request: role, external id,
// tags, policies, session name, duration and source, but never the Region.
// Make one with [NewCache]. Safe for concurrent use.
type Cache struct {
	cfg     Config
	timeout time.Duration
	budgets budgets

	mu      sync.Mutex // guards entries and pruneAt
	entries map[string]*Cached
	pruneAt int // entries to have before the next look for unused ones

	// life guards closed and flying, so that no fetch begins while Close waits.
	life    sync.Mutex
	closed  bool
	flying  map[*flight]struct{}
	fetches sync.WaitGroup
}

// firstPrune is how many entries a Cache has before it first looks for those
// that nobody uses.
const firstPrune = 1024

// NewCache makes an empty Cache. Close it to end what it does in the background.
func NewCache(cfg Config) *Cache {
	c := &Cache{cfg: cfg, timeout: cfg.Timeout, entries: map[string]*Cached{}, pruneAt: firstPrune, flying: map[*flight]struct{}{}}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	c.budgets = budgets{rate: cfg.STSRate, of: map[string]*budget{}}
	if c.budgets.rate <= 0 {
		c.budgets.rate = defaultRate
	}
	return c
}

// Of returns the cached form of p: the same one for equal requests. Keep the
// result; looking it up for every call is slower than using it.
func (c *Cache) Of(p Provider) *Cached {
	if own, ok := p.(*Cached); ok && own.cache == c {
		return own
	}
	key := p.Key()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		return e
	}
	if len(c.entries) >= c.pruneAt {
		c.pruneLocked()
	}
	e := &Cached{cache: c, from: p, key: key}
	c.entries[key] = e
	return e
}

// pruneLocked drops what has expired and is not being fetched, and waits for
// the rest to double, so that pruning costs each entry little. Who still has a
// dropped entry can go on using it.
func (c *Cache) pruneLocked() {
	now := time.Now()
	for key, e := range c.entries {
		if e.idle(now) {
			delete(c.entries, key)
		}
	}
	c.pruneAt = max(firstPrune, 2*len(c.entries))
}

// Chain enters roles one after the other, beginning with the credentials of
// from, each hop cached on its own: targets behind one hub share the hub's
// credential. A hop without a session name takes the name of the hop before, so
// that a caller is seen under one name all the way. With no roles it is Of(from).
func (c *Cache) Chain(cfg aws.Config, from Provider, roles ...Role) (*Cached, error) {
	last := c.Of(from)
	for _, r := range roles {
		hop, err := NewAssumeRole(cfg, last, r)
		if err != nil {
			return nil, err
		}
		last = c.Of(hop)
	}
	return last, nil
}

// Close ends all fetches and waits until they are gone. Credentials that are
// still valid are served on; there will be no new ones.
func (c *Cache) Close() {
	c.life.Lock()
	c.closed = true
	for f := range c.flying {
		f.cancel(ErrClosed)
	}
	c.life.Unlock()
	c.fetches.Wait()
}

// enter admits a fetch, which must leave.
func (c *Cache) enter(f *flight) error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.flying[f] = struct{}{}
	c.fetches.Add(1)
	return nil
}

func (c *Cache) leave(f *flight) {
	c.life.Lock()
	delete(c.flying, f)
	c.life.Unlock()
	c.fetches.Done()
}

// report tells the hooks what became of a fetch.
func (c *Cache) report(ctx context.Context, f Fetch) {
	if c.cfg.OnFetch != nil {
		c.cfg.OnFetch(f)
	}
	if c.cfg.Logger == nil {
		return
	}
	if f.Err != nil {
		c.cfg.Logger.WarnContext(ctx, "fetching credentials failed", "of", f.Provider, "took", f.Took, "background", f.Background, "error", f.Err)
		return
	}
	c.cfg.Logger.DebugContext(ctx, "fetched credentials", "of", f.Provider, "took", f.Took, "background", f.Background, "expires", f.Expires)
}

// String tells how much the cache holds.
func (c *Cache) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("cache of %d credentials", len(c.entries))
}

// Format prints as String, whatever the verb.
func (c *Cache) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }
