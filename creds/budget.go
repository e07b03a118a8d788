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
// which all credentials got from there share. Who wants to call stands in a
// queue, and takes nothing from the others until its call is made: who leaves
// has spent nothing. Once STS throttles, one call at a time asks whether it still
// does, and everybody else waits for the answer: many callers with their own
// backoffs would keep it throttling.
type budget struct {
	interval time.Duration // between calls
	burst    time.Duration // how far ahead of its time a call may be
	head     chan struct{} // of the queue
	slots    chan struct{}

	mu       sync.Mutex // guards the rest
	next     time.Time  // when the next call were due if none had been saved up
	throttle int        // refusals in a row
	openAt   time.Time  // when the next call may ask
	probing  bool       // one is asking
	turned   chan struct{}
	out      int           // calls under way
	silent   time.Duration // for how long, up to since, calls were under way and none was answered
	since    time.Time
}

// Quotas of STS: 600 requests a second for each account and Region (IAM guide
// reference_iam-quotas). Half of it is ours unless told otherwise: others work
// with the account too.
const (
	defaultRate   = 300
	inFlight      = 64
	saved         = time.Second // worth of calls that may be made at once
	longestPause  = 3 * time.Second
	firstPause    = 500 * time.Millisecond
	longestAtGate = 5 * time.Second
)

func newBudget(rate float64) *budget {
	interval := time.Duration(min(float64(time.Second)/rate, float64(time.Hour)))
	return &budget{interval: interval, burst: max(saved-interval, 0), head: make(chan struct{}, 1), slots: make(chan struct{}, inFlight), turned: make(chan struct{})}
}

// ErrThrottled means that STS refuses calls of an account because there were too
// many, and that this one was not made.
var ErrThrottled = errors.New("STS throttles requests of this account")

// pacedError is a throttling by STS. The next call may follow it at once: it
// stands in the budget's queue, and goes on with everybody else.
type pacedError struct{ error }

func (e *pacedError) Unwrap() error { return e.error }

// enter waits until a call may be made: for its turn, a slot, the rate and the
// gate. The leave it returns is told what became of the call.
func (b *budget) enter(ctx context.Context) (leave func(error), err error) {
	for patience := longestAtGate; ; {
		t, err := b.turn(ctx)
		if err != nil {
			return nil, err
		}
		if t.closed <= 0 {
			return func(err error) {
				<-b.slots
				b.settle(t.probe, err)
			}, nil
		}
		if patience <= 0 {
			return nil, ErrThrottled
		}
		began := time.Now()
		if err := wait(ctx, min(t.closed, patience), t.turned); err != nil {
			return nil, err
		}
		patience -= time.Since(began)
	}
}

// turn waits at the head of the queue for a slot and for the time of the next
// call. The slot is kept if the call may be made.
func (b *budget) turn(ctx context.Context) (turn, error) {
	if err := acquire(ctx, b.head); err != nil {
		return turn{}, err
	}
	defer func() { <-b.head }()
	if err := acquire(ctx, b.slots); err != nil {
		return turn{}, err
	}
	for {
		t := b.take(time.Now())
		if t.early <= 0 {
			if t.closed > 0 {
				<-b.slots
			}
			return t, nil
		}
		if err := wait(ctx, t.early, nil); err != nil {
			<-b.slots
			return turn{}, err
		}
	}
}

// turn is what the head of the queue may do: make its call if neither time is set.
type turn struct {
	early  time.Duration   // the rate wants it to wait
	closed time.Duration   // STS is to be left alone
	turned <-chan struct{} // ends when closed may have changed
	probe  bool            // it is the one call let through while STS throttles
}

func acquire(ctx context.Context, c chan struct{}) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
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

// take counts a call, if gate and rate let it through.
func (b *budget) take(now time.Time) turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if closed := b.closedLocked(now); closed > 0 {
		return turn{closed: closed, turned: b.turned}
	}
	if early := b.next.Add(-b.burst).Sub(now); early > 0 {
		return turn{early: early}
	}
	if b.next.Before(now) {
		b.next = now
	}
	b.next = b.next.Add(b.interval)
	if b.out == 0 {
		b.since = now
	}
	b.out++
	b.probing = b.throttle > 0
	return turn{probe: b.probing}
}

// closedLocked says how long STS is to be left alone.
func (b *budget) closedLocked(now time.Time) time.Duration {
	switch {
	case b.throttle == 0:
		return 0
	case b.probing:
		return longestAtGate
	}
	return b.openAt.Sub(now)
}

// silence is for how long STS has had calls to answer and has answered none.
func (b *budget) silence(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silenceLocked(now)
}

func (b *budget) silenceLocked(now time.Time) time.Duration {
	if b.out == 0 {
		return b.silent
	}
	return b.silent + now.Sub(b.since)
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
	b.silent, b.since = b.silenceLocked(now), now
	if b.out--; answered(err) && awserr.KindOf(err) != awserr.Transient {
		b.silent = 0
	}
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
		b = newBudget(s.rate)
		s.of[name] = b
	}
	return b
}

// errUnfinished is what became of a call that ended its goroutine.
var errUnfinished = errors.New("the call did not return")

// within makes an STS call inside the budget of account and region. Providers
// that no Cache asks have none.
func within[T any](ctx context.Context, account, region string, call func(context.Context) (T, error)) (out T, err error) {
	f := fetching(ctx)
	if f == nil {
		return call(ctx)
	}
	b := f.budgets.get(account + " " + region)
	f.clock.stop(b)
	leave, err := b.enter(ctx)
	f.clock.start()
	if err == nil {
		out, err = made(ctx, call, leave)
	}
	if throttled(err) {
		err = &pacedError{err}
	}
	return out, err
}

// made makes the call, and leaves whatever becomes of it.
func made[T any](ctx context.Context, call func(context.Context) (T, error), leave func(error)) (out T, err error) {
	err = errUnfinished
	defer func() { leave(err) }()
	return call(ctx)
}
