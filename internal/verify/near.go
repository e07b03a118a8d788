package verify

import (
	"cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// nearRole is the declared or observed role that may have been meant.
func (c *canner) nearRole(account arn.AccountID, name string) string {
	var declared []string
	for i := range c.w.Roles {
		if c.w.Roles[i].Account == account {
			declared = append(declared, c.w.Roles[i].Name)
		}
	}
	return cmp.Or(policy.Closest(name, declared), c.inv.Accounts[account].NearRole(name))
}

// nearAccount is the declared or observed account that may have been meant.
func (c *canner) nearAccount(name string) string {
	var declared []string
	for _, a := range c.set.Accounts {
		declared = append(declared, a.Name)
	}
	return cmp.Or(policy.Closest(name, declared), c.inv.Near(name))
}

// nearCaller is the declared service account that may have been meant.
func (c *canner) nearCaller() string {
	if c.q.Who.ServiceAccount == nil {
		return ""
	}
	var declared []string
	for i := range c.w.Routes {
		declared = append(declared, c.w.Routes[i].Caller.Name)
	}
	return policy.Closest(c.q.Who.String(), declared)
}

func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return "; did you mean " + near + "?"
}
