package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// Codes of this package's diagnostics.
const (
	CodeNotOurs     = "plan/not-ours"        // something exists under a name we need and is not this scope's
	CodeNotRead     = "plan/not-read"        // what decides could not be read
	CodeUndeclared  = "plan/account-unknown" // the scope owns things in an account that is no longer declared
	CodeUnparseable = "plan/unparseable"     // a document in the account is no policy stile can read
	CodeMoved       = "plan/role-moved"      // a role exists under another path
)

// Input is everything Make looks at.
type Input struct {
	Set       *access.Set
	Wanted    *compile.Wanted // what must be; empty to destroy
	Inventory *inventory.Inventory
	Ledger    *ledger.Ledger // nil: the scope has made nothing yet
	Destroy   bool
	// Adopt takes over roles and providers of the wanted names that carry no scope's tag.
	Adopt bool
	// Now tells which access has ended; zero: none has.
	Now time.Time
}

// Make plans the way from what exists to what is wanted. With errors in the
// diagnostics the plan is nil.
func Make(in Input) (*Plan, diag.List) {
	led := in.Ledger
	if led == nil {
		led = ledger.New(in.Set.Scope.Name)
	}
	m := &maker{in: in, before: led, ledger: led.Clone(), docs: map[string]Document{}, claimed: map[claim]bool{}}
	for _, p := range in.Wanted.Providers {
		m.provider(p)
	}
	for i := range in.Wanted.Roles {
		m.role(&in.Wanted.Roles[i])
	}
	for _, c := range in.Wanted.Callers {
		m.caller(c)
	}
	for _, s := range in.Wanted.Statements {
		m.statement(s)
	}
	m.deletions()
	m.mergeStatements()
	m.expired()
	if m.diags.HasErrors() {
		return nil, m.diags
	}
	steps := order(m.steps)
	p := &Plan{
		Format: Format, Scope: in.Set.Scope.Name, Destroy: in.Destroy,
		Declarations: in.Set.Digest, Documents: m.docs, Accounts: map[arn.AccountID]string{},
		Choices: in.Wanted.Choices, Steps: steps, Risks: m.risks, Kept: m.kept,
		Ledger: *m.ledger, LedgerRead: led.Digest(), Wanted: in.Wanted,
	}
	if home, ok := in.Set.Account(in.Set.Scope.Home.Account); ok {
		p.Home = Home{Account: home.ID, Region: in.Set.Scope.Home.Region}
	}
	for _, a := range in.Set.Accounts {
		p.Accounts[a.ID] = a.Name
	}
	p.Reach = in.Set.Accounts
	for _, b := range compile.Budgets(in.Wanted, in.Inventory) {
		p.Budgets = append(p.Budgets, Budget{Account: b.Account, What: b.What, Used: b.Used, Limit: b.Limit, Unit: b.Unit})
	}
	var assumed []string
	p.Access, assumed = accessChanges(p, in, m.gone)
	p.Assumed = union(slices.Clone(in.Wanted.Assumed), assumed)
	return p, m.diags
}

// expired warns of declarations whose end is past.
func (m *maker) expired() {
	told := map[string]bool{}
	for i := range m.in.Wanted.Routes {
		r := &m.in.Wanted.Routes[i]
		if !told[r.Access] && !r.Expires.IsZero() && !m.in.Now.Before(r.Expires) {
			told[r.Access] = true
			m.risk("warning", "plan/expired", "%s ended on %s: nobody can use what it makes; take it out of the declarations to have that removed", r.Access, r.Expires.UTC().Format(time.RFC3339))
		}
	}
}

// Changes reports whether there is anything to do.
func (p *Plan) Changes() bool { return len(p.Steps) > 0 }

// maker gathers steps while it walks what is wanted.
type maker struct {
	in     Input
	before *ledger.Ledger // as it was read
	ledger *ledger.Ledger // as it will be
	docs   map[string]Document
	steps  []Step
	merges map[string]*Step
	risks  []Risk
	kept   []string
	diags  diag.List
	gone   []ledger.Entry // what the steps delete
	// claimed has what planning the wanted side has found or made.
	claimed map[claim]bool
}

type claim struct {
	account arn.AccountID
	kind    ledger.Kind
	id      string
}

func (m *maker) account(id arn.AccountID) *inventory.Account {
	if a := m.in.Inventory.Accounts[id]; a != nil {
		return a
	}
	return &inventory.Account{ID: id}
}

// name is how people call an account.
func (m *maker) name(id arn.AccountID) string {
	if a, ok := m.in.Set.Account(string(id)); ok {
		return a.Name
	}
	return string(id)
}

func (m *maker) fail(code, hint, format string, args ...any) {
	m.diags = append(m.diags, diag.Diagnostic{Severity: diag.Error, Code: code, Summary: fmt.Sprintf(format, args...), Hint: hint})
}

func (m *maker) risk(level, code, format string, args ...any) {
	m.risks = append(m.risks, Risk{Level: level, Code: code, Text: fmt.Sprintf(format, args...)})
}

// read records the digest of a record that a step is made from, and returns
// the record's name among the plan's Documents.
func (m *maker) read(account arn.AccountID, kind, name string, record any, state inventory.Lookup) string {
	d := Document{Account: account, Kind: kind, Name: name, Digest: Digest(record, state)}
	m.docs[d.key()] = d
	return d.key()
}

func (d Document) key() string { return string(d.Account) + "/" + d.Kind + "/" + d.Name }

// add plans a step. e, when not nil, is what the ledger gains before it or,
// for a deletion, loses after it.
func (m *maker) add(s Step, e *ledger.Entry) {
	switch {
	case e == nil:
	case s.Verb == Delete:
		s.Drops = append(s.Drops, *e)
		m.gone = append(m.gone, *e)
		m.ledger.Drop(e.Account, e.Kind, e.ID)
	default:
		s.Writes = append(s.Writes, *e)
		m.own(*e)
	}
	m.steps = append(m.steps, s)
}

// own puts something wanted into the ledger that will be.
func (m *maker) own(e ledger.Entry) {
	m.claimed[claim{e.Account, e.Kind, e.ID}] = true
	m.ledger.Put(e)
}

// Digest is the fingerprint of an inventory record, "absent" when there is
// none. Equal records have equal digests.
func Digest(record any, state inventory.Lookup) string {
	if state != inventory.Exists {
		return "absent"
	}
	text, err := json.Marshal(record)
	if err != nil {
		panic("plan.Digest: " + err.Error()) // inventory records are plain data
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// tagValueSize is how long a tag's value may be. Source: IAM API Tag, Value.
const tagValueSize = 256

// tags are the ownership tags of what the scope makes. IAM's tag values know no
// comma, so the names are separated by spaces; past what fits they are counted.
func (m *maker) tags(names []string) map[string]string {
	value := strings.Join(names, " ")
	if len(value) > tagValueSize {
		more := fmt.Sprintf(" and %d more", len(names)-1)
		value = names[0][:min(len(names[0]), tagValueSize-len(more))] + more
	}
	return map[string]string{compile.TagScope: m.in.Set.Scope.Name, compile.TagAccess: value}
}

func (m *maker) ours(tags map[string]string) bool {
	return tags[compile.TagScope] == m.in.Set.Scope.Name
}

// differing gives the tags of want that have lacks.
func differing(have, want map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range want {
		if have[k] != v {
			out[k] = v
		}
	}
	return out
}

func (m *maker) parse(what, text string) *policy.Document {
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		m.fail(CodeUnparseable, "look at the document in the account; stile will not overwrite what it cannot read", "%s: %v", what, err)
		return nil
	}
	return doc
}

// same reports whether text is a document that means the same as want.
// Text that cannot be parsed is different.
func same(text string, want *policy.Document) bool {
	doc, err := policy.Parse([]byte(text))
	return err == nil && policy.Equal(doc, want)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
