package session

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// reserved is how Identity Center begins the names of the roles it makes of
// permission sets; an underscore and a hash end them (IAM Identity Center user
// guide, "Referencing permission sets in resource policies").
const reserved = "AWSReservedSSO_"

// byARN finds what leads to the role of an ARN: a source by itself, a session, or
// an Identity Center that lists the permission set the role was made of.
func (b *Book) byARN(ctx context.Context, text string, l Lister) (*Target, error) {
	role, err := arn.Parse(text)
	if err != nil || role.Service != "iam" || role.Type() != "role" {
		return nil, errors.New("it is not the ARN of a role")
	}
	for i := range b.Sources {
		if s := &b.Sources[i]; s.OwnRole() == role {
			return own(s)
		}
	}
	var named []string
	for i := range b.Sessions {
		if t, err := b.named(ctx, &b.Sessions[i], silent{l}); err == nil && t.RoleARN() == text {
			named = append(named, b.Sessions[i].Name)
		}
	}
	switch len(named) {
	case 0:
	case 1:
		return b.named(ctx, b.Session(named[0]), l)
	default:
		return nil, fmt.Errorf("several sessions end there; choose one: %s", strings.Join(named, ", "))
	}
	if set, ok := permissionSetOf(role.Name()); ok {
		return b.reserved(ctx, role, set, l)
	}
	return nil, unknownf("no source gives this role by itself and no session ends there; SOURCE:%s/%s enters it from a source", role.Account, role.Name())
}

// permissionSetOf is the permission set that Identity Center made a role of.
func permissionSetOf(role string) (set string, ok bool) {
	rest, ok := strings.CutPrefix(role, reserved)
	i := strings.LastIndexByte(rest, '_')
	if !ok || i <= 0 {
		return "", false
	}
	return rest[:i], true
}

// reserved is the way to a role that an Identity Center made.
func (b *Book) reserved(ctx context.Context, role arn.ARN, set string, l Lister) (*Target, error) {
	var found []place
	var asked []string
	for _, s := range b.centers() {
		asked = append(asked, s.Name)
		for _, list := range []func() []Account{
			func() []Account { return l.Known(s) },
			func() []Account { all, _ := l.Accounts(ctx, s); return all }, // a source that cannot be asked lists nothing
		} {
			if p := places([]*Source{s}, string(role.Account), func(*Source) []Account { return list() }); len(p) > 0 {
				found = append(found, p...)
				break
			}
		}
	}
	if found = offering(ctx, found, set, l); len(found) == 0 {
		return nil, unknownf("no source or session ends there, and no Identity Center (looked through: %s) lists permission set %s in account %s", strings.Join(asked, ", "), set, role.Account)
	}
	return only(ctx, found, set, l)
}

// silent is a Lister that asks nobody.
type silent struct{ Lister }

// Accounts gives what is known.
func (l silent) Accounts(_ context.Context, s *Source) ([]Account, error) { return l.Known(s), nil }

// Roles gives what is known.
func (l silent) Roles(_ context.Context, s *Source, account arn.AccountID) ([]string, error) {
	names, _ := l.KnownRoles(s, account)
	return names, nil
}
