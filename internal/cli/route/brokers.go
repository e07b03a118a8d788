package route

import (
	"context"
	"errors"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/term"
)

// EndBrokers ends the brokers of all the user's environments, with what they hold.
// The next command starts another; nobody has to sign in again for that.
func EndBrokers(ctx context.Context, s *term.Streams) error {
	place, err := client.Find(s.Environ())
	if err != nil {
		return nil // there can be none
	}
	var errs []error
	for _, p := range place.All() {
		c := client.Client{Place: p}
		if err := c.Stop(ctx); err != nil && !errors.Is(err, client.ErrUnavailable) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
