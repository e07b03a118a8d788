// Package apply carries out a plan.
//
// [Run] takes the steps in the plan's order, side by side where they do not
// wait for each other, retries what AWS will accept later (throttling,
// principals not visible yet, cut connections) with a bound, and tells an
// observer of each step. Before anything is made, the scope's ledger in its
// home account says that it may be there (see [Ledgers]); so a run that is
// killed at any instant leaves nothing unknown, and the next plan goes on from
// what exists. Steps are safe to repeat.
//
// Run decides nothing: what to do, and in what order, is internal/plan's.
package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/plan"
)

// Source gives the configuration to change an account with. It must fail for
// accounts it does not know, and must not give credentials of another account.
type Source interface {
	Config(ctx context.Context, account arn.AccountID, region string) (aws.Config, error)
}

// Config is how to run a plan.
type Config struct {
	Source Source // required
	// Ledgers keeps the scope's ledger; required.
	Ledgers *Ledgers
	// Observe hears of every step; calls do not overlap. Nil: nobody listens.
	Observe func(Event)
	// Sleep waits between attempts; nil means the computer's clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Patience bounds the retries of one step by the time they take; default 5 minutes.
	Patience time.Duration
	// Calls bounds the calls in flight in one account (default 4), and Accounts
	// times Calls those altogether (default 16 accounts).
	Accounts, Calls int
	// Now tells the time for events; nil means time.Now.
	Now func() time.Time
}

func (c *Config) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return 5 * time.Minute
}

func (c *Config) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// State is where a step is.
type State string

// The states an Event tells of.
const (
	Started State = "started"
	Waiting State = "waiting" // a retry is due; Event.Error says why
	Done    State = "done"
	Failed  State = "failed"
	Skipped State = "skipped" // a step it waits for failed
)

// Event is something that happened to a step.
type Event struct {
	Time    time.Time     `json:"time"`
	State   State         `json:"state"`
	Step    string        `json:"step"`
	Account arn.AccountID `json:"account"`
	Summary string        `json:"summary"`
	Error   string        `json:"error,omitempty"`
	Attempt int           `json:"attempt,omitempty"`
}

// Result counts what came of the steps.
type Result struct {
	Done, Failed, Skipped int
	Failures              []error // one for each failed step, naming it
}

// Err is nil when every step was done.
func (r *Result) Err() error { return errors.Join(r.Failures...) }

// Run carries out p. The error tells of failed steps, or that the ledger could
// not be kept; then nothing was changed after it. Cancelling ctx stops before
// the next call; what was done stays done and recorded.
func Run(ctx context.Context, p *plan.Plan, cfg Config) (Result, error) {
	if cfg.Ledgers.Ledger().Digest() != p.LedgerRead {
		return Result{}, ErrLedgerMoved
	}
	if len(p.Steps) == 0 && !cfg.Ledgers.differs(p) && !cfg.Ledgers.removable(p) {
		return Result{}, nil
	}
	r := &run{cfg: cfg, plan: p, state: map[string]State{}, wake: make(chan struct{})}
	if err := cfg.Ledgers.begin(ctx, p, r); err != nil {
		return Result{}, err
	}
	r.execute(ctx)
	result := r.result()
	if err := cfg.Ledgers.end(context.WithoutCancel(ctx), p, r); err != nil {
		return result, errors.Join(result.Err(), err)
	}
	return result, result.Err()
}

// run is one execution of a plan.
type run struct {
	cfg  Config
	plan *plan.Plan

	mu       sync.Mutex // guards state, failures, wake and the observer
	state    map[string]State
	failures []error
	wake     chan struct{} // closed and made anew whenever a step ends
}

// execute starts every step; each waits for those before it and for a place in
// its account.
func (r *run) execute(ctx context.Context) {
	accounts := newLimiter(r.cfg.Accounts, r.cfg.Calls)
	var wg sync.WaitGroup
	for i := range r.plan.Steps {
		s := &r.plan.Steps[i]
		wg.Go(func() { r.runStep(ctx, s, accounts) })
	}
	wg.Wait()
}

func (r *run) runStep(ctx context.Context, s *plan.Step, places *limiter) {
	if err := r.waitFor(ctx, s); err != nil {
		r.finish(s, Skipped, err)
		return
	}
	release, err := places.take(ctx, s.Account)
	if err != nil {
		r.finish(s, Skipped, err)
		return
	}
	defer release()
	r.event(Event{State: Started, Step: s.ID, Account: s.Account, Summary: s.Summary})
	if err := r.retry(ctx, s); err != nil {
		r.finish(s, Failed, err)
		return
	}
	r.finish(s, Done, nil)
}

// waitFor blocks until every step that s waits for has ended. The error names one
// that did not succeed, or what stopped the wait.
func (r *run) waitFor(ctx context.Context, s *plan.Step) error {
	for {
		r.mu.Lock()
		open, bad := false, ""
		for _, id := range s.After {
			switch r.state[id] {
			case Done:
			case Failed, Skipped:
				bad = id
			default:
				open = true
			}
		}
		wake := r.wake
		r.mu.Unlock()
		switch {
		case bad != "":
			return fmt.Errorf("step %s was not done", bad)
		case !open:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *run) finish(s *plan.Step, state State, err error) {
	e := Event{State: state, Step: s.ID, Account: s.Account, Summary: s.Summary}
	switch {
	case err == nil:
	case awserr.KindOf(err) == awserr.Canceled:
		e.Error = "interrupted; the next run sees whether it took effect"
	default:
		e.Error = awserr.Text(err)
	}
	r.event(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state[s.ID] = state
	if state == Failed {
		r.failures = append(r.failures, fmt.Errorf("%s: %s: %w", r.accountName(s.Account), s.Summary, awserr.Plain(err)))
	}
	close(r.wake)
	r.wake = make(chan struct{})
}

func (r *run) accountName(id arn.AccountID) string {
	if n := r.plan.Accounts[id]; n != "" {
		return n
	}
	return string(id)
}

func (r *run) event(e Event) {
	if r.cfg.Observe == nil {
		return
	}
	e.Time = r.cfg.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg.Observe(e)
}

// succeeded reports whether the step with this id was done.
func (r *run) succeeded(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state[id] == Done
}

func (r *run) result() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Result{Failures: r.failures}
	for _, s := range r.state {
		switch s {
		case Done:
			out.Done++
		case Failed:
			out.Failed++
		case Skipped:
			out.Skipped++
		}
	}
	return out
}

// limiter bounds the calls in flight, in one account and altogether.
type limiter struct {
	calls int
	all   chan struct{}

	mu       sync.Mutex // guards accounts
	accounts map[arn.AccountID]chan struct{}
}

func newLimiter(accounts, calls int) *limiter {
	if accounts <= 0 {
		accounts = 16
	}
	if calls <= 0 {
		calls = 4
	}
	return &limiter{calls: calls, all: make(chan struct{}, accounts*calls), accounts: map[arn.AccountID]chan struct{}{}}
}

// take waits for a place in the account and overall.
func (l *limiter) take(ctx context.Context, id arn.AccountID) (release func(), err error) {
	l.mu.Lock()
	slots := l.accounts[id]
	if slots == nil {
		slots = make(chan struct{}, l.calls)
		l.accounts[id] = slots
	}
	l.mu.Unlock()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case l.all <- struct{}{}:
	case <-ctx.Done():
		<-slots
		return nil, ctx.Err()
	}
	return func() { <-l.all; <-slots }, nil
}
