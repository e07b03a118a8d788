// Package growth tells tests whether work grows no faster than what it is
// given. There is one function, [Check].
//
// It is for work that cannot count its own steps. It compares times with each
// other, never with a clock on the wall, and takes the best of several, so that
// a busy machine does not matter; what it tells apart is n from n², nothing finer.
package growth

import (
	"testing"
	"time"
)

const (
	factor = 32
	// Between 32, which is linear, and 1,024, which is quadratic.
	limit = 300
	// The best of so many counts; of more where that would fail.
	fewTries, tries = 3, 8
	// What takes less, at its largest, is mostly not the work itself.
	least = 5 * time.Millisecond
)

// Check fails tb if the work that prepare gives for 32·n takes much more than
// 32 times as long as that for n. Only the work is timed.
func Check(tb testing.TB, n int, prepare func(n int) (work func())) {
	tb.Helper()
	small, large := prepare(n), prepare(factor*n)
	var short, long time.Duration
	for try := range tries {
		short, long = shorter(short, small), shorter(long, large)
		if long < least || try+1 >= fewTries && long < limit*short {
			return
		}
	}
	tb.Errorf("%v for %d, %v for %d times as much", short, n, long, factor)
}

// shorter is the time that work takes, or best where that is less and not zero.
func shorter(best time.Duration, work func()) time.Duration {
	start := time.Now()
	work()
	if took := time.Since(start); best == 0 || took < best {
		return took
	}
	return best
}
