package store

import (
	"sync"
	"time"
)

// Clock tells the local AWS's time. Implementations are safe for concurrent use.
type Clock interface {
	Now() time.Time
}

// Adjustable is a Clock that can be moved forward.
type Adjustable interface {
	Clock
	Advance(d time.Duration)
}

// RunningClock is the computer's clock plus an offset.
type RunningClock struct {
	mu     sync.RWMutex
	offset time.Duration
}

// NewClock returns a RunningClock without offset.
func NewClock() *RunningClock { return &RunningClock{} }

// Now is the computer's time plus the offset.
func (c *RunningClock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return time.Now().Add(c.offset)
}

// Advance adds d to the offset.
func (c *RunningClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// ManualClock stands still until it is moved; for tests.
type ManualClock struct {
	mu  sync.RWMutex
	now time.Time
}

// NewManualClock returns a clock that stands at now.
func NewManualClock(now time.Time) *ManualClock { return &ManualClock{now: now} }

// Now is the time the clock was moved to.
func (c *ManualClock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.now
}

// Advance moves the clock by d.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
