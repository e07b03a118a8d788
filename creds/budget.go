package creds

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/awserr"
)

// A budget keeps the STS calls of one account and Region below AWS's quota,
// which all credentials got from there share. Once STS throttles, one call at a
// time asks whether it still does, and everybody else waits for the answer:
// many callers with their own backoffs would keep it throttling.
type budget struct {
	rate  float64 // calls a second; at most one second's worth at once
	slots chan struct{}

	mu       sync.Mutex // guards the rest
	tokens   float64    // below zero: turns given away already
	filled   time.Time
	throttle int       // refusals in a row
	openAt   time.Time // when the next call may ask
	probing  bool      // one is asking
	turned   chan struct{}
}

// Quotas of STS: 600 requests a second for each account and Region (IAM guide
// reference_iam-quotas). Half of it is ours unless told otherwise: others work
// with the account too.
const (
	defaultRate   = 300
	inFlight      = 64
	longestPause  = 3 * time.Second
	firstPause    = 500 * time.Millisecond
	longestAtGate = 5 * time.Second
)

func newBudget(rate float64, now time.Time) *budget {
	return &budget{rate: rate, slots: make(chan struct{}, inFlight), tokens: rate, filled: now, turned: make(chan struct{})}
}

// ErrThrottled means that STS refuses calls of an account because there were too
// many, and that this one was not made.
var ErrThrottled = errors.New("STS throttles requests of this account")

// enter waits until a call may be made: by the rate, for a slot, and for the
// gate. The leave it returns is told what became of the call.
func (b *budget) enter(ctx context.Context) (leave func(error), err error) {
	if err := wait(ctx, b.reserve(time.Now()), nil); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(longestAtGate)
	for {
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		now := time.Now()
		closed, turned, probe := b.gate(now)
		if closed <= 0 {
			return func(err error) {
				<-b.slots
				b.settle(probe, err)
			}, nil
		}
		<-b.slots
		if !now.Before(deadline) {
			return nil, ErrThrottled
		}
		if err := wait(ctx, min(closed, deadline.Sub(now)), turned); err != nil {
			return nil, err
		}
	}
}

// wait ends after d, or when turned does.
func wait(ctx context.Context, d time.Duration, turned <-chan struct{}) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-turned:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// reserve takes the next turn and says how far off it is.
func (b *budget) reserve(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.rate, b.tokens+now.Sub(b.filled).Seconds()*b.rate) - 1
	b.filled = now
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}

// gate says how long STS is to be left alone, and what to listen to meanwhile.
// probe is set for the one call that is let through while STS throttles.
func (b *budget) gate(now time.Time) (closed time.Duration, turned <-chan struct{}, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.throttle == 0:
		return 0, nil, false
	case b.probing:
		return longestAtGate, b.turned, false
	case now.Before(b.openAt):
		return b.openAt.Sub(now), b.turned, false
	}
	b.probing = true
	return 0, nil, true
}

// settle takes what became of a call: throttled ones close the gate for a while,
// a probe that was not opens it.
func (b *budget) settle(probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	now := time.Now()
	switch {
	case throttled(err) && (probe || b.throttle == 0):
		b.throttle++
		b.openAt = now.Add(backoff(b.throttle, firstPause, longestPause))
	case throttled(err), !probe:
		return // others found out first
	case answered(err):
		b.throttle = 0
	}
	close(b.turned)
	b.turned = make(chan struct{})
}

// answered reports that a call came through, whatever STS said.
func answered(err error) bool {
	var api smithy.APIError
	return err == nil || errors.As(err, &api)
}

// throttled reports that AWS refused a call because there were too many.
func throttled(err error) bool {
	return errors.Is(err, ErrThrottled) || awserr.KindOf(err) == awserr.Throttled
}

// denied reports that AWS will refuse the same call until somebody changes a
// policy.
func denied(err error) bool { return awserr.KindOf(err) == awserr.Denied }

// budgets are the budgets of a Cache, by account and Region.
type budgets struct {
	rate float64

	mu sync.Mutex // guards of
	of map[string]*budget
}

func (s *budgets) get(name string) *budget {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.of[name]
	if b == nil {
		b = newBudget(s.rate, time.Now())
		s.of[name] = b
	}
	return b
}

// budgetsKey finds the budgets of the Cache that a provider fetches for.
type budgetsKey struct{}

// within makes an STS call inside the budget of account and region. Providers
// that no Cache asks have none.
func within[T any](ctx context.Context, account, region string, call func(context.Context) (T, error)) (T, error) {
	all, ok := ctx.Value(budgetsKey{}).(*budgets)
	if !ok {
		return call(ctx)
	}
	leave, err := all.get(account + " " + region).enter(ctx)
	if err != nil {
		var none T
		return none, err
	}
	out, err := call(ctx)
	leave(err)
	return out, err
}
