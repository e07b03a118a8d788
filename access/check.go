package access

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
)

// Defaults of fields of an Account left out.
const (
	DefaultRegion = "us-east-1" // of an account that declares none
	DefaultPath   = "/stile/"   // where roles are made
)

const (
	defaultMaxDuration = time.Hour
	// maxPrefix leaves room for a hash behind a role prefix within 64 characters.
	maxPrefix = 32
)

// check resolves references, applies defaults and reports what is wrong with
// the objects read.
func (l *loader) check(names []string, display func(string) string) {
	s := &l.set
	if len(l.scopes) == 0 && !l.diags.HasErrors() {
		l.noScope(Pos{File: display(names[0])})
	}
	l.accounts()
	l.scopeRefs()
	for _, c := range s.Clusters {
		l.clusterRefs(c)
	}
	duplicates(l, "Cluster", s.Clusters, func(c *Cluster) *Metadata { return &c.Metadata }, func(c *Cluster) Pos { return c.Pos })
	duplicates(l, "Access", s.Accesses, func(a *Access) *Metadata { return &a.Metadata }, func(a *Access) Pos { return a.Pos })
	for _, a := range s.Accesses {
		l.accessRefs(a)
	}
	slices.SortStableFunc(s.Accounts, byName(func(a *Account) string { return a.Name }))
	slices.SortStableFunc(s.Clusters, byName(func(c *Cluster) string { return c.Name }))
	slices.SortStableFunc(s.Accesses, byName(func(a *Access) string { return a.Name }))
	for _, a := range s.Accesses {
		l.accessRules(a)
	}
	// Half-read objects would give false alarms here.
	if !l.diags.HasErrors() {
		l.roles()
	}
}

func (l *loader) noScope(pos Pos) {
	s := &l.set
	if len(s.Accounts)+len(s.Clusters)+len(s.Accesses) == 0 {
		l.fail(pos, CodeNoObjects, says{what: "no declarations", hint: "declarations are *.yaml, *.yml or *.json files with apiVersion " + APIVersion})
		return
	}
	l.fail(pos, CodeNoScope, says{
		what: "no Scope among the declarations",
		why:  "what stile makes is marked with its scope, and a scope never touches another's work",
		hint: "give the directory that holds stile.yaml, or add one with kind Scope, metadata.name and spec.home.account",
	})
}

// duplicates reports objects of one kind that share a name.
func duplicates[T any](l *loader, kind string, objects []T, meta func(T) *Metadata, pos func(T) Pos) {
	first := map[string]Pos{}
	for _, o := range objects {
		m := meta(o)
		l.metadata(m, pos(o))
		if m.Name == "" {
			continue
		}
		if before, twice := first[m.Name]; twice {
			l.fail(l.posOf(&m.Name, pos(o)), CodeDuplicateName, says{what: fmt.Sprintf("a second %s named %q", kind, m.Name), why: "the first is at " + before.String()})
			continue
		}
		first[m.Name] = l.posOf(&m.Name, pos(o))
	}
}

// accounts checks the declared accounts and gives them their defaults.
func (l *loader) accounts() {
	declared := l.set.Accounts
	duplicates(l, "Account", declared, func(a *Account) *Metadata { return &a.Metadata }, func(a *Account) Pos { return a.Pos })
	ids := map[arn.AccountID]*Account{}
	for _, a := range declared {
		if before, twice := ids[a.ID]; twice && a.ID != "" {
			l.fail(l.posOf(&a.ID, a.Pos), CodeDuplicateID, says{
				what: fmt.Sprintf("account id %s belongs to %q already", a.ID, before.Name), why: fmt.Sprintf("declared at %s", l.posOf(&before.ID, before.Pos)),
			})
		} else {
			ids[a.ID] = a
		}
		if id, err := arn.ParseAccountID(a.Name); err == nil && id != a.ID {
			l.fail(l.posOf(&a.Name, a.Pos), CodeBadName, says{
				what: fmt.Sprintf("metadata.name %q looks like an account id, and is not this account's", a.Name),
			})
		}
		l.accountFields(a)
	}
}

func (l *loader) accountFields(a *Account) {
	for i := range a.Regions {
		l.region(&a.Regions[i], "spec.regions", a.Pos)
	}
	if len(a.Regions) == 0 {
		a.Regions = []string{DefaultRegion}
	}
	l.path(&a.Path, "spec.path", a.Pos)
	if a.Path == "" {
		a.Path = DefaultPath
	}
	if a.PermissionsBoundary != "" {
		l.boundary(a)
	}
	l.way(a, a.ManageWith)
	l.way(a, a.ReadWith)
}

// boundary: a role's boundary is a managed policy of its own account, or AWS's.
func (l *loader) boundary(a *Account) {
	pos := l.posOf(&a.PermissionsBoundary, a.Pos)
	b, err := arn.Parse(a.PermissionsBoundary)
	if err == nil && b.Partition != partition && slices.Contains(partitions[:], b.Partition) {
		l.otherPartition(pos, fmt.Sprintf("spec.permissionsBoundary %q", a.PermissionsBoundary), b.Partition)
		return
	}
	if err != nil || b.Service != "iam" || b.Type() != "policy" || (b.Account == "" && b.Owner != "aws") {
		l.fail(pos, CodeBadARN, says{what: fmt.Sprintf("spec.permissionsBoundary is %q; want the ARN of a managed policy", a.PermissionsBoundary), hint: "arn:aws:iam::ACCOUNT:policy/NAME"})
		return
	}
	if b.Account != "" && a.ID != "" && b.Account != a.ID {
		l.fail(pos, CodeWrongAccount, says{what: fmt.Sprintf("spec.permissionsBoundary is a policy of account %s; roles made here take one of %s", b.Account, a.ID)})
	}
}

// way checks how stile gets into an account: each hop is one role, and the last
// is in the account itself.
func (l *loader) way(a *Account, c *Credentials) {
	if c == nil {
		return
	}
	if c.Profile != "" && !onlyOf(c.Profile, profileChars, 1, 128) {
		l.fail(l.posOf(&c.Profile, c.Pos), CodeBadName, says{what: fmt.Sprintf("profile is %q; want letters, digits and _.@+-", c.Profile)})
	}
	for i := range c.Chain {
		h := &c.Chain[i]
		pos := l.posOf(h, c.Pos)
		l.externalID(&h.ExternalID, pos)
		if h.Role == "" {
			continue
		}
		id, ok := l.roleARN(&h.Role, "role", pos)
		if ok && i == len(c.Chain)-1 && a.ID != "" && id != a.ID {
			l.fail(l.posOf(&h.Role, pos), CodeWrongAccount, says{
				what: fmt.Sprintf("the chain ends in account %s; it must end in %s", id, a.ID), why: "its last role is the one that stile works with here",
			})
		}
	}
}

// accountRef resolves a reference to an account, by name or id, to its name.
// An id that nobody declares makes an implicit account. The reference is
// cleared when it resolves to nothing, so that it is complained about once.
func (l *loader) accountRef(ref *string, what string, pos Pos) *Account {
	if *ref == "" {
		return nil
	}
	at := l.posOf(ref, pos)
	if a, ok := l.set.Account(*ref); ok {
		*ref = a.Name
		return a
	}
	if id, err := arn.ParseAccountID(*ref); err == nil {
		a := &Account{
			Metadata: Metadata{Name: *ref}, ID: id, Regions: []string{DefaultRegion}, Path: DefaultPath, Implicit: true, Pos: at,
		}
		l.set.Accounts = append(l.set.Accounts, a)
		return a
	}
	var names []string
	for _, a := range l.set.Accounts {
		names = append(names, a.Name)
	}
	hint := diag.DidYouMean(*ref, names)
	if hint == "" {
		hint = "declare it with kind Account, or write its 12-digit id"
	}
	l.fail(at, CodeUnknownAccount, says{what: fmt.Sprintf("unknown account %q in %s", *ref, what), hint: hint})
	*ref = ""
	return nil
}

func (l *loader) scopeRefs() {
	s := &l.set.Scope
	if len(l.scopes) == 0 {
		return
	}
	if s.Name != "" && !dnsLabel(s.Name) {
		l.fail(l.posOf(&s.Name, s.Pos), CodeBadName, says{
			what: fmt.Sprintf("metadata.name is %q; want a scope's name", s.Name), why: "it becomes part of tags and of names in AWS",
			hint: "use up to 63 lower-case letters, digits and hyphens",
		})
	}
	if s.Prefix != "" && !onlyOf(s.Prefix, iamNameChars, 1, maxPrefix) {
		l.fail(l.posOf(&s.Prefix, s.Pos), CodeBadRoleName, says{what: fmt.Sprintf("spec.rolePrefix is %q; want up to %d of letters, digits and _+=,.@-", s.Prefix, maxPrefix)})
	}
	home := l.accountRef(&s.Home.Account, "spec.home.account", s.Pos)
	l.region(&s.Home.Region, "spec.home.region", s.Pos)
	if s.Home.Region == "" && home != nil {
		s.Home.Region = home.Regions[0]
	}
}

func (l *loader) clusterRefs(c *Cluster) {
	account := l.accountRef(&c.Account, "spec.account", c.Pos)
	l.region(&c.Region, "spec.region", c.Pos)
	if c.Region == "" && account != nil {
		c.Region = account.Regions[0]
	}
	if c.EKSName == "" {
		c.EKSName = c.Name
	} else if !onlyOf(c.EKSName, clusterNameChars, 1, catalog.EKSClusterNameSize) || c.EKSName[0] == '-' || c.EKSName[0] == '_' {
		l.fail(l.posOf(&c.EKSName, c.Pos), CodeBadName, says{what: fmt.Sprintf("spec.name is %q; want an EKS cluster's name", c.EKSName)})
	}
	l.issuer(&c.Issuer, c.Pos)
	if c.Identity == "" {
		c.Identity = IRSA
	}
}

// accessRefs resolves what an Access refers to and applies its defaults.
func (l *loader) accessRefs(a *Access) {
	for i := range a.From {
		l.callerRefs(&a.From[i])
	}
	l.targetRefs(a)
	for _, name := range slices.Sorted(maps.Keys(a.Profiles)) {
		l.profileRef(a, name)
	}
	if a.Via == "" {
		a.Via = Auto
	}
	if a.Session.MaxDuration == 0 && l.at[&a.Session.MaxDuration] == (Pos{}) {
		a.Session.MaxDuration = defaultMaxDuration
	}
}

func (l *loader) callerRefs(c *Caller) {
	if sa := c.ServiceAccount; sa != nil && sa.Cluster != "" {
		if _, ok := l.set.Cluster(sa.Cluster); !ok {
			var names []string
			for _, c := range l.set.Clusters {
				names = append(names, c.Name)
			}
			hint := diag.DidYouMean(sa.Cluster, names)
			if hint == "" {
				hint = "declare it with kind Cluster"
			}
			l.fail(l.posOf(&sa.Cluster, c.Pos), CodeUnknownCluster, says{what: fmt.Sprintf("unknown cluster %q in spec.from", sa.Cluster), hint: hint})
		}
	}
	for _, n := range []*IAMName{c.Role, c.User} {
		if n == nil {
			continue
		}
		l.accountRef(&n.Account, "spec.from", c.Pos)
		l.path(&n.Path, "path", c.Pos)
		if n.Path == "" {
			n.Path = "/"
		}
		l.externalID(&n.ExternalID, c.Pos)
	}
}

// targetRefs turns the accounts written and those selected into names, each once.
func (l *loader) targetRefs(a *Access) {
	var names []string
	for i := range a.To.Accounts {
		ref := &a.To.Accounts[i]
		account := l.accountRef(ref, "spec.to.accounts", a.To.Pos)
		if account == nil {
			continue
		}
		if slices.Contains(names, account.Name) {
			l.fail(l.posOf(ref, a.To.Pos), CodeDuplicateItem, says{what: fmt.Sprintf("account %q comes twice in spec.to.accounts", account.Name), why: "once by its name and once by its id"})
			continue
		}
		names = append(names, account.Name)
	}
	if labels := l.picks[a]; labels != nil {
		var picked []string
		for _, account := range l.set.Accounts {
			if matches(account.Labels, labels) && !slices.Contains(names, account.Name) {
				picked = append(picked, account.Name)
			}
		}
		if len(picked) == 0 && len(names) == 0 {
			l.fail(l.posOf(a, a.To.Pos), CodeNoMatch, says{what: "spec.to.selector matches no declared account", hint: "compare matchLabels with metadata.labels of the Accounts"})
		}
		slices.Sort(picked)
		names = append(names, picked...)
	}
	a.To.Accounts = names
}

func matches(labels, want map[string]string) bool {
	for k, v := range want {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

func (l *loader) profileRef(a *Access, name string) {
	pos := l.posOf(entry{&a.Profiles, name}, a.Pos)
	if !onlyOf(name, profileChars, 1, 128) {
		l.fail(pos, CodeBadName, says{what: fmt.Sprintf("spec.profiles has %q; want letters, digits and _.@+-", name)})
	}
	ref := a.Profiles[name]
	if ref == "" {
		l.fail(pos, CodeEmpty, says{what: fmt.Sprintf("profile %q in spec.profiles has no account", name)})
		return
	}
	l.at[&ref] = pos
	account := l.accountRef(&ref, "spec.profiles", pos)
	if account == nil {
		return
	}
	a.Profiles[name] = account.Name
	if !slices.Contains(a.To.Accounts, account.Name) {
		l.fail(pos, CodeBadValue, says{what: fmt.Sprintf("profile %q leads to %q, which is no target of this Access", name, account.Name), hint: "add the account to spec.to.accounts"})
	}
}
