package compile

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
)

// Needs says what still has to be looked for before Compile, and a plan made
// from its answer, can know everything they depend on: what the declarations
// refer to, and what the ledger (which may be nil) says the scope has made.
//
// Call it in rounds, filling inv with what it asks for, until the Request is
// Empty: clusters give issuers, issuers give providers, secrets and
// other encrypted things give keys.
// What was looked for, found or not, is not asked for again, and quotas are
// asked for only where nothing of the account is known yet, so the rounds end
// with any filler that answers.
func Needs(set *access.Set, inv *inventory.Inventory, led *ledger.Ledger) inventory.Request {
	n := &asker{set: set, world: world{inv}}
	for _, a := range set.Accesses {
		n.access(a)
	}
	if led != nil {
		for _, e := range led.Entries {
			n.entry(e)
		}
	}
	if len(n.req.Accounts) > 0 && (inv == nil || inv.OrgState == inventory.NotAsked) {
		n.req.Organization = true
		for _, a := range set.Accounts {
			n.req.Candidates = append(n.req.Candidates, a.ID)
		}
		slices.Sort(n.req.Candidates)
	}
	n.finish()
	return n.req
}

// asker collects a Request.
type asker struct {
	set   *access.Set
	world world
	req   inventory.Request
}

func (n *asker) access(a *access.Access) {
	targets := n.targets(a)
	for i := range a.From {
		from := &a.From[i]
		n.caller(from)
		if account, ok := hubAccount(n.set, from); ok {
			n.role(account.ID, hubName(n.set, a, from))
			n.boundary(account)
		}
		for _, t := range targets {
			n.role(t.ID, roleName(n.set, a, from))
			n.providerOf(from, t)
		}
	}
	for _, t := range targets {
		n.boundary(t)
		for i := range a.Allow {
			perms, _ := writeOut(&a.Allow[i], t) // faults are Compile's to report
			n.secrets(t, perms)
			n.keys(t, perms)
			n.encryptions(t, perms)
		}
	}
}

func (n *asker) targets(a *access.Access) []*access.Account {
	var out []*access.Account
	for _, name := range a.To.Accounts {
		if t, ok := n.set.Account(name); ok {
			out = append(out, t)
		}
	}
	return out
}

// caller asks for who calls: a cluster and its provider at home, or a principal.
func (n *asker) caller(from *access.Caller) {
	switch {
	case from.ServiceAccount != nil:
		cluster, ok := n.set.Cluster(from.ServiceAccount.Cluster)
		if !ok {
			return
		}
		account, ok := n.set.Account(cluster.Account)
		if !ok {
			return
		}
		if cluster.Issuer == "" {
			if _, state, _ := n.world.cluster(account.ID, cluster.Region, eksName(cluster)); state == inventory.NotAsked {
				ask(n.req.Account(account.ID), func(r *inventory.AccountRequest) *[]inventory.ClusterRef { return &r.Clusters },
					inventory.ClusterRef{Region: cluster.Region, Name: eksName(cluster)})
			}
		}
		n.providerOf(from, account)
	case from.Role != nil:
		if account, ok := n.set.Account(from.Role.Account); ok {
			n.role(account.ID, from.Role.Name)
		}
	case from.User != nil:
		if account, ok := n.set.Account(from.User.Account); ok {
			n.user(account.ID, from.User.Name)
		}
	}
}

// providerOf asks whether account has a provider for a service account's
// cluster, once the cluster's issuer is known.
func (n *asker) providerOf(from *access.Caller, account *access.Account) {
	if from.ServiceAccount == nil {
		return
	}
	cluster, ok := n.set.Cluster(from.ServiceAccount.Cluster)
	if !ok {
		return
	}
	if issuer, state, _ := n.world.issuerOf(n.set, cluster); state == inventory.Exists && issuer != "" {
		n.provider(account.ID, issuer)
	}
}

func (n *asker) provider(id arn.AccountID, url string) {
	if _, state, _ := n.world.provider(id, url); state == inventory.NotAsked {
		ask(n.req.Account(id), func(r *inventory.AccountRequest) *[]string { return &r.Providers }, url)
	}
}

func (n *asker) role(id arn.AccountID, name string) {
	if _, state, _ := n.world.role(id, name); state == inventory.NotAsked {
		ask(n.req.Account(id), func(r *inventory.AccountRequest) *[]string { return &r.Roles }, name)
	}
}

func (n *asker) user(id arn.AccountID, name string) {
	if _, state, _ := n.world.user(id, name); state == inventory.NotAsked {
		ask(n.req.Account(id), func(r *inventory.AccountRequest) *[]string { return &r.Users }, name)
	}
}

// boundary asks for the policy that limits the roles made in t. Like quotas it
// is asked for once, because not every filler answers.
func (n *asker) boundary(t *access.Account) {
	if t.PermissionsBoundary != "" && n.world.account(t.ID) == nil {
		ask(n.req.Account(t.ID), func(r *inventory.AccountRequest) *[]string { return &r.Managed }, t.PermissionsBoundary)
	}
}

// secrets asks for the secrets that permissions name, and for their keys.
func (n *asker) secrets(t *access.Account, perms []Permission) {
	for _, ref := range secretRefs(perms) {
		if canLookUp(ref.resource) {
			n.secret(t.ID, ref.resource)
		}
	}
}

func (n *asker) secret(id arn.AccountID, asked string) {
	s, state, _ := n.world.secret(id, asked)
	switch {
	case state == inventory.NotAsked:
		ask(n.req.Account(id), func(r *inventory.AccountRequest) *[]string { return &r.Secrets }, asked)
	case state == inventory.Exists:
		n.key(s.KeyARN)
	}
}

// keys asks for the keys that permissions name.
func (n *asker) keys(t *access.Account, perms []Permission) {
	for _, ref := range keyRefs(perms, t) {
		for _, one := range ref.ask {
			n.key(one)
		}
	}
}

// key asks for a key by its ARN or that of an alias, which then leads to the key.
func (n *asker) key(named string) {
	parsed, err := arn.Parse(named)
	if err != nil {
		return
	}
	if _, declared := n.set.Account(string(parsed.Account)); !declared {
		return // Compile says so; there is no way into that account
	}
	found, state, _ := n.world.key(named)
	switch {
	case state == inventory.NotAsked:
		ask(n.req.Account(parsed.Account), func(r *inventory.AccountRequest) *[]string { return &r.Keys }, named)
	case state == inventory.Exists && !found.AWSManaged && parsed.Type() == "alias" && found.ARN != named:
		n.key(found.ARN)
	}
}

// entry asks for what the scope has made: it may have to be deleted.
func (n *asker) entry(e ledger.Entry) {
	switch e.Kind {
	case ledger.Provider:
		if url := e.Name(); url != "" {
			n.provider(e.Account, url)
		}
	case ledger.Role:
		if name := e.Name(); name != "" {
			n.role(e.Account, name)
		}
	case ledger.RolePolicy, ledger.UserPolicy:
		if kind, holder, _, _ := e.Inline(); kind == "user" {
			n.user(e.Account, holder)
		} else {
			n.role(e.Account, holder)
		}
	case ledger.SecretSid:
		target, _, _ := e.Statement()
		n.secret(e.Account, target)
	case ledger.KeySid:
		target, _, _ := e.Statement() // even in an account that is not declared any more: plan tells
		if _, state, _ := n.world.key(target); state == inventory.NotAsked {
			ask(n.req.Account(e.Account), func(r *inventory.AccountRequest) *[]string { return &r.Keys }, target)
		}
	}
}

// ask adds x to one list of an account's request, once.
func ask[T comparable](r *inventory.AccountRequest, list func(*inventory.AccountRequest) *[]T, x T) {
	if l := list(r); !slices.Contains(*l, x) {
		*l = append(*l, x)
	}
}

// finish asks for the quotas of accounts met for the first time and sorts the lists.
func (n *asker) finish() {
	for id, r := range n.req.Accounts {
		r.Quotas = n.world.account(id) == nil
		for _, list := range [][]string{r.Roles, r.Users, r.Providers, r.Secrets, r.Keys, r.Resources, r.Managed} {
			slices.Sort(list)
		}
		slices.SortFunc(r.Clusters, func(a, b inventory.ClusterRef) int {
			return strings.Compare(a.Region+"/"+a.Name, b.Region+"/"+b.Name)
		})
	}
}
