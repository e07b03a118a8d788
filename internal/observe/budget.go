package observe

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/stile-aws/stile/arn"
)

// Rate is how many calls a second one service may be asked for in one account
// and Region, which is how AWS counts them.
type Rate struct {
	PerSecond float64
	Burst     int // calls that may be made at once after a pause; at least 1
}

// DefaultRates are the rates for reading whole organizations, by the prefix of
// the service's IAM actions, or by one operation ("lambda:GetPolicy"), which then
// has a bucket of its own; AnyService has the rate of all others. Where AWS
// publishes a quota they are half of it, so that the account's own workloads and
// deployments keep the other half; where it publishes none they are cautious.
func DefaultRates() map[string]Rate {
	return map[string]Rate{
		// "Combined rate of DeleteResourcePolicy, GetResourcePolicy, PutResourcePolicy, and
		// ValidateResourcePolicy API requests: 50 per second" (Secrets Manager guide, reference_limits).
		"secretsmanager": {25, 25},
		// "GetPolicy API requests: 15 requests per second", and 15 for all others of the control
		// plane together (Lambda guide, gettingstarted-limits).
		"lambda":           {7, 7},
		"lambda:GetPolicy": {7, 7},
		// "This action is throttled at 30 transactions per second" (SNS API reference, ListTopics).
		"sns": {15, 15},
		// Each operation has a quota of its own (KMS guide, requests-per-second); no list has
		// less than 100.
		"kms": {50, 50},
		// "bucket size of 100 tokens and a refill rate of 20 tokens per second", non-mutating
		// actions (EC2 developer guide, ec2-api-throttling).
		"ec2": {10, 20},
		// Rate and burst of an account (Organizations guide, orgs_reference_limits, "Throttling
		// limits"): 1 and 2, 1 and 2, 2 and 2, 8 and 12, and 5 and 8 of the lists. They are so low
		// that half of them would take minutes; an organization is read once.
		"organizations:DescribeOrganization": {1, 2},
		"organizations:ListRoots":            {1, 2},
		"organizations:DescribePolicy":       {1.5, 2},
		"organizations:ListAccounts":         {6, 10},
		"organizations":                      {4, 6},
		// IAM has token buckets and does not say of which size ("How to monitor and query IAM
		// resources at scale – Part 2", AWS Security Blog). It has one endpoint for all Regions.
		"iam":      {10, 20},
		"s3":       {50, 50},
		"dynamodb": {25, 25},
		AnyService: {10, 20},
	}
}

// AnyService is the key of the rate for services that have none of their own.
const AnyService = "*"

// Progress is how far a Fill has come.
type Progress struct {
	Accounts int   // to be read
	Done     int   // of them
	Calls    int64 // made so far, with those made again
}

// Meter tells of a Fill while it runs. The zero Meter is ready; safe for
// concurrent use.
type Meter struct {
	accounts, done, calls atomic.Int64
}

// Progress is how far the Fill has come now.
func (m *Meter) Progress() Progress {
	return Progress{Accounts: int(m.accounts.Load()), Done: int(m.done.Load()), Calls: m.calls.Load()}
}

// metered is a Source whose configurations keep to the budget of their account:
// so many calls in flight, so many a second.
type metered struct {
	Source
	opt   Options
	meter *Meter

	mu      sync.Mutex // guards budgets
	budgets map[arn.AccountID]*budget
}

func newMetered(src Source, opt Options) *metered {
	m := &metered{Source: src, opt: opt, meter: opt.Meter, budgets: map[arn.AccountID]*budget{}}
	if m.meter == nil {
		m.meter = &Meter{}
	}
	return m
}

// Config implements Source.
func (m *metered) Config(ctx context.Context, account arn.AccountID, region string) (aws.Config, error) {
	cfg, err := m.Source.Config(ctx, account, region)
	if err != nil {
		return cfg, err
	}
	b := m.budget(account)
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], func(stack *middleware.Stack) error {
		// After Retry, so that every attempt counts, and before the signature, which has a time.
		return stack.Finalize.Insert(b, "Retry", middleware.After)
	})
	return cfg, nil
}

func (m *metered) budget(account arn.AccountID) *budget {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.budgets[account]
	if b == nil {
		b = &budget{slots: make(chan struct{}, m.opt.calls()), rates: m.opt.Rates, meter: m.meter, buckets: map[string]*bucket{}}
		m.budgets[account] = b
	}
	return b
}

// budget is what one account may be asked. It is a step of every call.
type budget struct {
	slots chan struct{} // calls in flight
	rates map[string]Rate
	meter *Meter

	mu      sync.Mutex         // guards buckets
	buckets map[string]*bucket // by service or operation, and Region
}

// ID implements middleware.FinalizeMiddleware.
func (b *budget) ID() string { return "StileBudget" }

// HandleFinalize implements middleware.FinalizeMiddleware: it waits for the
// budget and makes one attempt of a call.
func (b *budget) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, meta middleware.Metadata, err error) {
	if err := b.bucket(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), awsmiddleware.GetRegion(ctx)).wait(ctx); err != nil {
		return out, meta, &aws.RequestCanceledError{Err: err}
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return out, meta, &aws.RequestCanceledError{Err: ctx.Err()}
	}
	defer func() { <-b.slots }()
	b.meter.calls.Add(1)
	return next.HandleFinalize(ctx, in)
}

// bucket is that of an operation of a service ("Secrets Manager") in a Region,
// nil for none.
func (b *budget) bucket(serviceID, operation, region string) *bucket {
	if b.rates == nil {
		return nil
	}
	key := strings.ToLower(strings.ReplaceAll(serviceID, " ", ""))
	if _, own := b.rates[key+":"+operation]; own {
		key += ":" + operation
	}
	rate, known := b.rates[key]
	if !known {
		rate = b.rates[AnyService]
	}
	if rate.PerSecond <= 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key += " " + region
	if b.buckets[key] == nil {
		b.buckets[key] = newBucket(rate)
	}
	return b.buckets[key]
}

// bucket is a token bucket whose callers wait in the order they came. A nil
// bucket has no limit.
type bucket struct {
	every time.Duration // between tokens
	depth time.Duration // what a full bucket holds, as the time it takes to fill

	mu   sync.Mutex
	next time.Time // when the next token is there
}

func newBucket(r Rate) *bucket {
	every := time.Duration(float64(time.Second) / r.PerSecond)
	return &bucket{every: every, depth: time.Duration(max(r.Burst, 1)-1) * every}
}

// wait takes a token, as soon as there is one.
func (b *bucket) wait(ctx context.Context) error {
	if b == nil {
		return nil
	}
	pause := b.take(time.Now())
	if pause <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take reserves a token and tells how long it is until it is there.
func (b *bucket) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if earliest := now.Add(-b.depth); b.next.Before(earliest) {
		b.next = earliest
	}
	at := b.next
	b.next = at.Add(b.every)
	return at.Sub(now)
}
