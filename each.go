package stile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-aws/stile/arn"
)

// Selection says which accounts to work in. Accounts are chosen by All, or by
// being in Accounts; the other fields narrow what the [Directory] has, and choose
// from all of it when neither is given. A Selection that says nothing chooses
// nothing, which is an error.
type Selection struct {
	Accounts []string          // ids or names
	Labels   map[string]string // every one of them
	Unit     string            // an organizational unit above the account, by name
	All      bool
	Except   []string // ids or names
}

// Accounts gives the accounts of a selection, in the order of their names;
// accounts given by id that the Directory does not know come with their id alone.
// Choosing nothing is an error: nobody means to work in no account.
func (p *Pool) Accounts(ctx context.Context, sel Selection) ([]Account, error) {
	if !sel.All && len(sel.Accounts) == 0 && len(sel.Labels) == 0 && sel.Unit == "" {
		return nil, errors.New("selecting accounts: the selection says nothing; set All for all accounts")
	}
	all, err := p.candidates(ctx, sel)
	if err != nil {
		return nil, fmt.Errorf("selecting accounts: %w", err)
	}
	except := map[arn.AccountID]bool{}
	for _, name := range sel.Except {
		id, err := p.accounts.resolve(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("selecting accounts: leaving out: %w", err)
		}
		except[id] = true
	}
	out := slices.DeleteFunc(all, func(a Account) bool { return except[a.ID] || !sel.fits(&a) })
	if len(out) == 0 {
		return nil, errors.New("selecting accounts: no account fits")
	}
	return out, nil
}

// candidates are the accounts named, or all. The caller owns the slice.
func (p *Pool) candidates(ctx context.Context, sel Selection) ([]Account, error) {
	if len(sel.Accounts) == 0 {
		known, err := p.accounts.list(ctx)
		return slices.Clone(known), err
	}
	var known []Account
	if len(sel.Labels) == 0 && sel.Unit == "" {
		known = p.accounts.known(ctx) // for their names; ids are enough
	} else if p.accounts.directory != nil {
		var err error
		if known, err = p.accounts.list(ctx); err != nil {
			return nil, err
		}
	}
	var out []Account
	seen := map[arn.AccountID]bool{}
	for _, name := range sel.Accounts {
		id, err := p.accounts.resolve(ctx, name)
		if err != nil {
			return nil, err
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		if i := slices.IndexFunc(known, func(a Account) bool { return a.ID == id }); i >= 0 {
			out = append(out, known[i])
		} else {
			out = append(out, Account{ID: id})
		}
	}
	return out, nil
}

func (s *Selection) fits(a *Account) bool {
	for k, v := range s.Labels {
		if have, ok := a.Labels[k]; !ok || have != v {
			return false
		}
	}
	return s.Unit == "" || slices.Contains(a.Units, s.Unit)
}

// EachOptions say how a function is run over accounts. The zero value is good.
type EachOptions struct {
	Concurrency int  // accounts worked in at once; default 16
	StopOnError bool // once one has failed, begin no other and cancel those under way
	// Progress, if set, is called after each account, by one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a run over accounts has come.
type Progress struct {
	Done, Failed, Total int
	Account             Account // the one that has just ended
	Err                 error
}

// Result is what became of one account.
type Result[T any] struct {
	Account Account
	Value   T
	Err     error
	Took    time.Duration
}

// EachError is that a function failed in some accounts.
type EachError struct {
	Failed []AccountError // in the order of their names
	NotRun []Account      // because the run was stopped before
	Total  int
}

// AccountError is a failure in one account.
type AccountError struct {
	Account Account
	Err     error
}

// Error tells how many failed, and the first few.
func (e *EachError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d accounts failed", len(e.Failed), e.Total)
	if n := len(e.NotRun); n > 0 {
		fmt.Fprintf(&b, ", %d not begun", n)
	}
	for i, f := range e.Failed {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %v", f.Account, f.Err)
	}
	return b.String()
}

// Unwrap gives the failures.
func (e *EachError) Unwrap() []error {
	out := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		out[i] = f.Err
	}
	return out
}

// String is the account's name and id.
func (a Account) String() string {
	if a.Name == "" {
		return string(a.ID)
	}
	return a.Name + " (" + string(a.ID) + ")"
}

// Each runs fn in every account of a selection, side by side. The error is an
// *EachError when fn failed somewhere; other accounts go on, unless StopOnError
// is set or ctx ends.
func (p *Pool) Each(ctx context.Context, sel Selection, fn func(context.Context, Account) error, opt EachOptions) error {
	accounts, err := p.Accounts(ctx, sel)
	if err != nil {
		return err
	}
	failed := &EachError{Total: len(accounts)}
	run := func(ctx context.Context, a Account) (struct{}, error) { return struct{}{}, fn(ctx, a) }
	done := map[arn.AccountID]bool{}
	for r := range overAccounts(ctx, accounts, run, opt) {
		done[r.Account.ID] = true
		if r.Err != nil {
			failed.Failed = append(failed.Failed, AccountError{r.Account, r.Err})
		}
	}
	for _, a := range accounts {
		if !done[a.ID] {
			failed.NotRun = append(failed.NotRun, a)
		}
	}
	if len(failed.Failed) == 0 && len(failed.NotRun) == 0 {
		return nil
	}
	if len(failed.Failed) == 0 {
		return fmt.Errorf("%d of %d accounts not begun: %w", len(failed.NotRun), failed.Total, context.Cause(ctx))
	}
	slices.SortFunc(failed.Failed, func(x, y AccountError) int { return strings.Compare(x.Account.String(), y.Account.String()) })
	return failed
}

// Results runs fn in every account of a selection, side by side, and yields what
// it gives as it comes. Breaking off cancels what is under way and waits for it. The
// error is that of the selection; failures of fn are in the results.
func Results[T any](ctx context.Context, p *Pool, sel Selection, fn func(context.Context, Account) (T, error), opt EachOptions) (iter.Seq[Result[T]], error) {
	accounts, err := p.Accounts(ctx, sel)
	if err != nil {
		return nil, err
	}
	return overAccounts(ctx, accounts, fn, opt), nil
}

// overAccounts is the work of Each and Results.
func overAccounts[T any](ctx context.Context, accounts []Account, fn func(context.Context, Account) (T, error), opt EachOptions) iter.Seq[Result[T]] {
	workers := opt.Concurrency
	if workers <= 0 {
		workers = 16
	}
	return func(yield func(Result[T]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		results := make(chan Result[T])
		one := func(a Account) {
			began := time.Now()
			v, err := fn(ctx, a)
			if err != nil && opt.StopOnError {
				cancel() // before anybody can begin another
			}
			results <- Result[T]{Account: a, Value: v, Err: err, Took: time.Since(began)}
		}
		var begun atomic.Int64
		var wg sync.WaitGroup
		for range min(workers, len(accounts)) {
			wg.Go(func() {
				for i := int(begun.Add(1)); i <= len(accounts) && ctx.Err() == nil; i = int(begun.Add(1)) {
					one(accounts[i-1])
				}
			})
		}
		go func() { wg.Wait(); close(results) }()
		defer func() { // also when yield has had enough, or panicked
			cancel()
			for range results {
			}
		}()
		progress := Progress{Total: len(accounts)}
		for r := range results {
			progress.Done++
			progress.Account, progress.Err = r.Account, r.Err
			if r.Err != nil {
				progress.Failed++
			}
			if opt.Progress != nil {
				opt.Progress(progress)
			}
			if !yield(r) {
				return
			}
		}
	}
}
