package creds

import (
	"context"
	"sync"
	"time"
)

// underway is what a fetch carries in its context.
type underway struct {
	budgets *budgets // of the Cache it is for
	clock   *clock
}

type underwayKey struct{}

// fetching is the fetch that ctx is of, nil when it is of none.
func fetching(ctx context.Context) *underway {
	u, _ := ctx.Value(underwayKey{}).(*underway)
	return u
}

// clock is the time that a fetch has. It stands still while the fetch waits for
// another one, which has a clock of its own, and in the queue of a budget as long
// as STS answers others, so that nothing fails for being one of many.
type clock struct {
	over func()

	mu      sync.Mutex // guards the rest
	timer   *time.Timer
	left    time.Duration // when it was started last
	since   time.Time     // when it was started, or stopped, last
	stopped int           // stops without a start yet
	queue   *budget       // what it was stopped for; nil when for another fetch
}

// newClock starts a clock that calls over, which must not wait, when the time is
// over. End it.
func newClock(limit time.Duration, over func()) *clock {
	k := &clock{over: over, left: limit, since: time.Now()}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(limit, k.ring)
	return k
}

// stop stops the clock, for a place in the queue of a budget or, without one,
// for another fetch.
func (k *clock) stop(queue *budget) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped++; k.stopped > 1 {
		return
	}
	now := time.Now()
	k.left -= now.Sub(k.since)
	k.since, k.queue = now, queue
	if k.timer.Stop(); queue != nil {
		k.setLocked(k.left)
	}
}

// start lets a stopped clock go on.
func (k *clock) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped--; k.stopped > 0 {
		return
	}
	now := time.Now()
	k.left -= k.wastedLocked(now)
	k.since, k.queue = now, nil
	k.setLocked(k.left)
}

// setLocked rings when d has passed.
func (k *clock) setLocked(d time.Duration) {
	if d <= 0 {
		k.over()
		return
	}
	k.timer.Reset(d)
}

func (k *clock) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer.Stop()
}

// ring ends the time, unless the timer was set for what is no more.
func (k *clock) ring() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	switch {
	case k.stopped == 0:
		if now.Sub(k.since) < k.left {
			return
		}
	case k.queue == nil:
		return
	default:
		if left := k.left - k.wastedLocked(now); left > 0 {
			k.setLocked(max(left, glance)) // while nobody calls STS, nothing of it is wasted
			return
		}
	}
	k.over()
}

// glance is how often a queue is looked at, at most.
const glance = 50 * time.Millisecond

// wastedLocked is how much of the time in a queue STS was silent.
func (k *clock) wastedLocked(now time.Time) time.Duration {
	if k.queue == nil {
		return 0
	}
	return min(now.Sub(k.since), k.queue.silence(now))
}
