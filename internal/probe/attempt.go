package probe

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/awserr"
)

// Waits between attempts double from first to longest.
const (
	firstWait       = time.Second
	longestWait     = 8 * time.Second
	defaultPatience = 30 * time.Second
)

// answer is what came of an attempt.
type answer struct {
	outcome     Outcome
	unavailable bool   // nobody answered
	text        string // of the error
}

// attempt calls until the answer is as expected or the patience of the whole
// run is used up: policies and principals that were changed moments ago are not
// seen everywhere yet. Codes in proofs come only to who was allowed.
func (p *prober) attempt(ctx context.Context, expected Outcome, proofs []string, call func() error) answer {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		a := judge(call(), proofs)
		if a.outcome == expected || a.unavailable || !p.wait(ctx, wait) { // the SDK has tried often enough
			return a
		}
	}
}

// wait sleeps as long as patience lasts, and reports whether it did.
func (p *prober) wait(ctx context.Context, d time.Duration) bool {
	patience := cmp.Or(p.cfg.Patience, defaultPatience)
	p.mu.Lock()
	d = min(d, patience-p.waited)
	if d > 0 {
		p.waited += d
	}
	p.mu.Unlock()
	return d > 0 && p.sleep(ctx, d) == nil
}

func (p *prober) sleep(ctx context.Context, d time.Duration) error {
	if p.cfg.Sleep != nil {
		return p.cfg.Sleep(ctx, d)
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

// isRefusal knows the codes by which AWS says no to who it knows. Codes of
// credentials that are no good ("InvalidClientTokenId", "ExpiredToken") are not
// among them: they prove nothing about the access.
func isRefusal(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError",
		// STS, of tokens for another audience or issuer.
		"InvalidIdentityToken", "InvalidIdentityTokenException", "IDPRejectedClaim", "IDPRejectedClaimException":
		return true
	}
	return false
}

func judge(err error, proofs []string) answer {
	if err == nil {
		return answer{outcome: Allowed}
	}
	a := answer{outcome: Unknown, text: awserr.Text(err)}
	if kind := awserr.KindOf(err); kind == awserr.Transient || kind == awserr.Throttled {
		a.unavailable = true
	}
	api, ok := errors.AsType[smithy.APIError](err)
	switch {
	case !ok, a.unavailable:
	case slices.Contains(proofs, api.ErrorCode()):
		a.outcome = Allowed
	case isRefusal(api.ErrorCode()):
		a.outcome = Denied
	}
	return a
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
