package service

import (
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Mint gives a session its access key, which it puts into s with the time of
// issue, and returns the session token.
func (c *Call) Mint(s *store.Session) (token string, e *wire.Error) {
	ids := c.World.IDs()
	s.AccessKey, s.Secret, s.Issued = ids.AccessKey(store.PrefixSessionKey, s.Account), ids.Secret(), c.Now
	token, err := c.World.Seal(s)
	if err != nil {
		return "", c.Errorf("InternalFailure", "sealing the session: %v", err)
	}
	return token, nil
}
