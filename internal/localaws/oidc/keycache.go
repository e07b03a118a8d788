package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	defaultTTL        = 10 * time.Minute
	defaultMinRefresh = 5 * time.Second
	defaultTimeout    = 5 * time.Second
	defaultMaxBytes   = 64 << 10
	defaultMaxIssuers = 256
)

// keyCache holds issuers' keys. Many callers that miss at once cause one
// fetch, which no single caller's cancellation ends.
type keyCache struct {
	fetch      func(ctx context.Context, url string) ([]byte, error)
	urls       urlPolicy
	ttl        time.Duration
	minRefresh time.Duration
	timeout    time.Duration
	maxBytes   int
	maxIssuers int
	now        func() time.Time

	flights singleflight.Group

	mu      sync.Mutex // guards issuers
	issuers map[string]cached
}

// cached is what is known of an issuer. A failed fetch keeps the keys of the
// last good one until their TTL is over.
type cached struct {
	set     keySet
	fetched time.Time // of set; zero: never
	tried   time.Time
	err     error // of the last try
}

func newKeyCache(cfg VerifierConfig) *keyCache {
	c := &keyCache{
		fetch:      cfg.Fetch,
		urls:       urlPolicy{allow: cfg.AllowHosts},
		ttl:        orDefault(cfg.TTL, defaultTTL),
		minRefresh: orDefault(cfg.MinRefresh, defaultMinRefresh),
		timeout:    orDefault(cfg.Timeout, defaultTimeout),
		maxBytes:   positive(cfg.MaxBytes, defaultMaxBytes),
		maxIssuers: positive(cfg.MaxIssuers, defaultMaxIssuers),
		now:        cfg.Now,
		issuers:    make(map[string]cached),
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.fetch == nil {
		c.fetch = NewFetcher(FetcherConfig{AllowHosts: cfg.AllowHosts, MaxBytes: c.maxBytes}).Get
	}
	return c
}

func positive(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// find gives an issuer's key, from memory if it can.
func (c *keyCache) find(ctx context.Context, issuer, kid string, a algorithm) (publicKey, *Failure) {
	if key, f, known := c.lookup(issuer, kid, a); known {
		return key, f
	}
	select {
	case <-ctx.Done():
		return publicKey{}, unreachable(context.Cause(ctx))
	case r := <-c.refresh(ctx, issuer):
		if r.Err != nil {
			return publicKey{}, unreachable(r.Err)
		}
		set, _ := r.Val.(keySet)
		if key, ok := set.find(kid, a); ok {
			return key, nil
		}
		return publicKey{}, keyNotFound()
	}
}

// lookup answers from memory; known is false when the issuer must be asked.
func (c *keyCache) lookup(issuer, kid string, a algorithm) (key publicKey, f *Failure, known bool) {
	c.mu.Lock()
	e, ok := c.issuers[issuer]
	c.mu.Unlock()
	if !ok {
		return publicKey{}, nil, false
	}
	now := c.now()
	fresh := !e.fetched.IsZero() && now.Sub(e.fetched) < c.ttl
	if fresh {
		if key, ok := e.set.find(kid, a); ok {
			return key, nil, true
		}
	}
	switch {
	case now.Sub(e.tried) >= c.minRefresh:
		return publicKey{}, nil, false
	case e.err != nil:
		return publicKey{}, unreachable(e.err), true
	case fresh:
		return publicKey{}, keyNotFound(), true
	}
	return publicKey{}, nil, false
}

// refresh starts or joins the fetch of an issuer's keys. The fetch has its own
// time limit and outlives callers who leave.
func (c *keyCache) refresh(ctx context.Context, issuer string) <-chan singleflight.Result {
	return c.flights.DoChan(issuer, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		set, err := c.load(ctx, issuer)
		c.store(issuer, set, err)
		return set, err
	})
}

func (c *keyCache) store(issuer string, set keySet, err error) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.issuers[issuer]
	if !ok && len(c.issuers) >= c.maxIssuers {
		c.evictLocked()
	}
	e.tried, e.err = now, err
	if err == nil {
		e.set, e.fetched = set, now
	}
	c.issuers[issuer] = e
}

// evictLocked drops the issuer asked longest ago.
func (c *keyCache) evictLocked() {
	oldest, first := "", true
	for name, e := range c.issuers {
		if first || e.tried.Before(c.issuers[oldest].tried) {
			oldest, first = name, false
		}
	}
	delete(c.issuers, oldest)
}

// load fetches the discovery document and then the keys it points to.
func (c *keyCache) load(ctx context.Context, issuer string) (keySet, error) {
	data, err := c.get(ctx, strings.TrimSuffix(issuer, "/")+discoveryPath, issuer)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("parsing discovery document of %s: %w", issuer, err)
	}
	if doc.Issuer != issuer {
		return nil, fmt.Errorf("checking discovery document of %s: it names the issuer %q", issuer, clip(doc.Issuer))
	}
	if doc.JWKSURI == "" {
		return nil, fmt.Errorf("checking discovery document of %s: no jwks_uri", issuer)
	}
	data, err = c.get(ctx, doc.JWKSURI, issuer)
	if err != nil {
		return nil, err
	}
	return parseKeySet(data)
}

func (c *keyCache) get(ctx context.Context, address, issuer string) ([]byte, error) {
	if err := c.urls.check(address, issuer); err != nil {
		return nil, err
	}
	data, err := c.fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", clip(address), err)
	}
	if len(data) > c.maxBytes {
		return nil, fmt.Errorf("fetching %s: %w", clip(address), errTooLarge)
	}
	return data, nil
}

var errTooLarge = errors.New("the document is too large")

func unreachable(err error) *Failure {
	f := fail(Unreachable, "Couldn't retrieve verification key from your identity provider, "+
		"please reference AssumeRoleWithWebIdentity documentation for requirements")
	f.Cause = err
	return f
}

func keyNotFound() *Failure {
	return fail(KeyNotFound, "Couldn't retrieve verification key from your identity provider, "+
		"please reference AssumeRoleWithWebIdentity documentation for requirements")
}
