package desk

import (
	"context"

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
	if err := l.desk.signedIn(ctx, c); err != nil {
		return nil, err
	}
	return c.Roles(ctx, account, knownAge)
}
