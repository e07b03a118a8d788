// Package probe makes live attempts with the declared identities: what must be
// allowed, and beside it what must be refused.
//
// [Run] takes each route's hops for real and then tries, with calls that change
// nothing (catalog.ProbeFor), the actions that the route ends in. Negative
// probes differ in one fact from what was declared: another service account's
// token, another audience, a wrong external id, the way past the hub, an action
// nobody declared. What cannot be tried is a result that says why.
//
// The package decides nothing about policies (see internal/verify) and mints no
// credentials: tokens and sources come from its [Config].
package probe

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
)

// Config says how to reach AWS and whose identities can be had. The zero Config
// reaches AWS itself and can have nobody's.
type Config struct {
	// Base has region, endpoint and transport; its credentials are not used.
	Base aws.Config
	// Token gives a token with a service account's issuer, subject and audience,
	// which may be one that nobody declared. Its claims are looked at: a source
	// that gives the same token to everybody is found out. Nil: there is none.
	Token func(ctx context.Context, c compile.Caller) (string, error)
	// Credentials gives the own credentials of a role or user. Nil: there are none.
	Credentials func(ctx context.Context, c compile.Caller) (aws.CredentialsProvider, error)
	// Deployer gives the credentials that stile manages an account with; they
	// must not get into roles past their hub. Nil: that is not probed.
	Deployer func(ctx context.Context, account arn.AccountID) (aws.CredentialsProvider, error)
	// Inventory resolves resource patterns to what exists. Nil: names are made up
	// where the answer for a missing resource proves as much.
	Inventory *inventory.Inventory
	// STSOnly takes the hops and makes no other call with what they lead to.
	STSOnly bool
	// Patience bounds the waits, all together, for what was changed moments ago
	// to be seen everywhere; default 30 seconds. Negative: no wait at all.
	Patience time.Duration
	// Sleep waits between attempts; nil means the computer's clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Now is the time by which routes have expired; nil means time.Now.
	Now func() time.Time
	// Routes bounds the routes probed side by side; default 8.
	Routes int
	// Done is told the results of each caller's way as soon as they are there, one
	// way at a time. Nil: Run's own results are enough.
	Done func(results []Result)
}

// Outcome is what came of an attempt, or should.
type Outcome string

// The outcomes. Unknown is neither: an outage or throttling (Result.Unavailable),
// credentials that do not work.
const (
	Allowed Outcome = "allowed"
	Denied  Outcome = "denied"
	Unknown Outcome = "unknown"
)

// Result is one attempt.
type Result struct {
	// Route is "CALLER -> ACCOUNT/ROLE", or "CALLER" where it keeps its identity.
	Route string `json:"route"`
	// Identity is who tried: the ARN that AWS gave, or the name of a caller that
	// holds a token only.
	Identity string `json:"identity"`
	What     string `json:"what"`
	// Expected is Allowed or Denied.
	Expected Outcome `json:"expected"`
	Got      Outcome `json:"got,omitempty"` // "" when not probed
	OK       bool    `json:"ok"`            // probed, and as expected
	// NotProbed says why no attempt was made, or none that proves anything.
	NotProbed string `json:"notProbed,omitempty"`
	// Unavailable is set when the service failed, throttled or did not answer, even
	// after the SDK's and our own retries: that says nothing about the access.
	Unavailable bool   `json:"unavailable,omitempty"`
	Error       string `json:"error,omitempty"` // AWS's, without the SDK's bookkeeping
}

// Wrong reports whether the attempt was made and answered, and is not as it
// should be.
func (r *Result) Wrong() bool { return r.NotProbed == "" && !r.OK && !r.Unavailable }

// OK reports whether no attempt went wrong. That nothing could be probed is no
// fault of the access: look at the results for that.
func OK(results []Result) bool {
	for i := range results {
		if results[i].Wrong() {
			return false
		}
	}
	return true
}

// Answered reports whether every attempt that was made got an answer.
func Answered(results []Result) bool {
	return !slices.ContainsFunc(results, func(r Result) bool { return r.Unavailable })
}

// Run probes every route of w and returns the results in the order of the
// routes. The error is ctx's, when it ended: then the results are incomplete.
func Run(ctx context.Context, w *compile.Wanted, cfg Config) ([]Result, error) {
	p := &prober{cfg: cfg, wanted: w}
	groups := p.journeys()
	var g errgroup.Group
	g.SetLimit(p.limit())
	for _, j := range groups {
		g.Go(func() error {
			j.run(ctx)
			p.done(ctx, j.results)
			return ctx.Err()
		})
	}
	err := g.Wait()
	var out []Result
	for _, j := range groups {
		out = append(out, j.results...)
	}
	return out, err
}

// prober is one run.
type prober struct {
	cfg    Config
	wanted *compile.Wanted

	mu     sync.Mutex // guards waited
	waited time.Duration

	telling sync.Mutex // held while Config.Done is told, so that it is told one way at a time
}

// done tells the results of one way, unless they are cut off.
func (p *prober) done(ctx context.Context, results []Result) {
	if p.cfg.Done == nil || ctx.Err() != nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	p.cfg.Done(results)
}

func (p *prober) limit() int {
	if p.cfg.Routes > 0 {
		return p.cfg.Routes
	}
	return 8
}

func (p *prober) now() time.Time {
	if p.cfg.Now != nil {
		return p.cfg.Now()
	}
	return time.Now()
}

// journeys puts the routes together that a caller takes by the same hops: they
// are one identity in the end.
func (p *prober) journeys() []*journey {
	var out []*journey
	known := map[string]*journey{}
	for i := range p.wanted.Routes {
		r := &p.wanted.Routes[i]
		hops, err := json.Marshal(r.Hops)
		if err != nil {
			panic("probe.Run: " + err.Error()) // hops are plain data
		}
		key := r.Caller.Name + "\n" + string(hops)
		if len(r.Hops) == 0 {
			key += string(r.Account) // permissions there are on resources of that account
		}
		j := known[key]
		if j == nil {
			j = &journey{prober: p, first: r, name: r.Caller.Name, identity: r.Caller.Name}
			if r.Address != "" {
				j.name += " -> " + r.Address
			}
			known[key] = j
			out = append(out, j)
		}
		j.routes = append(j.routes, r)
	}
	return out
}
