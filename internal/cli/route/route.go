// Package route finds the way to ACCOUNT/ROLE for the commands that hand out
// credentials, and goes it.
//
// The way comes from declarations: those given, those of the working directory,
// or what was applied from this computer. Where they lead nowhere it comes from
// people's sessions: what Identity Center lists, a session's name, an AWS
// profile. [Options.Open] chooses the route whose caller's credentials are at
// hand, and gives a [Way]. A caller's
// credentials are never made up: a service account's token comes from a file or
// from the local AWS that the environment points at, a role's or user's from
// the SDK's default chain, whose identity must be that role or user. How
// credentials are cached is package creds' business.
package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"
	"golang.org/x/sync/singleflight"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/compile"
)

// Options are the flags of the commands that go a route.
type Options struct {
	Declarations string
	As           string
	TokenFile    string
	Region       string        // --region, of commands that have it: see RegionFlag
	Duration     time.Duration // --duration, of commands that have it: see LengthFlag; 0 for what is declared
	Limits
	Sweep
	// NoBroker keeps Open from asking the user's broker.
	NoBroker bool
	far      far
	foretold map[string]string // what was said of addresses already; not written once ways are opened

	compiling singleflight.Group // by path: commands that open many ways read declarations once
	mu        sync.Mutex         // guards compiled
	compiled  map[string]atlas   // by path
}

// Flags adds the options to a command.
func (o *Options) Flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.Declarations, "declarations", "f", "", "the declarations that lead there, a directory or file `PATH`;\n"+
		"default: $STILE_DECLARATIONS, the directory of a stile.yaml here or above, or what was applied from this computer")
	f.Var((*asFlag)(o), "as", "the `CALLER` to go as, where several may: serviceaccount:CLUSTER/NAMESPACE/NAME, an ARN or ACCOUNT/ROLE;\n"+
		"readonly is --read-only")
	o.Limits.flags(cmd)
	f.BoolVar(&o.NoBroker, "no-broker", false, "get the credentials without the broker (stile broker)")
	f.StringVar(&o.TokenFile, "token-file", "", "the service account's token, in a `FILE` that is read again for every fetch;\n"+
		"default: $AWS_WEB_IDENTITY_TOKEN_FILE, or a token of the local AWS that the environment points at")
}

// asFlag is --as: a caller, or "readonly", which is how guards say --read-only.
type asFlag Options

// Set implements pflag.Value.
func (a *asFlag) Set(text string) error {
	if text == "readonly" || text == "read-only" {
		a.ReadOnly = true
		return nil
	}
	a.As = text
	return nil
}

// String implements pflag.Value.
func (a *asFlag) String() string { return a.As }

// Type implements pflag.Value.
func (a *asFlag) Type() string { return "string" }

// Way is a route that can be gone. Close it.
type Way struct {
	Account arn.AccountID // where it ends
	Role    string        // the ARN of the role there; "" where nobody knows it, see Name
	Name    string        // the role's name, or that of the session's source
	Region  Region        // to work in
	Caller  string        // who goes it, as compile.Caller.Name

	AccountName string            // "" where it is not known
	Labels      map[string]string // the account's; nil where they are not known
	address     string            // as it was asked for
	// Chained is set unless the last role is known to be the first session: AWS
	// lets chained ones last an hour, and choose no length of a console's session.
	Chained bool

	// Credentials are cached and refreshed as long as the Way is open. Those who
	// hand them out use Retrieve or Provider, which log it.
	Credentials *creds.Cached
	home        home   // what the end says of its Region
	kept        string // what they are kept by for other processes, "" where those must find the way themselves
	end         func()
	narrowed    bool                  // the end has the session policies that were wanted
	instead     string                // what it ends as for their sake, in words; "" for what was asked for
	claimed     bool                  // the account is what a file says of a key, and not AWS
	whose       *whose                // tells whose account it is, for a guard; nil where none goes by accounts
	shorter     func(aws.Credentials) // says what lasts less than was wanted; nil for nothing
	log         *recorder             // nil for a way that only finds out

	mu    sync.Mutex    // guards first
	first arn.AccountID // of what was handed out first, where Account is not known
}

// Close ends what is going on in the background.
func (w *Way) Close() { w.end() }

// Retrieve gets the credentials of the end of the way.
func (w *Way) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := w.Credentials.Retrieve(ctx)
	if err != nil {
		return c, fmt.Errorf("going as %s: %w", w.Caller, err)
	}
	if w.shorter != nil {
		w.shorter(c)
	}
	return w.hand(ctx, c)
}

// Open finds the way to address: ACCOUNT/ROLE, a role's ARN, or the name of a
// session. No credentials of the way itself are fetched yet, but the person may
// be asked for what they need. The guards of the working directory are asked, and
// the end gets the session policies that they or the flags want.
func (o *Options) Open(ctx context.Context, s *term.Streams, address string) (*Way, error) {
	if err := addressable(address); err != nil {
		return nil, err
	}
	if err := o.checkLength(); err != nil {
		return nil, err
	}
	p, err := o.pass(s)
	if err != nil {
		return nil, err
	}
	o.tellForeign(s)
	p.keep = o.keeping(s, address)
	way, err := o.shared(ctx, s, address, p)
	if err != nil {
		return nil, err
	}
	way.address, way.Region = address, o.region(s, address, way.home)
	if err := o.admit(ctx, s, p, way); err != nil {
		way.Close()
		return nil, fmt.Errorf("going to %s: %w", address, err)
	}
	way.shorter = o.shorter(s, address, way)
	if p.free() && o.Duration == 0 { // others are asked for anew each time
		p.keep.remember(way)
	}
	o.tellProfile(s, address, way)
	if way.instead != "" && o.foretold[address] != way.instead {
		s.Note("stile: %s, for %s: %s", address, p.narrow.why, way.instead)
	}
	way.log = o.recorder(s, address, way, limits(p.narrow.words, way.instead))
	return way, nil
}

func (o *Options) open(ctx context.Context, s *term.Streams, address string, p *pass) (*Way, error) {
	to, err := target(address)
	if err != nil {
		if !mayBeSession(address) || o.declaredOnly() {
			return nil, o.missing(err)
		}
		return o.openSession(ctx, s, address, p, nil)
	}
	routes, err := o.find(ctx, s, to)
	if err != nil {
		if o.declaredOnly() || another(err) {
			return nil, err
		}
		return o.openSession(ctx, s, address, p, err)
	}
	o.lasting(routes)
	start := &starter{streams: s, options: o, narrow: &p.narrow, keep: p.keep}
	c, begin, err := o.choose(ctx, start, address, routes)
	if err != nil {
		return nil, err
	}
	return c.open(begin, p, o.far.cache)
}

// missing is that there are no declarations where they were said to be, which may be
// why an address is none; else the error there is.
func (o *Options) missing(err error) error {
	if o.Declarations != "" {
		if _, missing := os.Stat(o.Declarations); missing != nil {
			return fmt.Errorf("reading declarations: %w", missing)
		}
	}
	return err
}

// addressable refuses what is no address whatever there is.
func addressable(address string) error {
	const want = "want ACCOUNT/ROLE, a role's ARN, or a name of stile sessions list"
	switch {
	case address == "":
		return errors.New(`going to "": ` + want)
	case strings.ContainsFunc(address, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("going to %q: no address has line breaks or control characters; %s", address, want)
	case strings.Contains(address, "*"):
		return fmt.Errorf("going to %s: * stands for many, and one is wanted: stile each '%[1]s' -- COMMAND runs in all of them, stile ls lists them", address)
	}
	return nil
}

// target parses where to go.
func target(address string) (access.Address, error) {
	to, err := access.ParseAddress(address)
	if err != nil {
		return access.Address{}, err
	}
	switch {
	case to.ServiceAccount != nil:
		return access.Address{}, fmt.Errorf("going to %s: a service account is where ways begin; say ACCOUNT/ROLE", address)
	case to.Role == "" && (to.ARN.Service != "iam" || to.ARN.Type() != "role"):
		return access.Address{}, fmt.Errorf("going to %s: want ACCOUNT/ROLE or the ARN of a role", address)
	}
	return to, nil
}

// A candidate is a route that ends where we want to go.
type candidate struct {
	route   compile.Route
	account arn.AccountID
	region  string
	name    string            // the account's
	labels  map[string]string // nil where they are not known
}

// open begins the route and adds its hops.
func (c *candidate) open(b *beginning, p *pass, cache *creds.Cache) (*Way, error) {
	end := func() {}
	if cache == nil {
		cache = creds.NewCache(creds.Config{})
		end = cache.Close
	}
	at := cache.Of(b.provider)
	for i := b.hops; i < len(c.route.Hops); i++ {
		hop, err := creds.NewAssumeRole(b.cfg, at, roleOf(c.route.Hops, i, b.sessionName, &p.narrow))
		if err != nil {
			end()
			return nil, err
		}
		at = cache.Of(p.keep.wrap(hop, b.proven))
	}
	last := c.route.Hops[len(c.route.Hops)-1]
	a, _ := arn.Parse(last.Role) // stop has parsed it
	w := &Way{AccountName: c.name, Labels: c.labels, narrowed: true, Chained: c.chained(), Account: c.account, Role: last.Role, Name: a.Name(), home: home{region: c.region}, Caller: c.route.Caller.Name, Credentials: at, end: end}
	if b.settled {
		w.kept = at.Key()
	}
	return w, nil
}

// chained reports that a role enters another. A caller that is a role is one.
func (c *candidate) chained() bool {
	a, err := arn.Parse(c.route.Caller.ARN)
	return len(c.route.Hops) > 1 || c.route.Caller.Subject == "" && (err != nil || a.Type() != "user")
}

// roleOf is a hop as STS is asked for it, the last one with the session policies.
func roleOf(hops []compile.Hop, i int, sessionName string, n *narrowing) creds.Role {
	hop := hops[i]
	r := creds.Role{ARN: hop.Role, SessionName: sessionName, Duration: hop.Duration, ExternalID: hop.ExternalID, Tags: hop.Tags}
	if i == len(hops)-1 {
		return n.apply(r)
	}
	return r
}

// choose picks the route to go: of the caller that was named, else of the only
// caller, else of the only one whose credentials are at hand.
func (o *Options) choose(ctx context.Context, start *starter, address string, routes []candidate) (*candidate, *beginning, error) {
	routes, err := o.as(address, perCaller(routes))
	if err != nil {
		return nil, nil, err
	}
	if len(routes) == 1 {
		b, err := start.begin(ctx, &routes[0])
		if err != nil {
			return nil, nil, fmt.Errorf("going to %s: %w", address, err)
		}
		return &routes[0], b, nil
	}
	var ready []int
	var begins []*beginning
	var lines []string
	for i := range routes {
		b, err := start.begin(ctx, &routes[i])
		state := "at hand"
		if err != nil {
			state = err.Error()
		} else {
			ready, begins = append(ready, i), append(begins, b)
		}
		lines = append(lines, fmt.Sprintf("\n  --as %s: %s", routes[i].route.Caller.Name, state))
	}
	if len(ready) == 1 {
		return &routes[ready[0]], begins[0], nil
	}
	what := "several callers may, and the credentials of none are at hand"
	if len(ready) > 1 {
		what = "the credentials of several callers who may are at hand; choose one"
	}
	return nil, nil, fmt.Errorf("going to %s: %s:%s", address, what, strings.Join(lines, ""))
}

// perCaller keeps one route a caller: grants for one role differ in what they
// allow, which is no matter here; of them the longest session is taken.
func perCaller(routes []candidate) []candidate {
	length := func(c candidate) time.Duration { return c.route.Hops[len(c.route.Hops)-1].Duration }
	slices.SortStableFunc(routes, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.route.Caller.Name, b.route.Caller.Name), cmp.Compare(length(b), length(a)))
	})
	return slices.CompactFunc(routes, func(a, b candidate) bool { return a.route.Caller.Name == b.route.Caller.Name })
}

// as keeps the routes of the caller that was named.
func (o *Options) as(address string, routes []candidate) ([]candidate, error) {
	if o.As == "" {
		return routes, nil
	}
	who, err := access.ParseAddress(o.As)
	if err != nil {
		return nil, fmt.Errorf("reading --as: %w", err)
	}
	var names []string
	for _, c := range routes {
		if c.isCaller(who, o.As) {
			return []candidate{c}, nil
		}
		names = append(names, c.route.Caller.Name)
	}
	return nil, fmt.Errorf("going to %s as %s: only these callers may: %s", address, o.As, strings.Join(names, ", "))
}

func (c *candidate) isCaller(who access.Address, text string) bool {
	if who.Role == "" {
		return c.route.Caller.Name == text
	}
	a, err := arn.Parse(c.route.Caller.ARN)
	return err == nil && a.Type() == "role" && a.Name() == who.Role && string(a.Account) == who.Account
}
