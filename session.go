package stile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
)

// WithSession gives the same pool with other parameters of AssumeRole, such as the
// external id, tags or session policy of one of the customers a service works
// for. What session sets goes over Config.Session and Config.SessionFor, tags
// beside theirs; its ARN is not used, and Config.Via's roles are entered as before.
//
// Everything is shared with p but configurations and clients, which live as long
// as the pool returned: keep it while it is in use, one for each customer, say.
// Equal requests to STS are one credential, whatever pools make them. It ends
// with p; closing it does nothing.
func (p *Pool) WithSession(session creds.Role) *Pool {
	return &Pool{
		cfg: p.cfg, base: p.base, cache: p.cache, from: p.from, self: p.self, accounts: p.accounts,
		session: over(p.session, session), derived: true,
	}
}

// sessionOf is how a role is entered.
func (p *Pool) sessionOf(ctx context.Context, role arn.ARN) (creds.Role, error) {
	session := p.cfg.Session
	if p.cfg.SessionFor != nil {
		own, err := p.cfg.SessionFor(ctx, role)
		if err != nil {
			return creds.Role{}, fmt.Errorf("choosing the session of %s: %w", role, err)
		}
		session = over(session, own)
	}
	session = over(session, p.session)
	session.ARN = role.String()
	return session, nil
}

// over puts what a role sets over another.
func over(under, r creds.Role) creds.Role {
	under.SessionName = cmp.Or(r.SessionName, under.SessionName)
	under.Duration = cmp.Or(r.Duration, under.Duration)
	under.ExternalID = cmp.Or(r.ExternalID, under.ExternalID)
	under.SourceIdentity = cmp.Or(r.SourceIdentity, under.SourceIdentity)
	under.Policy = cmp.Or(r.Policy, under.Policy)
	under.MFA = cmp.Or(r.MFA, under.MFA)
	if len(r.Tags) > 0 {
		tags := make(map[string]string, len(under.Tags)+len(r.Tags))
		maps.Copy(tags, under.Tags)
		maps.Copy(tags, r.Tags)
		under.Tags = tags
	}
	if r.TransitiveTags != nil {
		under.TransitiveTags = slices.Clone(r.TransitiveTags)
	}
	if r.PolicyARNs != nil {
		under.PolicyARNs = slices.Clone(r.PolicyARNs)
	}
	return under
}
