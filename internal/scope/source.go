package scope

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awsendpoint"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/program"
)

// Mode is what stile wants in an account.
type Mode uint8

// The modes: Read uses an account's readWith, Manage its manageWith.
const (
	Read Mode = iota
	Manage
)

// Loader makes the configuration an account's hops start from: of an AWS
// profile, or of the default chain when profile is "".
type Loader func(ctx context.Context, profile, region string) (aws.Config, error)

// Limits of the calls stile makes for itself; apply has retries of its own
// above these.
const (
	attempts   = 4  // of a call that is not answered, or fails for a moment
	throttled  = 10 // of one that is asked to slow down
	maxBackoff = 3 * time.Second
	timeout    = 10 * time.Second // of one attempt
	// The first call in an account gives up after as many attempts without any
	// answer: an account that hangs is told after openUnanswered × timeout and
	// a short pause, some 20 seconds.
	openUnanswered = 2
)

// LoadDefault is the Loader of the command line: the SDK's own default chain,
// shared files and environment, with a bound on every call.
func LoadDefault(ctx context.Context, profile, region string) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, append(loadOptions(region), config.WithSharedConfigProfile(profile))...)
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		from := "manageWith or readWith"
		if profile == "" {
			from = "AWS_PROFILE, or the source_profile that names it"
		}
		return cfg, fmt.Errorf("there is no AWS profile %q in %s; correct %s, or point AWS_SHARED_CREDENTIALS_FILE or AWS_CONFIG_FILE at it", missing.Profile, sharedFiles(), from)
	}
	if err != nil {
		return cfg, err
	}
	return cfg, program.Own(&cfg)
}

// sharedFiles names the files that profiles are looked for in.
func sharedFiles() string {
	return cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), config.DefaultSharedCredentialsFilename()) + " and " +
		cmp.Or(os.Getenv("AWS_CONFIG_FILE"), config.DefaultSharedConfigFilename())
}

// LoadUnsigned is as LoadDefault, without any credentials: for calls that are
// not signed, where those at hand may be missing or broken.
func LoadUnsigned(ctx context.Context, region string) (aws.Config, error) {
	return awsendpoint.Load(ctx, append(loadOptions(region), config.WithCredentialsProvider(aws.AnonymousCredentials{}))...)
}

func loadOptions(region string) []func(*config.LoadOptions) error {
	return append(awsendpoint.LoadOptions(),
		config.WithRegion(region),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(timeout)),
		config.WithRetryer(func() aws.Retryer { return newRetryer() }),
	)
}

// retryer has more patience with throttling than with calls that fail: an
// account that is busy will answer.
type retryer struct{ *retry.Standard }

func newRetryer() retryer {
	return retryer{retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = throttled, maxBackoff
		o.RateLimiter = ratelimit.None // attempts are bounded; a shared bucket would fail the last accounts of many
	})}
}

// RetryDelay gives up, by returning the call's own error, after fewer attempts
// where it was not throttled.
func (r retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	if attempt >= attempts && awserr.KindOf(err) != awserr.Throttled {
		return 0, err
	}
	return r.Standard.RetryDelay(attempt, err)
}

// Source gives the configuration for a declared account, and for no other: the
// choice of an account fails closed. Credentials that turn out to be in another
// account are an error. Safe for concurrent use.
type Source struct {
	set  *access.Set
	mode Mode
	load Loader

	mu       sync.Mutex // guards accounts
	accounts map[arn.AccountID]*entry
}

type entry struct {
	once sync.Once
	cfg  aws.Config
	err  error
}

// NewSource makes a Source for the accounts of set. A nil load means LoadDefault.
func NewSource(set *access.Set, mode Mode, load Loader) *Source {
	if load == nil {
		load = LoadDefault
	}
	return &Source{set: set, mode: mode, load: load, accounts: map[arn.AccountID]*entry{}}
}

// Config returns the configuration for an account and region. ctx governs the
// first call for an account, which proves whose credentials they are.
func (s *Source) Config(ctx context.Context, account arn.AccountID, region string) (aws.Config, error) {
	declared, ok := s.set.Account(string(account))
	if !ok {
		return aws.Config{}, fmt.Errorf("opening account %s: no Account of that id is declared", account)
	}
	s.mu.Lock()
	e := s.accounts[account]
	if e == nil {
		e = &entry{}
		s.accounts[account] = e
	}
	s.mu.Unlock()
	e.once.Do(func() { e.cfg, e.err = s.open(ctx, declared) })
	if e.err != nil {
		return aws.Config{}, e.err
	}
	cfg := e.cfg.Copy()
	if region != "" {
		cfg.Region = region
	}
	return cfg, nil
}

func (s *Source) open(ctx context.Context, a *access.Account) (aws.Config, error) {
	with := a.ManageWith
	if s.mode == Read && a.ReadWith != nil {
		with = a.ReadWith
	}
	if with == nil {
		with = &access.Credentials{}
	}
	region := access.DefaultRegion
	if len(a.Regions) > 0 {
		region = a.Regions[0]
	}
	cfg, err := s.load(ctx, with.Profile, region)
	if err != nil {
		return aws.Config{}, fmt.Errorf("opening account %s (%s): %w", a.Name, a.ID, awserr.Plain(err))
	}
	for _, hop := range with.Chain {
		cfg = assume(cfg, hop)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) {
		o.Retryer = &opening{Retryer: o.Retryer}
	})
	if err != nil {
		return aws.Config{}, fmt.Errorf("opening account %s (%s) %s: %w", a.Name, a.ID, how(with), awserr.Plain(err))
	}
	if got := aws.ToString(who.Account); got != string(a.ID) {
		return aws.Config{}, fmt.Errorf("opening account %s (%s) %s: these credentials are %s, in account %s; name the right profile or role under manageWith or readWith",
			a.Name, a.ID, how(with), aws.ToString(who.Arn), got)
	}
	return cfg, nil
}

// opening is the Retryer of one first call: it gives up on an account that does
// not answer sooner than on one that answers with an error.
type opening struct {
	aws.Retryer
	unanswered int
}

// IsErrorRetryable counts the attempts that got no answer.
func (o *opening) IsErrorRetryable(err error) bool {
	// The SDK wraps the lack of a response as one without a status.
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); !ok || answer.HTTPStatusCode() == 0 {
		o.unanswered++
	}
	return o.unanswered < openUnanswered && o.Retryer.IsErrorRetryable(err)
}

// how tells which credentials were tried.
func how(c *access.Credentials) string {
	switch {
	case len(c.Chain) > 0:
		return "through " + c.Chain[len(c.Chain)-1].Role
	case c.Profile != "":
		return "with profile " + c.Profile
	}
	return "with the default credentials"
}

func assume(cfg aws.Config, hop access.Hop) aws.Config {
	out := cfg.Copy()
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), hop.Role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "stile"
		if hop.ExternalID != "" {
			o.ExternalID = aws.String(hop.ExternalID)
		}
	})
	out.Credentials = aws.NewCredentialsCache(provider)
	return out
}
