package store

import (
	"time"

	"github.com/stile-aws/stile/arn"
)

// administrator is the user that every account is given, so that somebody can begin.
const administrator = "Administrator"

// AddAdministrator gives an account the user Administrator with
// AdministratorAccess and an access key, seen by everybody since at. The caller
// holds the write lock.
func (w *World) AddAdministrator(account arn.AccountID, at time.Time) {
	key := &AccessKey{
		ID: w.ids.AccessKey(PrefixAccessKey, account), Secret: w.ids.Secret(), Account: account,
		User: w.NewPrincipal(account, "user", administrator), Active: true, Created: at,
	}
	user := &User{
		Entity: Entity{
			Name: administrator, Path: "/", ID: key.User, Created: at,
			Attached: []string{"arn:aws:iam::aws:policy/AdministratorAccess"},
		},
		AccessKeys: []string{key.ID},
	}
	w.Accounts[account].IAM.Users["administrator"] = NewVersioned(at, user)
	w.AccessKeys[key.ID] = NewVersioned(at, key)
}

// AdministratorKey is the first access key of the user Administrator, nil when
// there is none. The caller holds the lock.
func (w *World) AdministratorKey(account arn.AccountID) *AccessKey {
	a := w.Accounts[account]
	if a == nil {
		return nil
	}
	user := a.IAM.User(administrator).Latest()
	if user == nil || len(user.AccessKeys) == 0 {
		return nil
	}
	return w.AccessKeys[user.AccessKeys[0]].Latest()
}
