package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/policy"
)

// unitKey identifies a role the declarations make. IAM compares role names
// without regard to case.
type unitKey struct {
	account arn.AccountID
	name    string // lower case
}

func unitKeyOf(account arn.AccountID, name string) unitKey {
	return unitKey{account, strings.ToLower(name)}
}

// A unit is a role in the making: everything that claims it, merged.
type unit struct {
	account *access.Account
	name    string
	hub     bool
	claims  []claim
	doors   []door
	inline  map[string][]policy.Statement // by policy name
	session time.Duration
	chained bool // every way in is an AssumeRole with another role's session
	open    bool // a way in is not
	needs   []unitKey
	reasons map[string]bool // names of the Access objects
}

// A claim is one caller's and one Access object's use of a unit.
type claim struct {
	caller string
	access *access.Access
	name   string // as spelt
	hub    bool
}

// A door is one way into a role: a principal that may assume it.
type door struct {
	caller string
	// Web identity: the provider, and the token's claims.
	provider, issuer, subject string
	// Others: the principal.
	principal  string
	ssoPattern string
	externalID string
	tags       map[string]string
	expires    time.Time // zero: never
	pos        access.Pos
}

// who identifies the principal of d.
func (d *door) who() string {
	return strings.Join([]string{d.provider, d.subject, d.principal, d.ssoPattern}, "\x00")
}

// how is what doors must have in common to share a statement.
func (d *door) how() string {
	var tags []string
	for _, k := range slices.Sorted(maps.Keys(d.tags)) {
		tags = append(tags, k, d.tags[k])
	}
	return strings.Join(append([]string{d.provider, d.ssoPattern, d.externalID, d.expires.UTC().Format(time.RFC3339)}, tags...), "\x00")
}

// unit returns the role that g claims under name, made on first use, and
// reports claims that exclude each other.
func (c *compiler) unit(account *access.Account, name string, cl claim) *unit {
	key := unitKeyOf(account.ID, name)
	u := c.units[key]
	if u == nil {
		u = &unit{account: account, name: name, inline: map[string][]policy.Statement{}, reasons: map[string]bool{}}
		c.units[key] = u
		c.checkRoleName(account, name, cl)
		c.checkBoundary(account)
	}
	cl.name = name
	for _, other := range u.claims {
		if f, bad := conflict(account, other, cl); bad {
			c.report.add(f)
			break
		}
	}
	u.claims = append(u.claims, cl)
	u.hub = u.hub || cl.hub
	u.reasons[cl.access.Name] = true
	u.session = max(u.session, sessionOf(cl.access))
	return u
}

// sessionOf is the longest session an Access asks for, within what IAM allows.
func sessionOf(a *access.Access) time.Duration {
	lowest, highest := catalog.MinMaxSessionSeconds*time.Second, catalog.MaxMaxSessionSeconds*time.Second
	return min(max(a.Session.MaxDuration, lowest), highest)
}

func (c *compiler) checkRoleName(account *access.Account, name string, cl claim) {
	if validRoleName(name) {
		return
	}
	f := fault{code: CodeName, at: cl.access.Pos, summary: fmt.Sprintf("%q cannot be the name of a role in account %s", name, account.Name)}
	f.detail = fmt.Sprintf("IAM allows 1 to %d letters, digits and _+=,.@-", catalog.RoleNameSize)
	if len(name) > catalog.RoleNameSize {
		f.summary += fmt.Sprintf(": it has %d characters", len(name))
	}
	c.report.add(f)
}

// conflict tells whether two claims on one role exclude each other.
func conflict(account *access.Account, a, b claim) (fault, bool) {
	where := fmt.Sprintf("role %s in account %s (%s)", b.name, account.Name, account.ID)
	switch {
	case a.name != b.name:
		return fault{
			code: CodeConflict, at: b.access.Pos,
			summary: fmt.Sprintf("%s is also spelt %s by %s", where, a.name, a.access.Name),
			detail:  "IAM tells role names apart without regard to letter case",
		}, true
	case a.hub != b.hub && a.caller != b.caller:
		return fault{
			code: access.CodeRoleClaimed, at: b.access.Pos,
			summary: fmt.Sprintf("%s is claimed as hub and as target by %s and %s", where, a.access.Name, b.access.Name),
			hint:    "give one of them another name with as or hub",
		}, true
	case a.caller != b.caller && !(a.access.Shared && b.access.Shared):
		return fault{
			code: access.CodeRoleClaimed, at: b.access.Pos,
			summary: fmt.Sprintf("%s is claimed by %s (%s) and by %s (%s)", where, a.caller, a.access.Name, b.caller, b.access.Name),
			detail:  "whoever may assume a role has all of it, so two callers of one role share everything",
			hint:    "give one of them another role with as, or say shared: true in each",
		}, true
	}
	return fault{}, false
}

// admit lets d into the role. The same principal under two Access objects is
// one door, open as long as the later of the two.
func (c *compiler) admit(u *unit, d door) {
	for i := range u.doors {
		have := &u.doors[i]
		if have.who() != d.who() {
			continue
		}
		if have.externalID != d.externalID || !maps.Equal(have.tags, d.tags) {
			c.report.add(fault{
				code: CodeConflict, at: d.pos,
				summary: fmt.Sprintf("%s gets role %s in account %s under different external ids or session tags", d.caller, u.name, u.account.Name),
				detail:  "the weaker of two statements for one principal decides, so the stricter would guard nothing",
				hint:    "declare the same external id and session tags, or another role with as",
			})
			return
		}
		have.expires = later(have.expires, d.expires)
		return
	}
	u.doors = append(u.doors, d)
}

// later is the later of two expiries, where zero never expires.
func later(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if b.After(a) {
		return b
	}
	return a
}

// trust is the role's trust policy: one statement for the doors that have
// everything but the principal in common.
func (c *compiler) trust(u *unit) *policy.Document {
	groups := map[string][]door{}
	for _, d := range u.doors {
		groups[d.how()] = append(groups[d.how()], d)
	}
	var statements []policy.Statement
	for _, how := range slices.Sorted(maps.Keys(groups)) {
		doors := groups[how]
		slices.SortFunc(doors, func(a, b door) int { return strings.Compare(a.who(), b.who()) })
		st := doors[0].statement(doors)
		st.Sid = sid(c.set.Scope.Name, "trust", string(u.account.ID), u.name, how)
		statements = append(statements, st)
	}
	slices.SortFunc(statements, func(a, b policy.Statement) int { return strings.Compare(a.String(), b.String()) })
	return policy.NewDocument(statements...)
}

// statement admits doors, which all have d's conditions.
func (d *door) statement(doors []door) policy.Statement {
	if d.provider != "" {
		return webIdentityTrust(doors)
	}
	return assumeTrust(doors)
}

// role finishes a unit.
func (c *compiler) role(u *unit) Role {
	session := u.session
	if u.chained && !u.open {
		session = min(session, catalog.ChainedSessionSeconds*time.Second)
	}
	r := Role{
		Account: u.account.ID, Name: u.name, Path: pathOf(u.account), Trust: c.trust(u),
		Inline: map[string]*policy.Document{}, Boundary: u.account.PermissionsBoundary,
		MaxSession: session, Hub: u.hub, For: slices.Sorted(maps.Keys(u.reasons)),
	}
	for name, statements := range u.inline {
		r.Inline[name] = policy.NewDocument(statements...)
	}
	r.Description = describe(u)
	return r
}

func pathOf(a *access.Account) string { return cmp.Or(a.Path, access.DefaultPath) }

// descriptionSize is how long a role's description may be.
// Source: IAM API CreateRole, Description: at most 1,000 characters.
const descriptionSize = 1000

func describe(u *unit) string {
	var callers []string
	for _, d := range u.doors {
		callers = union(callers, []string{d.caller})
	}
	kind := "access"
	if u.hub {
		kind = "hub"
	}
	text := "stile: " + kind + " for " + strings.Join(callers, ", ")
	if len(text) > descriptionSize {
		text = text[:descriptionSize-3] + "..."
	}
	return text
}

// checkCycles reports roles that can only be assumed through each other: IAM
// refuses a trust policy whose principal does not exist, so none could be the
// first to be made.
func (c *compiler) checkCycles() {
	const entered, left = 1, 2
	state := map[unitKey]int{}
	var visit func(k unitKey, way []string)
	visit = func(k unitKey, way []string) {
		u := c.units[k]
		if u == nil || state[k] == left {
			return
		}
		way = append(way, u.account.Name+"/"+u.name)
		if state[k] == entered {
			c.report.add(fault{
				code: access.CodeCycle, at: u.claims[0].access.Pos, summary: "roles trust each other in a circle: " + strings.Join(fromLast(way), " -> "),
				detail: "none of them could be made first, and each could be reached only from the others",
				hint:   "let one of them be assumed by a caller from outside the circle alone",
			})
			return
		}
		state[k] = entered
		for _, next := range u.needs {
			visit(next, way)
		}
		state[k] = left
	}
	for _, k := range sortedKeys(c.units) {
		visit(k, nil)
	}
}

// fromLast cuts the way into a circle off, leaving the circle.
func fromLast(way []string) []string {
	return way[slices.Index(way, way[len(way)-1]):]
}

func sortedKeys(m map[unitKey]*unit) []unitKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b unitKey) int {
		return cmp.Or(strings.Compare(string(a.account), string(b.account)), strings.Compare(a.name, b.name))
	})
}
