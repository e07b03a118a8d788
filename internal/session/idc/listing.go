package idc

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sso"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/flight"
)

// listed is what Identity Center listed, with the time. Accounts have a record,
// and each account's roles one of their own.
type listed[T any] struct {
	StartURL string    `json:"startURL"`
	At       time.Time `json:"at"`
	Items    []T       `json:"items"`
}

func (c *Client) accountsPath() string { return filepath.Join(c.cfg.CacheDir, c.file()+".json") }

func (c *Client) rolesPath(account arn.AccountID) string {
	return filepath.Join(c.cfg.CacheDir, c.file(), string(account)+".json")
}

// file is the source's name as one of files: sso-sessions of AWS's files may be called
// anything, and a profile without one is known by its address.
func (c *Client) file() string {
	if strings.ContainsAny(c.name, `/\:`) || strings.HasPrefix(c.name, ".") {
		return hash(c.name)
	}
	return c.name
}

func load[T any](c *Client, path string) (listed[T], bool) {
	var l listed[T]
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &l) != nil || l.StartURL != c.center.StartURL {
		return listed[T]{}, false
	}
	return l, true
}

// GoodFor is how old a listing may be that people choose from.
const GoodFor = 12 * time.Hour

// Young reports that what was listed at a time is not older than age; a time to come
// is a clock that was put back.
func Young(at time.Time, age time.Duration) bool {
	old := time.Since(at)
	return !at.IsZero() && old >= 0 && old <= age
}

// KnownAccounts are those that were listed before, whenever that was.
func (c *Client) KnownAccounts() ([]session.Account, time.Time) {
	l, _ := load[session.Account](c, c.accountsPath())
	return l.Items, l.At
}

// KnownRoles are an account's that were listed before; at is zero when they
// never were.
func (c *Client) KnownRoles(account arn.AccountID) (names []string, at time.Time) {
	l, _ := load[string](c, c.rolesPath(account))
	return l.Items, l.At
}

// Accounts lists the person's accounts, or gives a list that is no older than age.
func (c *Client) Accounts(ctx context.Context, age time.Duration) ([]session.Account, error) {
	return look(ctx, c, c.accountsPath(), age, func(ctx context.Context, token, next *string) ([]session.Account, *string, error) {
		out, err := c.portal.ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: token, NextToken: next, MaxResults: aws.Int32(pageSize)})
		if err != nil {
			return nil, nil, err
		}
		var all []session.Account
		for _, a := range out.AccountList {
			account := session.Account{ID: arn.AccountID(aws.ToString(a.AccountId)), Name: printable(a.AccountName), Email: printable(a.EmailAddress)}
			if account.ID.Valid() { // it will be a file's name
				all = append(all, account)
			}
		}
		return all, out.NextToken, nil
	}, func(a, b session.Account) int {
		return strings.Compare(a.Name+" "+string(a.ID), b.Name+" "+string(b.ID))
	})
}

// Roles lists the person's permission sets in an account, or gives a list that is
// no older than age.
func (c *Client) Roles(ctx context.Context, account arn.AccountID, age time.Duration) ([]string, error) {
	return look(ctx, c, c.rolesPath(account), age, func(ctx context.Context, token, next *string) ([]string, *string, error) {
		out, err := c.portal.ListAccountRoles(ctx, &sso.ListAccountRolesInput{
			AccessToken: token, AccountId: aws.String(string(account)), NextToken: next, MaxResults: aws.Int32(pageSize),
		})
		if err != nil {
			return nil, nil, err
		}
		var all []string
		for _, r := range out.RoleList {
			all = append(all, printable(r.RoleName))
		}
		return all, out.NextToken, nil
	}, strings.Compare)
}

// printable is what others have named, fit for a terminal: without what would steer
// it or turn the text around.
func printable(name *string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, aws.ToString(name))
}

// pageSize is the longest page there is (portal API reference, maxResults).
const pageSize = 100

// look gives what is known if it is young, else lists it anew; one process does
// for all.
func look[T any](
	ctx context.Context, c *Client, path string, age time.Duration,
	page func(ctx context.Context, token, next *string) ([]T, *string, error), order func(a, b T) int,
) ([]T, error) {
	var l listed[T]
	came := time.Now()
	have := func() bool {
		l, _ = load[T](c, path)
		return Young(l.At, max(age, time.Since(came)))
	}
	err := flight.Do(ctx, c.cfg.LockDir, "list-"+hash(path), have, func(ctx context.Context) error {
		l = listed[T]{StartURL: c.center.StartURL, At: time.Now(), Items: []T{}}
		var next *string
		for {
			var items []T
			after := next
			err := c.call(ctx, func(ctx context.Context, token *string) (err error) {
				items, next, err = page(ctx, token, after)
				return err
			})
			if err != nil {
				return err
			}
			l.Items = append(l.Items, items...)
			if aws.ToString(next) == "" {
				break
			}
		}
		slices.SortFunc(l.Items, order)
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		_ = atomicfile.Write(path, text) // it is listed again where it cannot be kept
		return nil
	})
	return l.Items, err
}

// The portal takes 20 requests a second from all people of an instance (IAM
// Identity Center quotas). All of our processes together keep a little below it.
const (
	interval = 55 * time.Millisecond
	burst    = 10
)

// pace waits for this process's turn to call the portal.
func (c *Client) pace(ctx context.Context) error {
	wait, err := c.reserve(ctx)
	if err != nil || wait <= 0 {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reserve takes the next turn. The file holds when the turns that were given
// away will have been taken, in nanoseconds.
func (c *Client) reserve(ctx context.Context) (time.Duration, error) {
	name := "pace-" + c.id()
	lock, err := flight.Acquire(ctx, c.cfg.LockDir, name)
	if err != nil {
		return 0, err
	}
	defer lock.Release()
	path := filepath.Join(c.cfg.LockDir, name)
	now := time.Now()
	full := now
	if text, err := os.ReadFile(path); err == nil {
		if ns, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			full = time.Unix(0, ns)
		}
	}
	if full.Before(now) || full.Sub(now) > time.Minute { // nobody can have so many turns: the clock was moved
		full = now
	}
	wait := full.Sub(now) - burst*interval
	_ = os.WriteFile(path, strconv.AppendInt(nil, full.Add(interval).UnixNano(), 10), 0o600) // unkept, AWS throttles
	return wait, nil
}
