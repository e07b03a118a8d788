package stile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
)

// How long a directory's answer is good, and how soon it is asked again for a
// name that it did not have, or after it failed; as long as nothing is known at
// all, that begins with bookFirst and doubles.
const (
	bookLife  = 10 * time.Minute
	bookRetry = 30 * time.Second
	bookFirst = time.Second
)

// bookTimeout is how long a directory may take, bookPatience how long somebody
// waits for it who can go on without.
const (
	bookTimeout  = 5 * time.Minute
	bookPatience = 5 * time.Second
)

var errPoolClosed = errors.New("the pool is closed")

// book is what a directory said last. It is asked by one goroutine at a time,
// which no caller's context ends.
type book struct {
	directory Directory
	page      atomic.Pointer[page] // nil until the directory has answered

	mu       sync.Mutex // guards the rest, and changes of page
	asking   *inquiry   // under way
	failures int        // in a row
	failed   error      // the last one's
	retryAt  time.Time  // after a failure
	closed   bool
	asked    sync.WaitGroup
}

// page is an answer of a directory; never changed.
type page struct {
	read   time.Time
	all    []Account // in the order of their names
	byName map[string][]arn.AccountID
}

// inquiry is one time that the directory is asked; err is valid once done is closed.
type inquiry struct {
	began  time.Time
	cancel context.CancelCauseFunc
	done   chan struct{}
	err    error
}

// resolve gives the id of an account. It waits for the directory only if the name
// is not known.
func (b *book) resolve(ctx context.Context, account string) (arn.AccountID, error) {
	if id := arn.AccountID(account); id.Valid() {
		return id, nil
	}
	switch {
	case account == "":
		return "", fmt.Errorf("choosing an account: none is given")
	case b.directory == nil:
		return "", fmt.Errorf("choosing an account: %q is not the id of one (twelve digits), and the pool has no Directory of names", account)
	}
	known := b.page.Load()
	if known == nil || len(known.byName[account]) == 0 {
		err := b.wait(ctx, bookRetry, bookTimeout)
		if known = b.page.Load(); known == nil || err != nil && len(known.byName[account]) == 0 {
			return "", fmt.Errorf("choosing account %q: %w", account, err)
		}
	} else if time.Since(known.read) > bookLife {
		_, _ = b.ask(ctx, bookLife) // for those who come later
	}
	switch ids := known.byName[account]; len(ids) {
	case 0:
		return "", fmt.Errorf("choosing an account: there is none named %q among the %d known%s", account, len(known.all), known.suggest(account))
	case 1:
		return ids[0], nil
	default:
		return "", fmt.Errorf("choosing an account: %q is the name of several: %s and %s", account, ids[0], ids[1])
	}
}

// list gives all accounts, in the order of their names. It waits for an answer
// that is not old, but not for long if there is an old one.
func (b *book) list(ctx context.Context) ([]Account, error) {
	if b.directory == nil {
		return nil, errors.New("the pool has no Directory of accounts")
	}
	patience := bookTimeout
	if b.page.Load() != nil {
		patience = bookPatience
	}
	err := b.wait(ctx, bookLife, patience)
	if known := b.page.Load(); known != nil {
		return known.all, nil
	}
	return nil, err
}

// known gives what is known of all accounts without waiting for long.
func (b *book) known(ctx context.Context) []Account {
	if b.directory == nil {
		return nil
	}
	if b.page.Load() == nil {
		_ = b.wait(ctx, bookLife, bookPatience) // then nothing is known
	}
	if known := b.page.Load(); known != nil {
		return known.all
	}
	return nil
}

// wait waits until the directory has answered if its answer is older than that,
// for so long from the time when it was asked.
func (b *book) wait(ctx context.Context, older, patience time.Duration) error {
	q, err := b.ask(ctx, older)
	if q == nil {
		return err
	}
	timer := time.NewTimer(time.Until(q.began.Add(patience)))
	defer timer.Stop()
	select {
	case <-q.done:
		return q.err
	case <-timer.C:
		return fmt.Errorf("listing accounts: no answer within %s", patience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask asks the directory, if its answer is older than that and it has not failed
// just now. It is nil without an error if there is nothing to ask.
func (b *book) ask(ctx context.Context, older time.Duration) (*inquiry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	known := b.page.Load()
	switch {
	case b.closed:
		return nil, errPoolClosed
	case b.asking != nil:
		return b.asking, nil
	case now.Before(b.retryAt):
		return nil, b.failed
	case known != nil && now.Sub(known.read) <= older:
		return nil, nil
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx)) // its values are for traces
	q := &inquiry{began: now, cancel: cancel, done: make(chan struct{})}
	b.asking = q
	b.asked.Go(func() {
		defer cancel(nil)
		ctx, stop := context.WithTimeoutCause(ctx, bookTimeout, fmt.Errorf("no answer within %s", bookTimeout))
		defer stop()
		all, err := []Account(nil), errors.New("the directory did not return")
		defer func() {
			if err != nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			b.settle(q, all, err)
		}()
		all, err = b.directory.Accounts(ctx)
	})
	return q, nil
}

// settle writes what the directory said.
func (b *book) settle(q *inquiry, all []Account, err error) {
	now := time.Now()
	if err != nil {
		err = fmt.Errorf("listing accounts: %w", err)
	}
	next, bad := newPage(all, now)
	if err == nil {
		err = bad
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = nil
	if err == nil {
		b.page.Store(next)
		b.failures, b.failed, b.retryAt = 0, nil, time.Time{}
	} else {
		pause := bookRetry
		if b.page.Load() == nil {
			pause = min(bookFirst<<min(b.failures, 5), bookRetry)
		}
		b.failures++
		b.failed, b.retryAt = err, now.Add(pause)
	}
	q.err = err
	close(q.done)
}

func newPage(all []Account, now time.Time) (*page, error) {
	p := &page{read: now, all: slices.Clone(all), byName: map[string][]arn.AccountID{}}
	slices.SortFunc(p.all, func(x, y Account) int {
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
		return strings.Compare(string(x.ID), string(y.ID))
	})
	for _, a := range p.all {
		if !a.ID.Valid() {
			return nil, fmt.Errorf("listing accounts: %q is not the id of an account (twelve digits)", a.ID)
		}
		p.byName[a.Name] = append(p.byName[a.Name], a.ID)
	}
	return p, nil
}

// suggest is the end of an error that knows what was meant, perhaps.
func (p *page) suggest(account string) string {
	names := make([]string, 0, len(p.all))
	for _, a := range p.all {
		if a.Name != "" {
			names = append(names, a.Name)
		}
	}
	if near := diag.Suggest(account, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// close ends the asking, and waits for that.
func (b *book) close() {
	b.mu.Lock()
	b.closed = true
	if b.asking != nil {
		b.asking.cancel(errPoolClosed)
	}
	b.mu.Unlock()
	b.asked.Wait()
}
