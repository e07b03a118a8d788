// Package store holds what exists on the local AWS: accounts, the organization
// and the records of every service, as plain structs that print as JSON.
//
// Start with [World]. A service keeps its records in a struct of its own (one
// file a service in this package, a field on [Account] or [State]); whoever
// reads or writes them holds the World's lock. Package service takes it for
// every call, so that handlers never do.
//
// Records that other principals and services see late, as IAM's are, are
// [Versioned]: the control plane that owns them reads [Versioned.Latest], the
// gate and everybody else [Versioned.At] the World's [World.Horizon].
//
// The package decides nothing and speaks no protocol.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stile-aws/stile/arn"
)

// Partition is the partition of everything the local AWS has.
const Partition = "aws"

// World is everything that exists, with the lock that guards it, the clock and
// the source of ids. Make one with [New].
type World struct {
	mu     sync.RWMutex // guards State but for Used and MFASteps, and delays
	usedMu sync.RWMutex // guards Used and MFASteps
	State

	clock  Clock
	ids    *IDs
	delays map[arn.AccountID]delay // "" is the delay of all other accounts
	saver  *saver                  // nil without a state file
	sealer *sealer
}

// delay is how late changes are seen. What was seen when it was set stays seen.
type delay struct {
	by    time.Duration
	floor time.Time
}

// State is the part of a World that is saved. New fields are added at will: a
// field missing in a saved state keeps its zero value.
type State struct {
	Format       int                        `json:"format"`
	Accounts     map[arn.AccountID]*Account `json:"accounts"`
	Organization *Organization              `json:"organization,omitempty"` // nil: no account is in one
	// AccessKeys has the long-term keys of all accounts by id; those of sessions
	// are in their session tokens.
	AccessKeys map[string]*Versioned[AccessKey] `json:"accessKeys"`
	// Principals says which user or role a unique id was given to. Entries stay
	// when the principal goes, for ids are never used twice.
	Principals map[string]PrincipalRef `json:"principals"`
	// Issuers are the clusters' OIDC issuers by URL, private keys included.
	Issuers map[string]*ClusterIssuer `json:"issuers"`
	// IdentityCenters are the instances of IAM Identity Center by start URL.
	IdentityCenters map[string]*IdentityCenter `json:"identityCenters,omitempty"`
	SSO             SSO                        `json:"sso,omitzero"`
	SignIn          SignIn                     `json:"signIn,omitzero"`
	// Used has the last use of access keys and of roles (by unique id). It has a
	// lock of its own: see World.Use.
	Used map[string]LastUse `json:"used"`
	// MFASteps are the steps of which a device's code was used, by serial number,
	// under the lock of Used.
	MFASteps map[string][]int64 `json:"mfaSteps,omitempty"`
	// SessionKey seals session tokens.
	SessionKey []byte `json:"sessionKey"`
	// Issued counts the ids given out, so that a seeded World goes on where it stopped.
	Issued *Serial `json:"issued"`
	// Offset is how far the clock runs ahead of the computer's.
	Offset time.Duration `json:"offset,omitempty"`
}

// Account is one account with the records of its services.
type Account struct {
	ID      arn.AccountID `json:"id"`
	Name    string        `json:"name"`
	Email   string        `json:"email,omitempty"`
	Created time.Time     `json:"created"`
	IAM     IAM           `json:"iam"`
	// The services with Regions.
	KMS      Regional[KMS]      `json:"kms,omitempty"`
	Secrets  Regional[Secrets]  `json:"secrets,omitempty"`
	DynamoDB Regional[DynamoDB] `json:"dynamodb,omitempty"`
	EKS      Regional[EKS]      `json:"eks,omitempty"`
}

// Options are what New needs.
type Options struct {
	// Clock is the World's clock; nil means the computer's, which can be
	// fast-forwarded.
	Clock Clock
	// Seed makes ids and keys repeatable; 0 draws them from crypto/rand.
	Seed uint64
	// File keeps the state between runs; "" keeps it in memory. One World has it
	// at a time: FILE.lock is locked until Close.
	File string
	// Logger hears of states that could not be saved; nil is silent.
	Logger *slog.Logger
}

// New makes a World, from opt.File where that exists. Close it to flush the
// state.
func New(opt Options) (*World, error) {
	w := &World{clock: opt.Clock, delays: map[arn.AccountID]delay{}}
	if w.clock == nil {
		w.clock = NewClock()
	}
	var lock *os.File
	if opt.File != "" {
		var err error
		if lock, err = lockState(opt.File); err != nil {
			return nil, err
		}
		if err := w.load(opt.File); err != nil {
			lock.Close()
			return nil, err
		}
	}
	if w.Issued == nil {
		w.Issued = &Serial{}
	}
	w.ids = newIDs(opt.Seed, w.Issued)
	w.init()
	if opt.File != "" {
		w.saver = startSaver(w, opt.File, lock, opt.Logger)
	}
	return w, nil
}

func (w *World) init() {
	w.Format = stateFormat
	if w.Accounts == nil {
		w.Accounts = map[arn.AccountID]*Account{}
	}
	if w.AccessKeys == nil {
		w.AccessKeys = map[string]*Versioned[AccessKey]{}
	}
	if w.Principals == nil {
		w.Principals = map[string]PrincipalRef{}
	}
	if w.Used == nil {
		w.Used = map[string]LastUse{}
	}
	if w.Issuers == nil {
		w.Issuers = map[string]*ClusterIssuer{}
	}
	makeMap(&w.IdentityCenters)
	makeMap(&w.MFASteps)
	for _, a := range w.Accounts {
		makeMap(&a.IAM.MFADevices) // of a state from before there were any
	}
	if len(w.SessionKey) == 0 {
		w.SessionKey = w.ids.Bytes(sessionKeySize)
	}
	w.sealer = newSealer(w.SessionKey)
	w.sweep()
	if c, ok := w.clock.(*RunningClock); ok && w.Offset != 0 {
		c.Advance(w.Offset)
	}
}

// sweep forgets what was deleted long before the state was loaded.
func (w *World) sweep() {
	now := w.clock.Now()
	Sweep(w.AccessKeys, now)
	for _, a := range w.Accounts {
		Sweep(a.IAM.Roles, now)
		Sweep(a.IAM.Users, now)
		Sweep(a.IAM.Groups, now)
		Sweep(a.IAM.Policies, now)
		Sweep(a.IAM.OIDCProviders, now)
		Sweep(a.IAM.SAMLProviders, now)
		Sweep(a.IAM.InstanceProfiles, now)
		Sweep(a.IAM.MFADevices, now)
	}
}

// Close waits for the state to be saved and gives its file up. The World can be
// read afterwards.
func (w *World) Close() error {
	if w.saver == nil {
		return nil
	}
	return w.saver.close()
}

// Lock takes the World for writing. Under it: no I/O, no callbacks.
func (w *World) Lock() { w.mu.Lock() }

// Unlock gives up what Lock took and has the state saved soon.
func (w *World) Unlock() {
	w.mu.Unlock()
	if w.saver != nil {
		w.saver.changed()
	}
}

// RLock takes the World for reading.
func (w *World) RLock() { w.mu.RLock() }

// RUnlock gives up what RLock took.
func (w *World) RUnlock() { w.mu.RUnlock() }

// Now is the World's time. It needs no lock.
func (w *World) Now() time.Time { return w.clock.Now() }

// IDs is the source of unique ids, keys and secrets. Use it under the write lock
// where ids have to be repeatable.
func (w *World) IDs() *IDs { return w.ids }

// Advance moves the clock forward by d. It is an error when the clock is not
// [Adjustable]. The caller holds no lock.
func (w *World) Advance(d time.Duration) error {
	c, ok := w.clock.(Adjustable)
	if !ok {
		return errors.New("advancing the clock: this clock cannot be moved")
	}
	w.Lock()
	defer w.Unlock()
	c.Advance(d)
	w.Offset += d
	return nil
}

// Ahead is how far Advance has moved the clock in all.
func (w *World) Ahead() time.Duration {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.Offset
}

// SetDelay makes changes to the records of account from now on visible to
// others d after they were made; account "" sets it for all accounts without a
// delay of their own. Negative d takes an account's own delay away. The caller
// holds no lock.
func (w *World) SetDelay(account arn.AccountID, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d < 0 {
		delete(w.delays, account)
		return
	}
	w.delays[account] = delay{by: d, floor: w.Horizon(account)}
	if c, ok := w.clock.(Adjustable); ok {
		c.Advance(1) // what follows is later than what was seen, also on a clock that stands still
	}
}

// Horizon is the time up to which changes made in account are visible outside
// the control plane that made them. The caller holds the lock.
func (w *World) Horizon(account arn.AccountID) time.Time {
	d, ok := w.delays[account]
	if !ok {
		d = w.delays[""]
	}
	seen := w.clock.Now().Add(-d.by)
	if seen.Before(d.floor) {
		return d.floor
	}
	return seen
}

// AddAccount makes an empty account. The caller holds the write lock.
func (w *World) AddAccount(id arn.AccountID, name, email string) (*Account, error) {
	if !id.Valid() {
		return nil, fmt.Errorf("adding account %q: its id must have 12 digits", id)
	}
	if _, ok := w.Accounts[id]; ok {
		return nil, fmt.Errorf("adding account %q: it exists", id)
	}
	a := &Account{ID: id, Name: name, Email: email, Created: w.Now(), IAM: newIAM()}
	w.Accounts[id] = a
	return a, nil
}

// AccountIDs returns the ids of all accounts, sorted. The caller holds the lock.
func (w *World) AccountIDs() []arn.AccountID {
	return slices.Sorted(maps.Keys(w.Accounts))
}

// useEvery is how fine last uses are told; AWS's are minutes late too.
const useEvery = time.Minute

// Use notes that an access key or a role (by its unique id) was used. It needs
// no lock.
func (w *World) Use(id string, use LastUse) {
	if last, ok := w.LastUse(id); ok && use.At.Sub(last.At) < useEvery && use.Service == last.Service {
		return
	}
	w.usedMu.Lock()
	defer w.usedMu.Unlock()
	w.Used[id] = use
}

// LastUse is the last use of an access key or a role. It needs no lock.
func (w *World) LastUse(id string) (LastUse, bool) {
	w.usedMu.RLock()
	defer w.usedMu.RUnlock()
	use, ok := w.Used[id]
	return use, ok
}
