package stile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/catalog"
)

// Config says what a Pool works with. The zero Config is the default chain of
// the SDK and no role of its own.
type Config struct {
	// AWS is the service's own configuration: endpoint, Region, HTTP client,
	// credentials. Default: config.LoadDefaultConfig, for what is not set.
	AWS *aws.Config
	// Source are the credentials that roles are assumed with. Default: those of
	// AWS. Set it to a creds.WebIdentity, creds.Container or any other provider.
	Source creds.Provider
	// Via are roles to pass first, such as a hub that the roles of all accounts trust.
	Via []creds.Role
	// Role is the role's name in every account, with its path if it has one
	// ("stile/monitoring-reader"), for calls that name none.
	Role string
	// Session has the parameters of each AssumeRole; its ARN is not used. Its
	// SessionName is by default that of the program.
	Session creds.Role
	// SessionFor, if set, gives parameters of one role's AssumeRole, over those of
	// Session: the external id that its account wants, say. It is asked when a
	// configuration is made, which is then kept; see [Pool.WithSession] for what
	// varies. An error is that of [Pool.Config], and nothing is kept. It may be
	// called by several goroutines at once.
	SessionFor func(ctx context.Context, role arn.ARN) (creds.Role, error)
	// Directory knows accounts by name. Default: none, so that accounts are ids.
	Directory Directory
	// MaxAttempts is how often a client's request is tried. Default 10, by the
	// SDK's standard retryer. A retryer in AWS wins.
	MaxAttempts int
	// Credentials are the options of the cache of credentials: time limits,
	// the share of STS's quota, metrics and logging.
	Credentials creds.Config
}

// DefaultAttempts is how often a request is tried unless Config says otherwise.
const DefaultAttempts = 10

// Pool gives configurations and clients for any number of accounts, roles and
// Regions. Make one with [New], and Close it in the end. Safe for concurrent use.
type Pool struct {
	cfg      Config
	base     aws.Config // with the shared transport and without credentials
	cache    *creds.Cache
	from     *creds.Cached // the last hop before the roles of accounts
	self     *creds.Cached
	accounts *book
	session  creds.Role // goes over all others
	derived  bool       // another pool's, which ends it

	configs table[configKey, *aws.Config]
	clients table[clientKey, any]
}

type configKey struct{ account, role, region string }

// New makes a Pool. It calls AWS only if the SDK's default configuration does.
func New(ctx context.Context, cfg Config) (*Pool, error) {
	base, err := baseOf(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	source := cfg.Source
	if source == nil {
		if base.Credentials == nil {
			return nil, errors.New("making a pool: the AWS configuration has no credentials, and there is no Source")
		}
		source = creds.From("the AWS configuration", base.Credentials)
	}
	cfg.Session.SessionName = cmp.Or(cfg.Session.SessionName, programName())
	p := &Pool{cfg: cfg, base: base, cache: creds.NewCache(cfg.Credentials), accounts: &book{directory: cfg.Directory}}
	p.self = p.cache.Of(source)
	via := make([]creds.Role, len(cfg.Via))
	for i, r := range cfg.Via {
		via[i] = r
		via[i].SessionName = cmp.Or(r.SessionName, cfg.Session.SessionName)
	}
	if p.from, err = p.cache.Chain(base, p.self, via...); err != nil {
		p.cache.Close()
		return nil, fmt.Errorf("making a pool: %w", err)
	}
	p.base.Credentials = nil
	return p, nil
}

// baseOf is the configuration that all others are copies of. They share one
// transport, so that connections are reused whatever the account.
func baseOf(ctx context.Context, cfg Config) (aws.Config, error) {
	var base aws.Config
	if cfg.AWS != nil {
		base = cfg.AWS.Copy()
	} else {
		loaded, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		base = loaded
	}
	if base.HTTPClient == nil {
		base.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 64 // hundreds of hosts, and STS for all
		})
	}
	next := base.Retryer
	if next == nil {
		attempts := cmp.Or(cfg.MaxAttempts, DefaultAttempts)
		next = func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), attempts) }
	}
	base.Retryer = func() aws.Retryer { return forgive(next()) }
	return base, nil
}

// programName is the name sessions have unless told otherwise.
func programName() string {
	return creds.SessionName(strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"))
}

// Close ends what the pool does in the background. Its clients go on as long as
// their credentials are valid.
func (p *Pool) Close() {
	if p.derived {
		return
	}
	p.accounts.close()
	p.cache.Close()
}

// Self is the service's own configuration, with cached credentials. region may
// be "", which is the one of Config.AWS.
func (p *Pool) Self(region string) aws.Config {
	return p.with(p.self, region)
}

// Config gives the configuration to work in an account as a role. account is an
// id or a name; role is a name, with its path if it has one, or the ARN of a role
// of that account, or "", which is Config.Role; region may be "", which is the
// one of Config.AWS. The credentials are fetched when they are first used. An
// error means that the account or role is not known; nothing is assumed then.
// AWS is asked for accounts' names only, and by the [Directory].
func (p *Pool) Config(ctx context.Context, account, role, region string) (aws.Config, error) {
	key := configKey{account, role, region}
	if cfg, ok := p.configs.get(key); ok {
		return *cfg, nil
	}
	id, err := p.accounts.resolve(ctx, account)
	if err != nil {
		return aws.Config{}, err
	}
	key.account = string(id) // a name may stand for another account tomorrow
	if cfg, ok := p.configs.get(key); ok {
		return *cfg, nil
	}
	ref, err := p.roleARN(id, cmp.Or(role, p.cfg.Role))
	if err != nil {
		return aws.Config{}, err
	}
	session, err := p.sessionOf(ctx, ref)
	if err != nil {
		return aws.Config{}, err
	}
	credential, err := p.cache.Chain(p.base, p.from, session)
	if err != nil {
		return aws.Config{}, err
	}
	cfg := p.with(credential, region)
	return *p.configs.put(key, &cfg), nil
}

// roleARN names a role of an account.
func (p *Pool) roleARN(account arn.AccountID, role string) (arn.ARN, error) {
	switch {
	case role == "":
		return arn.ARN{}, fmt.Errorf("choosing a role in account %s: none is given, and the pool has no Config.Role", account)
	case !strings.HasPrefix(role, "arn:"):
		path, name := "/", role
		if i := strings.LastIndexByte(role, '/'); i >= 0 {
			path, name = "/"+strings.Trim(role[:i], "/")+"/", role[i+1:]
		}
		return arn.IAM(catalog.Partition(p.base.Region), account, "role", path, name), nil
	}
	a, err := arn.Parse(role)
	if err != nil {
		return arn.ARN{}, fmt.Errorf("choosing a role in account %s: %w", account, err)
	}
	if a.Account != account {
		return arn.ARN{}, fmt.Errorf("choosing a role in account %s: %s is of another account", account, role)
	}
	return a, nil
}

// with is the base configuration with a credential and a Region.
func (p *Pool) with(c *creds.Cached, region string) aws.Config {
	cfg := p.base.Copy()
	cfg.Credentials = c
	cfg.Region = cmp.Or(region, cfg.Region)
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], renew(c))
	return cfg
}
