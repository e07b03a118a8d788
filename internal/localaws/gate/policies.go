package gate

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// policies gathers every document that may apply to the request.
func (g *Gate) policies(caller *Caller, access *Access, req *authz.Request) (authz.Policies, error) {
	pols := authz.Policies{Resource: access.Policy, Grants: access.Grants}
	if err := g.callerPolicies(caller, &pols); err != nil {
		return pols, err
	}
	var err error
	if pols.SCPs, err = g.levels(caller.Account(), store.ServiceControlPolicy, authz.LayerSCP); err != nil {
		return pols, err
	}
	pols.RCPs, err = g.levels(req.ResourceAccount, store.ResourceControlPolicy, authz.LayerRCP)
	return pols, err
}

// callerPolicies adds what belongs to the caller's user or role and session.
func (g *Gate) callerPolicies(caller *Caller, pols *authz.Policies) error {
	account := g.world.Accounts[caller.Account()]
	if account == nil {
		return nil
	}
	var err error
	id, seen := entityID(caller), g.world.Horizon(account.ID)
	if role, _ := g.world.RoleByID(id, seen); role != nil {
		err = g.entity(account.ID, "role", &role.Entity, pols)
	} else if user, _ := g.world.UserByID(id, seen); user != nil {
		err = g.user(account, user, pols)
	}
	if err != nil || caller.Session == nil {
		return err
	}
	return g.session(account.ID, caller.Session, pols)
}

// entityID is the unique id of the user or role behind the caller.
func entityID(caller *Caller) string {
	if caller.Session != nil {
		return caller.Session.Entity
	}
	return caller.Principal.ID
}

func (g *Gate) user(account *store.Account, user *store.User, pols *authz.Policies) error {
	if err := g.entity(account.ID, "user", &user.Entity, pols); err != nil {
		return err
	}
	for _, name := range user.Groups {
		group := account.IAM.Group(name).At(g.world.Horizon(account.ID))
		if group == nil {
			continue
		}
		if err := g.entity(account.ID, "group", &group.Entity, pols); err != nil {
			return err
		}
	}
	return nil
}

// nothingAllowed stands for a boundary that exists but cannot be seen yet:
// stile:Nothing is no action of any service.
const nothingAllowed = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"stile:Nothing","Resource":"*"}}`

// entity adds the inline and attached policies of a role, user or group, and
// its boundary. Inline policies go by name, so that explanations are stable.
func (g *Gate) entity(account arn.AccountID, kind string, e *store.Entity, pols *authz.Policies) error {
	for _, name := range inlineNames(e.Inline) {
		src := authz.Source{Layer: authz.LayerIdentity, Account: account, Name: kind + "/" + e.Name + " inline policy " + name}
		p, err := g.Compile(e.Inline[name], src)
		if err != nil {
			return err
		}
		pols.Identity = append(pols.Identity, p)
	}
	for _, ref := range e.Attached {
		p, err := g.managed(account, ref, authz.LayerIdentity)
		if err != nil {
			return err
		}
		if p != nil {
			pols.Identity = append(pols.Identity, p)
		}
	}
	if e.Boundary == "" {
		return nil
	}
	p, err := g.managed(account, e.Boundary, authz.LayerBoundary)
	if err != nil {
		return err
	}
	if p == nil {
		p, err = g.Compile(nothingAllowed, authz.Source{Layer: authz.LayerBoundary, Account: account, ARN: e.Boundary})
	}
	pols.Boundary = p
	return err
}

func inlineNames(inline map[string]string) []string {
	if len(inline) == 0 {
		return nil
	}
	names := make([]string, 0, len(inline))
	for name := range inline {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// managed compiles the managed policy with an ARN, nil when it cannot be seen.
func (g *Gate) managed(account arn.AccountID, ref string, layer authz.Layer) (*authz.Policy, error) {
	text, ok := g.ManagedDocument(account, ref)
	if !ok {
		return nil, nil
	}
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	return g.Compile(text, authz.Source{Layer: layer, Account: account, Name: name, ARN: ref})
}

// ManagedDocument is the visible default version of the managed policy with an
// ARN: one of AWS's own or a customer's in account.
func (g *Gate) ManagedDocument(account arn.AccountID, ref string) (string, bool) {
	if own, ok := AWSManaged(ref); ok {
		return own.Document(), true
	}
	a, err := arn.Parse(ref)
	owner := g.world.Accounts[account]
	if err != nil || a.Account != account || owner == nil {
		return "", false
	}
	p := owner.IAM.Policy(a.Name()).At(g.world.Horizon(account))
	if p == nil || p.PolicyARN(account) != a {
		return "", false
	}
	return p.Document(), true
}

func (g *Gate) session(account arn.AccountID, s *store.Session, pols *authz.Policies) error {
	pols.HasSession = s.HasPolicies()
	for _, text := range s.Policies {
		p, err := g.Compile(text, authz.Source{Layer: authz.LayerSession, Account: account, Name: "session policy"})
		if err != nil {
			return err
		}
		pols.Session = append(pols.Session, p)
	}
	for _, ref := range s.PolicyARNs {
		p, err := g.managed(account, ref, authz.LayerSession)
		if err != nil {
			return err
		}
		if p != nil {
			pols.Session = append(pols.Session, p)
		}
	}
	return nil
}

// levels gathers the organization's policies of one type from the root down to
// account, nil when the account is in no organization or the type is not enabled.
func (g *Gate) levels(account arn.AccountID, kind string, layer authz.Layer) ([]authz.Level, error) {
	org := g.world.Organization
	if org == nil || !org.Enabled[kind] {
		return nil, nil
	}
	seen := g.world.Horizon(org.Management)
	path := org.PathAt(account, seen)
	if path == nil {
		return nil, nil
	}
	levels := make([]authz.Level, 0, len(path))
	for _, node := range path {
		level := authz.Level{Node: node}
		attached := org.Attachments[node].At(seen)
		if attached == nil {
			levels = append(levels, level)
			continue
		}
		for _, id := range *attached {
			p, err := g.orgPolicy(org, id, kind, layer)
			if err != nil {
				return nil, err
			}
			if p != nil {
				level.Policies = append(level.Policies, p)
			}
		}
		levels = append(levels, level)
	}
	return levels, nil
}

// orgPolicy compiles one policy of an organization, nil when it is of another
// type or cannot be seen.
func (g *Gate) orgPolicy(org *store.Organization, id, kind string, layer authz.Layer) (*authz.Policy, error) {
	if own, ok := AWSOrgPolicy(id); ok {
		if own.Type != kind {
			return nil, nil
		}
		return g.Compile(own.Content, authz.Source{Layer: layer, Name: own.Name, ARN: own.ARN})
	}
	p := org.Policies[id].At(g.world.Horizon(org.Management))
	if p == nil || p.Type != kind {
		return nil, nil
	}
	return g.Compile(p.Content, authz.Source{Layer: layer, Account: org.Management, Name: p.Name, ARN: org.PolicyARN(p).String()})
}
