package route

import (
	"context"
	"errors"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// Found is where an address leads, without going there: either Leads of
// declarations, or a Target of people's sessions. Close it.
type Found struct {
	From  string // the declarations' path, or what was applied; "" for people's sessions
	Leads []Lead // one a caller who may
	// Target is at Desk. It is an AWS profile when no session has its name.
	Target  *session.Target
	Desk    *desk.Desk
	Region  Region // to work in by Target
	Profile bool
	// Undeclared is why no declaration leads there, nil when there are none.
	Undeclared error
}

// Close ends what looking has begun.
func (f *Found) Close() {
	if f.Desk != nil {
		f.Desk.Close()
	}
}

// Lead is one declared way.
type Lead struct {
	Route       compile.Route
	Account     arn.AccountID
	AccountName string
	Region      Region
	Labels      map[string]string
	Missing     error // why the caller's credentials are not at hand; nil when they are

	begin  *beginning
	narrow *narrowing
	keep   *keeping
}

// Lookup finds where an address leads, as Open does, and goes nowhere. Nobody is
// asked, unless an account is not known by its name and somebody may be: see ask.
func (o *Options) Lookup(ctx context.Context, s *term.Streams, address string, ask bool) (*Found, error) {
	if err := addressable(address); err != nil {
		return nil, err
	}
	found := &Found{}
	var problem error
	to, err := target(address)
	if err == nil {
		err = o.lookupDeclared(ctx, s, found, func(a atlas, from string) ([]candidate, error) {
			found.From = from
			routes, err := a.lead(to, from)
			if err != nil {
				return nil, err
			}
			return routes, o.sameMeaning(s, to, from, routes)
		}, address)
		if err == nil {
			return found, nil
		}
		if o.declaredOnly() || another(err) {
			return nil, err
		}
		if problem = err; !errors.Is(err, errNoDeclarations) {
			found.Undeclared = err
		}
		found.From = ""
	} else if !mayBeSession(address) || o.declaredOnly() {
		return nil, o.missing(err)
	}
	cfg := desk.Config{}
	if ask {
		cfg.Person = person(s)
	}
	d, _, err := openDesk(s, cfg)
	if err != nil {
		return nil, err
	}
	found.Desk = d
	found.Target, err = d.Resolve(ctx, address)
	if errors.Is(err, session.ErrUnknown) && hasProfile(s, address) {
		found.Target, found.Profile, err = profileTarget(address), true, nil
	}
	if err != nil {
		d.Close()
		return nil, unresolved(s, address, d.Book(), problem, err)
	}
	found.Region = o.region(s, address, homeOf(s, found.Target))
	return found, nil
}

// profileTarget is the way that an AWS profile is.
func profileTarget(name string) *session.Target {
	return &session.Target{Source: session.Source{Name: name, Profile: &session.Profile{Name: name}}}
}

func (o *Options) lookupDeclared(ctx context.Context, s *term.Streams, found *Found, lead func(atlas, string) ([]candidate, error), address string) error {
	var routes []candidate
	err := o.maps(ctx, s, func(a atlas, from string) (err error) {
		routes, err = lead(a, from)
		return err
	})
	if err != nil {
		return err
	}
	if routes, err = o.as(address, perCaller(routes)); err != nil {
		return err
	}
	p, err := o.pass(s)
	if err != nil {
		return err
	}
	start := &starter{streams: s, options: o, narrow: &p.narrow, keep: p.keep}
	for i := range routes {
		c := &routes[i]
		l := Lead{Route: c.route, Account: c.account, AccountName: c.name, Labels: c.labels, narrow: &p.narrow, keep: p.keep}
		l.begin, l.Missing = start.begin(ctx, c)
		l.Region = o.region(s, address, home{region: c.region})
		found.Leads = append(found.Leads, l)
	}
	return nil
}

// Try goes the first hops of a declared way; 0 is what the caller has. end ends
// what it has begun.
func (l *Lead) Try(ctx context.Context, hops int) (c *creds.Cached, end func(), err error) {
	if l.Missing != nil {
		return nil, nil, l.Missing
	}
	part := candidate{route: l.Route, account: l.Account}
	part.route.Hops = l.Route.Hops[:hops]
	cache := creds.NewCache(creds.Config{})
	end = cache.Close
	if hops == 0 {
		c = cache.Of(l.begin.provider)
	} else {
		p := &pass{keep: l.keep}
		if hops == len(l.Route.Hops) {
			p.narrow = *l.narrow
		}
		way, err := part.open(l.begin, p, cache)
		if err != nil {
			end()
			return nil, nil, err
		}
		c = way.Credentials
	}
	if _, err := c.Retrieve(ctx); err != nil {
		end()
		return nil, nil, err
	}
	return c, end, nil
}

// Begun is how many hops the caller's token goes by itself.
func (l *Lead) Begun() int {
	if l.Route.Caller.Subject != "" {
		return 1
	}
	return 0
}

// Hold is what holds a way to an account back.
type Hold struct {
	Guards   []string `json:"guards"`             // files
	Question string   `json:"question,omitempty"` // that somebody has to answer
	Refusal  string   `json:"refusal,omitempty"`
	Later    string   `json:"later,omitempty"`  // what is found out before a guard is asked
	Limits   string   `json:"limits,omitempty"` // the session policies
	Why      string   `json:"limitsBy,omitempty"`
}

// Hold tells what guards and limits make of a way to an account. The session
// policies are put onto target, where there is one.
func (o *Options) Hold(s *term.Streams, account guard.Account, to *session.Target) (*Hold, error) {
	p, err := o.pass(s)
	if errors.Is(err, errNowhere) {
		return &Hold{Guards: []string{}, Refusal: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	h := &Hold{Guards: append([]string{}, p.guard.Files()...), Limits: p.narrow.words, Why: p.narrow.why}
	if to != nil {
		instead, err := p.narrow.target(to, nil)
		if err != nil {
			h.Refusal = err.Error()
		}
		h.Limits = limits(h.Limits, instead)
	}
	if file := p.guard.Asks(); file != "" && account.ID == "" {
		h.Later = "which account this is, by which " + file + " goes, shows when there are credentials"
		return h, nil
	}
	question, err := p.guard.Check(account)
	if err != nil {
		h.Refusal = err.Error()
	}
	h.Question = question
	return h, nil
}
