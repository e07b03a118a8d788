package route

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
)

// brokerCommand is the command line of a broker, after the program's name.
var brokerCommand = [...]string{"broker", "run", "--ready"}

// OpenShared is [Options.Open] by way of the user's broker, so that many
// processes that go the same way cause one login and one call of STS. Where
// there is no broker, or it cannot do what this process could, this process
// goes the way itself.
func (o *Options) OpenShared(ctx context.Context, s *term.Streams, address string) (*Way, error) {
	r, err := o.ask(s, address)
	if err != nil {
		return o.Open(ctx, s, address)
	}
	grant, err := r.client.Get(ctx, r.request)
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && !refusal.Redo {
		return nil, refusal
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return o.Open(ctx, s, address)
	}
	r.first = grant
	cache := creds.NewCache(creds.Config{})
	return &Way{
		Account: arn.AccountID(grant.Account), Role: grant.Role, Name: grant.Name, Region: grant.Region, Caller: grant.Caller,
		Credentials: cache.Of(r), end: func() { cache.Close(); r.close() },
	}, nil
}

// ask makes the request to a broker, or says why there can be none.
func (o *Options) ask(s *term.Streams, address string) (*remote, error) {
	if o.NoBroker {
		return nil, client.ErrUnavailable
	}
	c, err := client.New(s.Environ())
	if err != nil {
		return nil, err
	}
	c.Start = brokerCommand[:]
	c.Answer = o.Answer
	there := *o
	there.Declarations = cmp.Or(o.Declarations, s.Getenv(state.DeclarationsEnv))
	if there.Declarations == "" {
		there.Around = state.Above()
	}
	for _, path := range []*string{&there.Declarations, &there.TokenFile} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	options, err := json.Marshal(there)
	if err != nil {
		return nil, err
	}
	return &remote{client: c, request: client.Request{Address: address, Options: options}, options: o, streams: s, address: address}, nil
}

// remote gets credentials from the broker, and goes the way itself when there is
// none any more.
type remote struct {
	client  *client.Client
	request client.Request
	options *Options
	streams *term.Streams
	address string

	mu    sync.Mutex // guards the rest
	first *client.Grant
	own   *Way // once the broker was gone
}

// Key implements creds.Provider.
func (r *remote) Key() string { return r.request.Address + "\x00" + string(r.request.Options) }

func (r *remote) String() string { return "credentials of " + r.address }

// Format prints as String, whatever the verb.
func (r *remote) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// Retrieve implements aws.CredentialsProvider.
func (r *remote) Retrieve(ctx context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	grant, err := r.first, error(nil)
	r.first = nil
	if grant == nil {
		grant, err = r.client.Get(ctx, r.request)
	}
	if err == nil {
		return credentials(grant), nil
	}
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && !refusal.Redo || ctx.Err() != nil {
		return aws.Credentials{}, err
	}
	if r.own == nil {
		if r.own, err = r.options.Open(ctx, r.streams, r.address); err != nil {
			return aws.Credentials{}, err
		}
	}
	return r.own.Retrieve(ctx)
}

// close ends what was begun without the broker.
func (r *remote) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own != nil {
		r.own.Close()
	}
}

func credentials(g *client.Grant) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: g.AccessKeyID, SecretAccessKey: g.SecretAccessKey, SessionToken: g.SessionToken,
		AccountID: g.AccountID, Source: g.Source, CanExpire: !g.Expires.IsZero(), Expires: g.Expires,
	}
}
