package desk

import (
	"context"
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/session"
)

// KnownRoles implements session.Lister.
func (l lister) KnownRoles(source *session.Source, account arn.AccountID) (names []string, ok bool) {
	c, err := l.desk.Center(context.Background(), source)
	if err != nil {
		return nil, false
	}
	names, at := c.KnownRoles(account)
	return names, !at.IsZero()
}

// Roles implements session.Lister.
func (l lister) Roles(ctx context.Context, source *session.Source, account arn.AccountID) ([]string, error) {
	c, err := l.desk.Center(ctx, source)
	if err != nil {
		return nil, err
	}
	if err := l.desk.signedIn(ctx, c, source); err != nil {
		return nil, err
	}
	return c.Roles(ctx, account, knownAge)
}

// Lists reports whether an Identity Center lists a role for the person in an
// account, and what it lists there. What is known will do where it has the role.
func (d *Desk) Lists(ctx context.Context, source *session.Source, account arn.AccountID, role string) (bool, []string, error) {
	l := lister{d}
	names, ok := l.KnownRoles(source, account)
	if ok && slices.Contains(names, role) {
		return true, names, nil
	}
	names, err := l.Roles(ctx, source, account)
	return slices.Contains(names, role), names, err
}
