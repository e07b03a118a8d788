package route

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/tty"
	"github.com/stile-aws/stile/internal/surroundings"
)

// far is what is different in a process that opens ways for others.
type far struct {
	around string                        // the declarations around where the person works
	person *desk.Person                  // default: whoever is at the terminal
	waits  func(context.Context, string) // is told whose sign-in is waited for
	cache  *creds.Cache                  // holds the credentials of declared ways; default: one a way
}

// wish is what a broker is asked for beside the address: what an Open there has
// to know of the process that asks. Guards, questions and the log stay with that
// process.
type wish struct {
	Declarations, Around, As, TokenFile string
	Policy                              string
	PolicyARNs                          []string
	ReadOnly                            bool
	Duration                            time.Duration `json:",omitempty"`
	Why                                 string        // who wants the three above
}

// shared is open by way of the user's broker, so that many processes that go the
// same way cause one login and one call of STS. Where there is no broker, or it
// cannot do what this process could, this process goes the way itself.
func (o *Options) shared(ctx context.Context, s *term.Streams, address string, p *pass) (*Way, error) {
	r, err := o.ask(s, address, p)
	if err != nil {
		return o.open(ctx, s, address, p)
	}
	grant, err := r.client.Get(ctx, r.request)
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && !refusal.Redo {
		return nil, refusal
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return o.open(ctx, s, address, p)
	}
	if grant.AccountID != "" && grant.Account != "" && grant.AccountID != grant.Account { // it is somebody else's since the broker has found the way
		return o.open(ctx, s, address, p)
	}
	r.first, r.about = grant, grant.About
	cache := creds.NewCache(creds.Config{})
	way := &Way{
		Account: arn.AccountID(grant.Account), Role: grant.Role, Name: grant.Name, home: home{grant.Region, grant.RegionOf}, Caller: grant.Caller,
		AccountName: grant.AccountName, Labels: grant.Labels, Chained: grant.Chained, narrowed: grant.Narrowed, instead: grant.Instead, claimed: grant.Claimed,
		Credentials: cache.Of(r), end: func() { cache.Close(); r.close() },
	}
	if p.keep != nil && p.free() && o.Duration == 0 { // the key tells neither of session policies nor of a length
		r.keep, way.kept = p.keep, p.keep.granted()
	}
	return way, nil
}

// ask makes the request to a broker, or says why there can be none.
func (o *Options) ask(s *term.Streams, address string, p *pass) (*remote, error) {
	if o.NoBroker {
		return nil, client.ErrUnavailable
	}
	c, err := client.New(s.Environ())
	if err != nil {
		return nil, err
	}
	c.Start = []string{"broker", "run", "--ready"}
	c.Note = func(text string) { s.Note("stile: %s", text) }
	c.Quit = quit
	c.Answer = func(ctx context.Context, q client.Question) (client.Answer, error) { return answer(ctx, person(s), q) }
	w := wish{
		Declarations: cmp.Or(o.Declarations, s.Getenv(state.DeclarationsEnv)), As: o.As, TokenFile: o.TokenFile,
		Policy: p.narrow.policy, PolicyARNs: p.narrow.arns, ReadOnly: p.narrow.readOnly, Why: p.narrow.why,
		Duration: o.Duration,
	}
	if w.Declarations == "" {
		w.Around = state.Above()
	}
	for _, path := range []*string{&w.Declarations, &w.TokenFile} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	options, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	again := func(ctx context.Context) (*Way, error) { return o.open(ctx, s, address, p) }
	return &remote{client: c, request: client.Request{Address: address, Options: options}, again: again}, nil
}

// answer has a person answer what a broker asks.
func answer(ctx context.Context, p desk.Person, q client.Question) (client.Answer, error) {
	switch {
	case q.URL != "" && p.Show != nil:
		return client.Answer{}, p.Show(ctx, idc.Page{URL: q.URL, Code: q.Code, Port: q.Port, UnderWay: q.UnderWay})
	case q.Secret:
		return typed(p.Secret(ctx, q.Text, q.Confirm))
	case q.URL == "" && p.Ask != nil:
		return typed(p.Ask(ctx, q.Text))
	}
	return client.Answer{Declined: true, Absent: true}, nil
}

// typed is what a person has typed, if there is one.
func typed(text string, err error) (client.Answer, error) {
	if errors.Is(err, tty.ErrNone) {
		return client.Answer{Declined: true, Absent: true}, nil
	}
	return client.Answer{Text: text}, err
}

// Far opens, in a broker, the way that a process elsewhere has asked for. person
// is how that process reaches a person, cache is shared by all ways, and
// waits is told of which source the sign-in is that is waited for. Its guards and its
// log are not asked here.
func Far(ctx context.Context, s *term.Streams, req client.Request, person *desk.Person, cache *creds.Cache, waits func(context.Context, string)) (*Way, error) {
	w, err := wishOf(req)
	if err != nil {
		return nil, err
	}
	o := &Options{Declarations: w.Declarations, As: w.As, TokenFile: w.TokenFile, Duration: w.Duration, far: far{around: w.Around, person: person, cache: cache, waits: waits}}
	p := &pass{guard: &guard.Guard{}, narrow: narrowing{policy: w.Policy, arns: w.PolicyARNs, readOnly: w.ReadOnly, why: w.Why}}
	return o.open(ctx, s, req.Address, p)
}

func wishOf(req client.Request) (*wish, error) {
	w := &wish{}
	if err := json.Unmarshal(req.Options, w); err != nil {
		return nil, fmt.Errorf("reading the options of a request: %w", err)
	}
	return w, nil
}

// About is what a broker tells of the way.
func (w *Way) About() client.About {
	return client.About{
		Account: string(w.Account), Role: w.Role, Name: w.Name, Region: w.home.region, RegionOf: w.home.of, Caller: w.Caller,
		AccountName: w.AccountName, Labels: w.Labels, Chained: w.Chained, Narrowed: w.narrowed, Instead: w.instead, Claimed: w.claimed, SessionName: w.Credentials.SessionName(),
	}
}

// remote gets credentials from the broker, and goes the way itself when there is
// none any more.
type remote struct {
	client  *client.Client
	request client.Request
	about   client.About
	again   func(context.Context) (*Way, error)
	keep    *keeping // of what the broker gives; nil for nothing

	mu      sync.Mutex // guards the rest
	first   *client.Grant
	refused string // the access key id that AWS does not accept, for the broker to forget
	own     *Way   // once the broker was gone
	closed  bool
}

// Key implements creds.Provider.
func (r *remote) Key() string { return r.request.Address + "\x00" + string(r.request.Options) }

// SessionName is that of the role session, for the log.
func (r *remote) SessionName() string { return r.about.SessionName }

func (r *remote) String() string { return "credentials of " + r.request.Address }

// Format prints as String, whatever the verb.
func (r *remote) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// Retrieve implements aws.CredentialsProvider. The cache it is behind asks once at
// a time; the lock is for who invalidates or closes meanwhile, and waits for nobody.
func (r *remote) Retrieve(ctx context.Context) (aws.Credentials, error) {
	grant, refused := r.begin()
	var err error
	if grant == nil {
		req := r.request
		req.Refused = refused
		grant, err = r.client.Get(ctx, req)
	}
	if err == nil {
		r.settle(refused)
		c := credentialsOf(grant)
		if r.keep != nil {
			_ = r.keep.store.Put(r.keep.granted(), c) // the broker has it for who comes next
		}
		return c, nil
	}
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && !refusal.Redo || ctx.Err() != nil {
		return aws.Credentials{}, err
	}
	own, err := r.alone(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return own.Credentials.Retrieve(ctx)
}

// begin takes the first grant, if it is still there, and what the broker is to be
// told.
func (r *remote) begin() (first *client.Grant, refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, r.first = r.first, nil
	return first, r.refused
}

// settle notes that the broker was told.
func (r *remote) settle(refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == refused {
		r.refused = ""
	}
}

// alone is the way that this process goes without the broker, opened once.
func (r *remote) alone(ctx context.Context) (*Way, error) {
	r.mu.Lock()
	own := r.own
	r.mu.Unlock()
	if own != nil {
		return own, nil
	}
	own, err := r.again(ctx)
	if err != nil {
		return nil, err
	}
	if kept := r.adopt(own); kept != own {
		own.Close()
		own = kept
	}
	if own == nil {
		return nil, creds.ErrClosed
	}
	return own, nil
}

// adopt keeps a way, unless there is another: that, or nil once r is closed, is what
// counts.
func (r *remote) adopt(own *Way) *Way {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil
	case r.own == nil:
		r.own = own
	}
	return r.own
}

// Invalidate forgets a credential that AWS refuses, here and, with the next
// request, in the broker.
func (r *remote) Invalidate(accessKeyID string) bool {
	r.mu.Lock()
	r.first, r.refused = nil, accessKeyID
	own := r.own
	r.mu.Unlock()
	if r.keep != nil {
		r.keep.store.Forget(r.keep.granted(), accessKeyID)
	}
	return own == nil || own.Credentials.Invalidate(accessKeyID)
}

// close ends what was begun without the broker.
func (r *remote) close() {
	r.mu.Lock()
	own := r.own
	r.own, r.closed = nil, true
	r.mu.Unlock()
	if own != nil {
		own.Close()
	}
}

func credentialsOf(g *client.Grant) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: g.AccessKeyID, SecretAccessKey: g.SecretAccessKey, SessionToken: g.SessionToken,
		AccountID: g.AccountID, Source: g.Source, CanExpire: !g.Expires.IsZero(), Expires: g.Expires,
	}
}

// Stamp tells one state of the files from another that decide where a way leads.
// Tokens and keys that are read for every fetch do not count.
func Stamp(s *term.Streams, req client.Request) string {
	w, err := wishOf(req)
	if err != nil {
		return ""
	}
	return surroundings.Stamp(s.Getenv, w.Declarations, w.Around)
}
