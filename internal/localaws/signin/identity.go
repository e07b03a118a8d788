package signin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// maxLogin is how long a command line may go on with one sign-in ("up to the set
// session duration of the IAM principal (maximum of 12 hours)", AWS CLI user
// guide, "Login for AWS local development using console credentials").
const maxLogin = 12 * time.Hour

// become is the console session of who somebody says they are: the ARN of a
// user, of an account's root user or of a role's session, its account and resource
// (111111111111/user/erin) for those who cannot write colons, as in $BROWSER, or a
// user's name where only one account has it. Of role sessions those in have come first, as their
// policies and tags go with them. The caller holds the lock.
func (e *Endpoint) become(who string, in map[string]*ticket) (*store.Session, error) {
	now := e.world.Now()
	for _, t := range in {
		if caller := service.SessionCaller(e.world, &t.Session); caller != nil && caller.Principal.ARN.String() == who {
			s := t.Session
			s.Expires = earlier(now.Add(maxLogin), t.Expires)
			return &s, nil
		}
	}
	a, err := arn.Parse(inFull(who))
	if err != nil {
		if a, err = e.called(who); err != nil {
			return nil, err
		}
	}
	s := &store.Session{Kind: store.Console, Account: a.Account, Expires: now.Add(maxLogin)}
	if role, name, ok := a.RoleSession(); ok {
		return s, e.beRole(s, role, name)
	}
	if e.world.Accounts[a.Account] != nil && a == arn.Root(store.Partition, a.Account) {
		return s, nil
	}
	user := e.world.UserByARN(a)
	if user == nil {
		return nil, fmt.Errorf("nobody is %s: say the ARN of a user, of an account's root, or of a role's session", who)
	}
	s.Entity = user.ID
	if e.hasDevice(a.Account, user.ID) { // the console asks whoever has one
		s.MFA, s.MFAAt = true, now
	}
	return s, nil
}

// inFull is an ARN for its account and resource.
func inFull(who string) string {
	account, resource, ok := strings.Cut(who, "/")
	if !ok || !arn.AccountID(account).Valid() {
		return who
	}
	service := "iam"
	if strings.HasPrefix(resource, "assumed-role/") {
		service = "sts"
	}
	return "arn:" + store.Partition + ":" + service + "::" + account + ":" + resource
}

// called is the user of a name.
func (e *Endpoint) called(name string) (found arn.ARN, err error) {
	for _, user := range e.users() {
		if user.Name() != name {
			continue
		}
		if !found.IsZero() {
			return found, fmt.Errorf("several accounts have a user %s: say the ARN", name)
		}
		found = user
	}
	if found.IsZero() {
		return found, fmt.Errorf("no account has a user %q", name)
	}
	return found, nil
}

// users are all that can be seen, by ARN.
func (e *Endpoint) users() []arn.ARN {
	var all []arn.ARN
	for id, account := range e.world.Accounts {
		for _, versions := range account.IAM.Users {
			if user := store.Visible(e.world, id, versions); user != nil {
				all = append(all, user.UserARN(id))
			}
		}
	}
	slices.SortFunc(all, func(a, b arn.ARN) int { return strings.Compare(a.String(), b.String()) })
	return all
}

func (e *Endpoint) beRole(s *store.Session, name, session string) error {
	account := e.world.Accounts[s.Account]
	if account == nil {
		return errors.New("there is no such account")
	}
	role := store.Visible(e.world, s.Account, account.IAM.Role(name))
	if role == nil || role.Name != name {
		return fmt.Errorf("account %s has no role %s", s.Account, name)
	}
	s.Kind, s.Entity, s.Name = store.AssumedRole, role.ID, session
	s.Expires = earlier(s.Expires, e.world.Now().Add(role.MaxSession))
	return nil
}

func (e *Endpoint) hasDevice(account arn.AccountID, user string) bool {
	for _, versions := range e.world.Accounts[account].IAM.MFADevices {
		if device := store.Visible(e.world, account, versions); device != nil && device.User == user {
			return true
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// suggestions are who somebody may be, for the page: first who the browser is
// signed in as. The caller holds the lock.
func (e *Endpoint) suggestions(in map[string]*ticket) []string {
	var all []string
	for _, t := range in {
		all = append(all, e.identity(t).ARN)
	}
	slices.Sort(all)
	for _, user := range e.users() {
		all = append(all, user.String())
	}
	var roots []string
	for id := range e.world.Accounts {
		roots = append(roots, arn.Root(store.Partition, id).String())
	}
	slices.Sort(roots)
	return append(all, roots...)
}
