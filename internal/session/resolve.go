package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/catalog"
)

// ErrUnknown means that no source or session is or has what was typed.
var ErrUnknown = errors.New("not known to any source or session")

// unknown is an ErrUnknown that says what is not there.
type unknown string

// Error is what is not there.
func (u unknown) Error() string { return string(u) }

// Is makes it an [ErrUnknown].
func (u unknown) Is(target error) bool { return target == ErrUnknown }

func unknownf(format string, args ...any) error { return unknown(fmt.Sprintf(format, args...)) }

// Account is an account as Identity Center lists it.
type Account struct {
	ID    arn.AccountID `json:"id"`
	Name  string        `json:"name"`
	Email string        `json:"email,omitempty"`
}

// Lister tells what an Identity Center has for the person who is signed in.
type Lister interface {
	// Known gives what was learned before, without asking anybody.
	Known(source *Source) []Account
	// Accounts asks if nothing, or nothing of late, is known.
	Accounts(ctx context.Context, source *Source) ([]Account, error)
	// KnownRoles gives what was learned before of an account's roles; ok is false
	// when nothing was.
	KnownRoles(source *Source, account arn.AccountID) (names []string, ok bool)
	// Roles asks if nothing, or nothing of late, is known.
	Roles(ctx context.Context, source *Source, account arn.AccountID) ([]string, error)
}

// Target is where to go and how.
type Target struct {
	Source Source
	// Account is where the way ends, "" when only the credentials know.
	Account     arn.AccountID
	AccountName string // as Identity Center lists it, else ""
	// From is the account of the permission set PermissionSet, with which the way
	// begins at an Identity Center.
	From          arn.AccountID
	PermissionSet string
	// Hops are the roles to enter one after the other, without session names; the
	// first one by the token or assertion of a source that has one.
	Hops []creds.Role
	// Federation, if set, has the user whose key the source is federated: the way has
	// no Hops. Resolve never sets it.
	Federation *Federation
	Region     string // of the session, "" for none
	Session    string // its name, "" for none
	Labels     map[string]string
}

// Federation is how a user is federated (STS API reference, GetFederationToken).
// What the session may is what both the user and one of these allow.
type Federation struct {
	Policy     string
	PolicyARNs []string
	Duration   time.Duration // 15 minutes to 36 hours; default: 12 hours
}

// Role is the name of the role at the end, "" where only the credentials know.
func (t *Target) Role() string {
	if t.PermissionSet != "" && len(t.Hops) == 0 {
		return t.PermissionSet
	}
	a, _ := arn.Parse(t.RoleARN()) // made here
	return a.Name()
}

// OwnCode reports that the role takes an MFA code of its own: it should last longer
// than STS lets a role last that is entered from the user's MFA session.
func (t *Target) OwnCode() bool {
	return t.Source.User != nil && t.Source.User.MFA != nil && t.Federation == nil && len(t.Hops) == 1 && t.Hops[0].Duration > maxChained
}

// Begun is how many of the Hops the source itself enters, with its token or
// assertion, or with a user's key and a code.
func (t *Target) Begun() int {
	if t.Source.SAML != nil || t.Source.WebIdentity != nil || t.OwnCode() {
		return 1
	}
	return 0
}

// Step is the way as far as its step i: step 0 is what the source gives, and each
// further one a role that is assumed. There are Steps of them.
func (t *Target) Step(i int) *Target {
	part := *t
	part.Hops = slices.Clone(t.Hops[:t.Begun()+i])
	return &part
}

// Steps is how many there are; see Step.
func (t *Target) Steps() int { return 1 + len(t.Hops) - t.Begun() }

// RoleARN is the role at the end, "" where only the credentials know.
func (t *Target) RoleARN() string {
	if len(t.Hops) > 0 {
		return t.Hops[len(t.Hops)-1].ARN
	}
	return t.Source.OwnRole().String()
}

// Resolve finds what an address means: ACCOUNT/ROLE as an Identity Center lists
// it, SOURCE:ACCOUNT/ROLE where several do, the name of a session, the name of a
// source, or the ARN of a role that one of them leads to. What is not there is
// ErrUnknown, a group is a [GroupError]; what is there more than once is an error
// that lists the choices. Errors do not say the address.
func (b *Book) Resolve(ctx context.Context, address string, l Lister) (*Target, error) {
	name, rest, ok := strings.Cut(address, ":")
	if source := b.Source(name); ok && source != nil {
		return b.within(ctx, source, rest, l)
	}
	if strings.HasPrefix(address, "arn:") {
		return b.byARN(ctx, address, l)
	}
	if account, role, ok := cutRole(address); ok {
		return b.anywhere(ctx, account, role, l)
	}
	if s := b.Session(address); s != nil {
		return b.named(ctx, s, l)
	}
	if source := b.Source(address); source != nil {
		return own(source)
	}
	if g := b.Group(address); g != nil {
		return nil, &GroupError{*g}
	}
	return nil, fmt.Errorf("%w%s", ErrUnknown, hint(address, b.names()))
}

// cutRole cuts at the last slash: names of accounts may have some.
func cutRole(address string) (account, role string, ok bool) {
	i := strings.LastIndexByte(address, '/')
	if i <= 0 || i == len(address)-1 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}

// own is what a source gives by itself.
func own(source *Source) (*Target, error) {
	if source.IdentityCenter != nil {
		return nil, fmt.Errorf("source %s is an Identity Center: say %s:ACCOUNT/ROLE, or ACCOUNT/ROLE; stile ls lists them", source.Name, source.Name)
	}
	if source.Opens() {
		return nil, fmt.Errorf("source %s (%s) opens roles: say which role, %s:ACCOUNT/ROLE", source.Name, source.Kind(), source.Name)
	}
	t := &Target{Source: *source, Account: source.OwnRole().Account, Hops: source.first()}
	if source.User != nil {
		t.Account = source.User.Account
	}
	if source.ConsoleLogin != nil {
		a, _ := arn.Parse(source.ConsoleLogin.Identity) // checked when the book was read
		t.Account = a.Account
	}
	return t, nil
}

// first is the hop that every way of the source begins with.
func (s *Source) first() []creds.Role {
	if s.WebIdentity == nil || s.WebIdentity.Role == "" {
		return nil
	}
	return []creds.Role{{ARN: s.WebIdentity.Role}}
}

// within resolves what follows SOURCE: in an address.
func (b *Book) within(ctx context.Context, source *Source, rest string, l Lister) (*Target, error) {
	if rest == "" {
		return own(source)
	}
	account, role, ok := cutRole(rest)
	if !ok {
		return nil, fmt.Errorf("want %s:ACCOUNT/ROLE; stile ls --source %s lists them", source.Name, source.Name)
	}
	return b.named(ctx, &Session{Source: source.Name, Account: account, Role: role}, l)
}

// place is an account at an Identity Center.
type place struct {
	source  *Source
	account Account
}

// anywhere looks for an account in all Identity Centers. What is known already
// decides before anybody is asked.
func (b *Book) anywhere(ctx context.Context, account, role string, l Lister) (*Target, error) {
	centers := b.centers()
	if id := arn.AccountID(account); id.Valid() && len(centers) == 1 {
		return centers[0].permissionSet(Account{ID: id, Name: nameOf(l.Known(centers[0]), id)}, role), nil
	}
	found := places(centers, account, l.Known)
	if len(found) == 0 {
		var errs []error
		found = places(centers, account, func(s *Source) []Account {
			all, err := l.Accounts(ctx, s)
			errs = append(errs, err)
			return all
		})
		if err := errors.Join(errs...); err != nil && len(found) == 0 {
			return nil, fmt.Errorf("looking for account %s: %w", account, err)
		}
	}
	if len(found) == 0 {
		return nil, unknownf("no account %s is known to any source%s", account, hint(account, b.accountNames(l)))
	}
	return only(ctx, found, role, l)
}

// only is the one of several places that lists a role.
func only(ctx context.Context, found []place, role string, l Lister) (*Target, error) {
	if len(found) > 1 {
		all := found
		if found = offering(ctx, all, role, l); len(found) == 0 {
			var names []string
			for _, p := range all {
				names = append(names, p.source.Name)
			}
			return nil, unknownf("none of %s lists a role %s there", strings.Join(names, ", "), role)
		}
	}
	if len(found) == 1 {
		return found[0].source.permissionSet(found[0].account, role), nil
	}
	var choices []string
	for _, p := range found {
		choices = append(choices, fmt.Sprintf("\n  %s:%s/%s (%s)", p.source.Name, p.account.ID, role, p.account.Name))
	}
	return nil, fmt.Errorf("it may be any of these; choose one:%s", strings.Join(choices, ""))
}

// offering keeps the places that list a role, and those that cannot be asked. What
// is known already decides where some list it.
func offering(ctx context.Context, found []place, role string, l Lister) []place {
	keep := func(anew bool) []place {
		return slices.DeleteFunc(slices.Clone(found), func(p place) bool {
			names, ok := l.KnownRoles(p.source, p.account.ID)
			if !ok || anew {
				if asked, err := l.Roles(ctx, p.source, p.account.ID); err == nil {
					names, ok = asked, true
				}
			}
			return ok && !slices.Contains(names, role)
		})
	}
	if some := keep(false); len(some) > 0 {
		return some
	}
	return keep(true)
}

// centers are the sources that list accounts.
func (b *Book) centers() []*Source {
	var out []*Source
	for i := range b.Sources {
		if b.Sources[i].IdentityCenter != nil {
			out = append(out, &b.Sources[i])
		}
	}
	return out
}

func (b *Book) accountNames(l Lister) []string {
	var out []string
	for _, s := range b.centers() {
		for _, a := range l.Known(s) {
			out = append(out, a.Name)
		}
	}
	return out
}

// places are the accounts of a name or id.
func places(centers []*Source, name string, list func(*Source) []Account) []place {
	var out []place
	for _, s := range centers {
		for _, a := range list(s) {
			if a.Name == name || string(a.ID) == name {
				out = append(out, place{s, a})
			}
		}
	}
	return out
}

func nameOf(all []Account, id arn.AccountID) string {
	if i := slices.IndexFunc(all, func(a Account) bool { return a.ID == id }); i >= 0 {
		return all[i].Name
	}
	return ""
}

// permissionSet is the way that is one step.
func (s *Source) permissionSet(a Account, name string) *Target {
	return &Target{Source: *s, Account: a.ID, AccountName: a.Name, From: a.ID, PermissionSet: name}
}

// named is the way of a session: its source, the roles it goes via, its own.
func (b *Book) named(ctx context.Context, s *Session, l Lister) (*Target, error) {
	source := b.Source(s.Source)
	if s.Role == "" {
		t, err := own(source)
		if err != nil {
			return nil, fmt.Errorf("session %s: %w", s.Name, err)
		}
		t.Region, t.Session, t.Labels = s.Region, s.Name, s.Labels
		return t, nil
	}
	t := &Target{Source: *source, Region: s.Region, Session: s.Name, Labels: s.Labels, Hops: source.first()}
	stops := append(slices.Clone(s.Via), s.Role)
	if !strings.HasPrefix(s.Role, "arn:") {
		stops[len(stops)-1] = s.Account + "/" + s.Role
	}
	for i, stop := range stops {
		account, role, err := b.stop(ctx, source, stop, l)
		if err != nil {
			return nil, err
		}
		t.Account, t.AccountName = account.ID, account.Name
		if i == 0 && source.IdentityCenter != nil {
			a, _ := arn.Parse(role) // made by stop
			t.From, t.PermissionSet = account.ID, a.Name()
			continue
		}
		hop := creds.Role{ARN: role}
		if i == len(stops)-1 {
			hop.ExternalID, hop.Duration = s.ExternalID, time.Duration(s.Duration)
		}
		t.Hops = append(t.Hops, hop)
	}
	return t, s.mark(t)
}

// mark puts the source identity and the tags onto the roles that are assumed. What
// a token or an assertion enters is marked by who issued it.
func (s *Session) mark(t *Target) error {
	if s.SourceIdentity == "" && len(s.Tags) == 0 {
		return nil
	}
	assumed := t.Hops
	if t.Source.SAML != nil || t.Source.WebIdentity != nil {
		assumed = assumed[min(1, len(assumed)):]
	}
	if len(assumed) == 0 {
		return fmt.Errorf("session %s: a source identity and tags are of roles that are assumed, and source %s (%s) enters its role by itself; leave them off, or go via a role",
			s.Name, t.Source.Name, t.Source.Kind())
	}
	assumed[0].SourceIdentity = s.SourceIdentity
	if s.SourceIdentity == Caller {
		assumed[0].SourceIdentity = creds.CallerName
	}
	assumed[len(assumed)-1].Tags = s.Tags
	return nil
}

// stop is a role on the way, ACCOUNT/ROLE or ARN, as an ARN.
func (b *Book) stop(ctx context.Context, source *Source, text string, l Lister) (Account, string, error) {
	if strings.HasPrefix(text, "arn:") {
		a, err := arn.Parse(text)
		if err == nil && (a.Service != "iam" || a.Type() != "role") {
			err = fmt.Errorf("%s is not the ARN of a role", text)
		}
		return Account{ID: a.Account}, text, err
	}
	name, role, ok := cutRole(text)
	if !ok {
		return Account{}, "", fmt.Errorf("%q: want ACCOUNT/ROLE or the ARN of a role", text)
	}
	account, err := b.account(ctx, source, name, l)
	if err != nil {
		return Account{}, "", err
	}
	partition := "aws"
	switch own := source.OwnRole(); {
	case source.IdentityCenter != nil:
		partition = catalog.Partition(source.IdentityCenter.Region)
	case !own.IsZero():
		partition = own.Partition
	}
	return account, arn.IAM(partition, account.ID, "role", "", role).String(), nil
}

// account is one of the source's, by name or id; for sources that list none, one
// of any Identity Center's.
func (b *Book) account(ctx context.Context, source *Source, name string, l Lister) (Account, error) {
	centers := b.centers()
	if source.IdentityCenter != nil {
		centers = []*Source{source}
	}
	if id := arn.AccountID(name); id.Valid() {
		account := Account{ID: id}
		for _, s := range centers {
			account.Name = nameOf(l.Known(s), id)
		}
		return account, nil
	}
	found := places(centers, name, l.Known)
	if len(found) == 0 {
		for _, s := range centers {
			all, err := l.Accounts(ctx, s)
			if err != nil {
				return Account{}, fmt.Errorf("looking for account %s: %w", name, err)
			}
			found = append(found, places([]*Source{s}, name, func(*Source) []Account { return all })...)
		}
	}
	slices.SortStableFunc(found, func(a, b place) int { return strings.Compare(string(a.account.ID), string(b.account.ID)) })
	found = slices.CompactFunc(found, func(a, b place) bool { return a.account.ID == b.account.ID }) // several may list it
	switch len(found) {
	case 0:
		if source.IdentityCenter != nil {
			return Account{}, unknownf("%s lists no account %s%s", source.Name, name, hint(name, b.accountNames(l)))
		}
		return Account{}, unknownf("no account %s is known to any source%s", name, hint(name, b.accountNames(l)))
	case 1:
		return found[0].account, nil
	}
	var ids []string
	for _, p := range found {
		ids = append(ids, string(p.account.ID))
	}
	return Account{}, fmt.Errorf("account %s may be any of %s; say the id", name, strings.Join(ids, ", "))
}
