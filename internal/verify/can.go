package verify

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

// ErrNoWay is wrapped when nothing declared or observed leads a caller into AWS.
var ErrNoWay = errors.New("no way into AWS is known for it")

// Query asks whether somebody can do something.
type Query struct {
	Who      access.Address
	Action   string
	Resource string              // ARN, or "*"
	Context  map[string][]string // condition keys the caller would send
	Now      time.Time           // of the request; zero: unknown
	PassRole string              // ARN of the role that the call hands to a service
	Endpoint string              // ARN or id of the VPC endpoint the call goes through
}

// Answer is the best of the ways there are.
type Answer struct {
	// Outcome is Allowed when some way leads through; otherwise Unknown when
	// one might, and the outcome of the nearest way when none does.
	Outcome authz.Outcome `json:"outcome"`
	Ways    []Way         `json:"ways"` // best first
	// Assumed says, one line each, what nobody looked for and is taken not to be there.
	Assumed []string `json:"assumed,omitempty"`

	View *effective.View `json:"-"` // that was asked, for asking on
}

// Way is one way from the caller to the resource.
type Way struct {
	Access string          `json:"access,omitempty"` // of the route taken; "" for the caller's own identity
	As     string          `json:"as"`               // ARN of the identity at the end
	Hops   []effective.Leg `json:"hops"`             // empty when the caller acts as itself
	// Uses has the action itself and what it implies: kms:Decrypt on the key
	// of a secret.
	Uses []effective.Leg `json:"uses"`
}

// Outcome is the first outcome on the way that is not Allowed: hops count
// before what they lead to.
func (w *Way) Outcome() authz.Outcome {
	unknown := false
	for _, l := range slices.Concat(w.Hops, w.Uses) {
		switch l.Decision.Outcome {
		case authz.ImplicitDeny, authz.ExplicitDeny:
			return l.Decision.Outcome
		case authz.Unknown:
			unknown = true
		case authz.Allowed, authz.NotApplicable:
		}
	}
	if unknown {
		return authz.Unknown
	}
	return authz.Allowed
}

// Can answers q from what is declared (w may be nil: then only the caller's
// own identity counts) and observed. An error means that q.Who could not be
// found; a deny is an answer.
func Can(set *access.Set, w *compile.Wanted, inv *inventory.Inventory, q Query) (Answer, error) {
	if set == nil {
		set = &access.Set{}
	}
	if w == nil {
		w = &compile.Wanted{}
	}
	if inv == nil {
		inv = &inventory.Inventory{}
	}
	return Options{}.can(set, w, inv, q)
}

// Can answers q from what is observed alone: nothing is declared.
func (o Options) Can(inv *inventory.Inventory, q Query) (Answer, error) {
	return o.can(&access.Set{}, &compile.Wanted{}, inv, q)
}

func (o Options) can(set *access.Set, w *compile.Wanted, inv *inventory.Inventory, q Query) (Answer, error) {
	c := &canner{set: set, w: w, inv: inv, view: effective.Options{Assume: !o.Strict}.New(inv), q: q}
	if err := c.itself(); err != nil {
		return Answer{}, err
	}
	for i := range w.Routes {
		if c.starts(&w.Routes[i]) {
			c.along(&w.Routes[i])
		}
	}
	if len(c.ways) == 0 {
		return Answer{}, fmt.Errorf("finding a way for %s: %w%s", q.Who, ErrNoWay, didYouMean(c.nearCaller()))
	}
	slices.SortStableFunc(c.ways, func(a, b Way) int { return better(a.Outcome()) - better(b.Outcome()) })
	return Answer{Outcome: c.ways[0].Outcome(), Ways: c.ways, Assumed: c.view.Assumed(), View: c.view}, nil
}

// better ranks outcomes.
func better(o authz.Outcome) int {
	return slices.Index([]authz.Outcome{authz.Allowed, authz.Unknown, authz.ImplicitDeny, authz.ExplicitDeny, authz.NotApplicable}, o)
}

// canner is one run of Can.
type canner struct {
	set  *access.Set
	w    *compile.Wanted
	inv  *inventory.Inventory
	view *effective.View
	q    Query
	self string // ARN of the caller, "" for service accounts
	ways []Way
}

// itself adds the way of a caller that is an IAM principal already.
func (c *canner) itself() error {
	switch {
	case c.q.Who.ServiceAccount != nil:
		return nil
	case !c.q.Who.ARN.IsZero():
		c.self = c.q.Who.ARN.String()
	case c.q.Who.Role != "":
		role, err := c.role(c.q.Who.Account, c.q.Who.Role)
		if err != nil {
			return err
		}
		c.self = role
	}
	if err := c.exists(); err != nil {
		return err
	}
	p, err := c.view.Principal(c.self)
	if err != nil {
		return err
	}
	q := effective.Of(p, c.q.Action, c.q.Resource)
	if !c.q.Now.IsZero() {
		q.Context.Set("aws:CurrentTime", c.q.Now.UTC().Format(time.RFC3339))
		q.Context.Set("aws:EpochTime", strconv.FormatInt(c.q.Now.Unix(), 10))
	}
	c.ways = append(c.ways, Way{As: c.self, Uses: c.uses(q, c.self)})
	return nil
}

// role finds the ARN of ACCOUNT/ROLE, observed or wanted.
func (c *canner) role(account, name string) (string, error) {
	id := c.account(account)
	if r, _ := c.inv.Accounts[id].Role(name); r != nil {
		return r.ARN, nil
	}
	for i := range c.w.Roles {
		if r := &c.w.Roles[i]; r.Account == id && strings.EqualFold(r.Name, name) {
			return r.ARN().String(), nil
		}
	}
	if _, known := c.inv.Accounts[id]; !known {
		if near := c.nearAccount(account); near != "" {
			return "", fmt.Errorf("finding role %s/%s: %w: there is no account %q; did you mean %s?", account, name, ErrNoWay, account, near)
		}
	}
	return "", fmt.Errorf("finding role %s/%s: %w: neither declared nor observed%s", account, name, ErrNoWay, didYouMean(c.nearRole(id, name)))
}

// exists is an error for a role or user that is known not to be there: nothing that
// could be said of it would be an answer.
func (c *canner) exists() error {
	a, err := arn.Parse(c.self)
	if err != nil || a.Service != "iam" {
		return nil // what it is is for others to say
	}
	account, near := c.inv.Accounts[a.Account], ""
	var state inventory.Lookup
	switch a.Type() {
	case "role":
		if slices.ContainsFunc(c.w.Roles, func(r compile.Role) bool { return r.ARN() == a }) {
			return nil
		}
		r, found := account.Role(a.Name())
		if state = found; r != nil && r.ARN != c.self {
			return fmt.Errorf("finding %s: %w: the role of that name is %s", c.self, ErrNoWay, r.ARN)
		}
		near = c.nearRole(a.Account, a.Name())
	case "user":
		_, state = account.User(a.Name())
		near = account.NearUser(a.Name())
	}
	if state != inventory.Absent {
		return nil
	}
	return fmt.Errorf("finding %s: %w: account %s has no such %s%s", c.self, ErrNoWay, a.Account, a.Type(), didYouMean(near))
}

// account finds an account by its id or name, declared or observed.
func (c *canner) account(name string) arn.AccountID {
	if a, ok := c.set.Account(name); ok {
		return a.ID
	}
	for id, a := range c.inv.Accounts {
		if a != nil && a.Name == name {
			return id
		}
	}
	return arn.AccountID(name)
}

// starts reports whether a route begins at the caller.
func (c *canner) starts(r *compile.Route) bool {
	if sa := c.q.Who.ServiceAccount; sa != nil {
		return r.Caller.Name == sa.String()
	}
	return r.Caller.ARN != "" && r.Caller.ARN == c.self
}

// along adds the ways that lead over the hops of a route, one for each role
// where the caller might stay.
func (c *canner) along(r *compile.Route) {
	for n := 1; n <= len(r.Hops); n++ {
		as := r.Hops[n-1].Role
		if slices.ContainsFunc(c.ways, func(w Way) bool { return w.As == as }) {
			continue
		}
		legs, q, reached := c.view.Reach(r, n, c.q.Now)
		switch {
		case c.asksFor(legs):
			c.ways = append(c.ways, Way{Access: r.Access, As: as, Hops: legs})
		case reached:
			c.ways = append(c.ways, Way{Access: r.Access, As: as, Hops: legs, Uses: c.uses(q, as)})
		}
	}
}

// asksFor reports whether the query is one of the hops themselves: may it assume
// that role?
func (c *canner) asksFor(legs []effective.Leg) bool {
	return slices.ContainsFunc(legs, func(l effective.Leg) bool {
		return strings.EqualFold(l.Action, c.q.Action) && l.Resource == c.q.Resource
	})
}

// uses asks for the action, and for what else the call takes.
func (c *canner) uses(q effective.Question, as string) []effective.Leg {
	q.Action, q.Resource, q.PassRole, q.Endpoint = c.q.Action, c.q.Resource, c.q.PassRole, c.q.Endpoint
	for key, values := range c.q.Context {
		q.Context.Set(key, values...)
	}
	if s := c.secret(); s != nil {
		q.Resource = s.ARN
	}
	var out []effective.Leg
	for _, p := range c.view.Parts(q) {
		l := effective.Leg{Caller: as, Action: p.Question.Action, Resource: p.Question.Resource, Why: p.Why, Decision: c.view.AskPart(&p)}
		if !p.Settled() {
			l.Question = p.Question
		}
		out = append(out, l)
	}
	return out
}

// secret is the observed secret the query names, by full ARN or by the pattern
// it was found by.
func (c *canner) secret() *inventory.Secret {
	a, err := arn.Parse(c.q.Resource)
	if err != nil || a.Service != "secretsmanager" || c.inv.Accounts[a.Account] == nil {
		return nil
	}
	for key, s := range c.inv.Accounts[a.Account].Secrets {
		if s != nil && (key == c.q.Resource || s.ARN == c.q.Resource) {
			return s
		}
	}
	return nil
}
