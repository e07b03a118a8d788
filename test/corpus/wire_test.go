// Package corpus_test tries the decision cases of testdata/corpus over the
// wire: each case that a local AWS can hold is built there, accounts, callers
// and policies, and its request is made with the AWS SDK, signed by its caller.
// The answer has to be the case's.
//
// What cannot be tried is counted by the reason: a service that the local AWS
// does not have, a key that every real request carries, a caller that is no
// user, role or token. world_test.go builds the accounts, keys_test.go gives the
// request its condition keys, calls_test.go makes it.
package corpus_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

// floor is how many cases go over the wire at least; more are welcome.
const floor = 450

// aside is the reason for which a case cannot be tried.
type aside string

func (a aside) Error() string { return string(a) }

func asidef(format string, args ...any) error { return aside(fmt.Sprintf(format, args...)) }

func TestCasesOverTheWire(t *testing.T) {
	all, err := corpus.LoadDir(os.DirFS("../../testdata/corpus"))
	if err != nil {
		t.Fatal(err)
	}
	var count tally
	t.Run("cases", func(t *testing.T) {
		for i := range all {
			c := &all[i]
			t.Run(c.ID, func(t *testing.T) {
				t.Parallel()
				count.add(try(t, c))
			})
		}
	})
	t.Logf("%d of %d cases went over the wire\n%s", count.tried, len(all), count.reasons())
	if count.tried < floor {
		t.Errorf("%d cases went over the wire, want %d at least", count.tried, floor)
	}
}

// tally counts the cases tried, and the others by reason.
type tally struct {
	mu    sync.Mutex // guards what follows
	tried int
	aside map[string]int
}

func (c *tally) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.tried++
		return
	}
	if c.aside == nil {
		c.aside = map[string]int{}
	}
	c.aside[err.Error()]++
}

func (c *tally) reasons() string {
	var b strings.Builder
	for _, why := range slices.Sorted(maps.Keys(c.aside)) {
		fmt.Fprintf(&b, "  %d: %s\n", c.aside[why], why)
	}
	return b.String()
}

// try makes the request of a case and checks the answer. The error is the
// reason why it could not be tried.
func try(t *testing.T, c *corpus.Case) error {
	t.Helper()
	if c.Expected == authz.Unknown {
		return aside("AWS's documents leave the answer open")
	}
	req, pols, err := c.Build(authz.Compile)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(t, c, req, pols)
	if err == nil {
		err = w.call(t)
	}
	if why, ok := errors.AsType[aside](err); ok {
		return why
	}
	code := ""
	if failure, ok := errors.AsType[smithy.APIError](err); ok {
		code = failure.ErrorCode()
	}
	denied := strings.HasPrefix(code, "AccessDenied")
	switch {
	case err != nil && !denied:
		t.Errorf("%s (%s:%d): neither allowed nor denied: %v", c.ID, c.File, c.Line, err)
	case denied != (c.Expected != authz.Allowed):
		t.Errorf("%s (%s:%d): want %v, the request gave %v", c.ID, c.File, c.Line, c.Expected, err)
	case denied:
		checkReason(t, c, w)
	}
	return nil
}

// checkReason compares who denied, as the local AWS tells, with the case.
func checkReason(t *testing.T, c *corpus.Case, w *world) {
	t.Helper()
	denials := w.server.Denials().Recent()
	if len(denials) == 0 {
		return // refused before policies were asked
	}
	d := &denials[0].Decision
	var kinds []authz.Layer
	for _, i := range d.Deciding {
		if kind := d.Layers[i].Layer; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if diff := cmp.Diff(c.Decides, kinds); diff != "" || d.Outcome != c.Expected {
		t.Errorf("%s (%s:%d): denied with %v, layers (-want +got):\n%s%s", c.ID, c.File, c.Line, d.Outcome, diff, d.Text())
	}
}
