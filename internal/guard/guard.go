// Package guard keeps work in a directory to the accounts it is for.
//
// A file .stile-guard.yaml binds its directory and all below it:
//
//	allow: {accounts: [orders-dev, "111111111111"], labels: {env: dev}}
//	deny: {accounts: ["*-prod"]}
//	confirm: {labels: {env: prod}}
//	as: readonly
//
// Start with [Find], then [Guard.Check]. Files further up hold too: one below
// can only be stricter. A guard restrains honest users and the programs they
// start from the wrong account; who can take the file away is not held by it.
package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/glob"
	"github.com/stile-aws/stile/internal/settings"
	"github.com/stile-aws/stile/internal/surroundings"
)

// FileName is the name of a guard's file.
const FileName = surroundings.GuardFile

// Account is where somebody wants to go.
type Account struct {
	ID   arn.AccountID // "" where it is not known: see Guard.Asks
	Name string        // "" when not known
	// Labels are nil when they are not known, which is not the same as to have none.
	Labels map[string]string
}

func (a *Account) text() string {
	if a.Name == "" {
		return string(a.ID)
	}
	return fmt.Sprintf("%s (%s)", a.Name, a.ID)
}

// Guard is the rules of all files above a directory. The zero Guard lets
// everything pass.
type Guard struct {
	files []file
}

// file is one file's rules.
type file struct {
	path string

	Allow   *selection `yaml:"allow"`
	Deny    *selection `yaml:"deny"`
	Confirm *selection `yaml:"confirm"`
	As      string     `yaml:"as"`
}

// selection is accounts by names or ids, * and ? as wildcards, or by labels,
// all of which must fit. Either is enough.
type selection struct {
	Accounts []string          `yaml:"accounts"`
	Labels   map[string]string `yaml:"labels"`
}

const readOnly = "readonly"

// Find reads the guards of dir and of all directories above it; where dir was come
// to by a link, of those above the link and of those above where it leads.
func Find(dir string) (*Guard, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for guards: %w", err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for guards: %w", err)
	}
	var g Guard
	seen := map[string]bool{}
	for _, from := range []string{dir, real} {
		for dir := range surroundings.Upwards(from) {
			if err := g.add(dir, seen); err != nil {
				return nil, fmt.Errorf("reading the guard of %s: %w", dir, err)
			}
		}
	}
	return &g, nil
}

// add reads the guard of a directory, unless that was seen under another name.
func (g *Guard) add(dir string, seen map[string]bool) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil || seen[real] {
		return err
	}
	seen[real] = true
	f, err := read(filepath.Join(dir, FileName))
	if f != nil {
		g.files = append(g.files, *f)
	}
	return err
}

// read reads a file, nil when there is none. One that cannot be understood is
// an error: it was meant to hold somebody back.
func read(path string) (*file, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if to, err := os.Readlink(path); err == nil {
			return nil, fmt.Errorf("%s leads to %s, and there is nothing; make it, or take the link away", filepath.Base(path), to)
		}
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, fmt.Errorf("%s is no file; make it one, or take it away", filepath.Base(path))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := file{path: path}
	if err := settings.Decode(FileName, text, &f); err != nil {
		return nil, err
	}
	if f.As != "" && f.As != readOnly {
		return nil, fmt.Errorf("as: %q: want readonly", f.As)
	}
	for name, s := range map[string]*selection{"allow": f.Allow, "deny": f.Deny, "confirm": f.Confirm} {
		if s != nil && len(s.Accounts) == 0 && len(s.Labels) == 0 {
			return nil, fmt.Errorf("%s: want accounts or labels", name)
		}
	}
	return &f, nil
}

// ReadOnly names the file by which programs may only read, "" when there is none.
func (g *Guard) ReadOnly() string {
	for i := range g.files {
		if g.files[i].As == readOnly {
			return g.files[i].path
		}
	}
	return ""
}

// Files lists the files, nearest first.
func (g *Guard) Files() []string {
	var out []string
	for i := range g.files {
		out = append(out, g.files[i].path)
	}
	return out
}

// Error is an account that a guard keeps out.
type Error struct {
	Account Account
	File    string
	Reason  string
}

// Error says which file keeps the account out, and why.
func (e *Error) Error() string {
	switch {
	case e.Reason == deniesAll:
		return fmt.Sprintf("every account is kept out by %s; work elsewhere, or change that file", e.File)
	case e.Account.ID == "" && e.Account.Name == "":
		return fmt.Sprintf("nobody can tell which account this is, and %s goes by accounts: %s; work elsewhere, or change that file", e.File, e.Reason)
	}
	return fmt.Sprintf("account %s is kept out by %s: %s; work elsewhere, or change that file", e.Account.text(), e.File, e.Reason)
}

// Asks names the file that goes by accounts, "" when none does, or goes by all of them. Where one does and
// an account's id is not known, find it out before Check: it would be kept out.
func (g *Guard) Asks() string {
	for i := range g.files {
		if f := &g.files[i]; f.Allow.tells() || f.Deny.tells() || f.Confirm != nil { // a question names the account
			return f.path
		}
	}
	return ""
}

// Check lets an account pass, or gives an *Error. confirm is a question somebody
// has to answer first, "" for none. What is not known of it never helps: ids, names
// and labels allow nothing then, and deny and confirm as if they fitted.
func (g *Guard) Check(a Account) (confirm string, err error) {
	for i := range g.files {
		f := &g.files[i]
		if f.Deny != nil {
			if reason := f.Deny.fits(a, true); reason != "" {
				return "", &Error{a, f.path, "it denies " + reason}
			}
		}
		if f.Allow != nil && f.Allow.fits(a, false) == "" {
			return "", &Error{a, f.path, "it allows " + f.Allow.String() + " only" + f.Allow.unknown(a)}
		}
		if f.Confirm != nil && confirm == "" {
			if reason := f.Confirm.fits(a, true); reason != "" {
				confirm = fmt.Sprintf("account %s: %s asks to confirm %s", a.text(), f.path, reason)
			}
		}
	}
	return confirm, nil
}

// everyAccount is the pattern that fits an account of which nothing is known, too.
const everyAccount = "*"

// tells reports that there is a selection, which tells accounts apart.
func (s *selection) tells() bool { return s != nil && !slices.Contains(s.Accounts, everyAccount) }

// deniesAll is the reason of a file that lets nobody pass.
const deniesAll = "it denies account " + everyAccount

// fits tells why an account is one of the selection, "" when it is not.
func (s *selection) fits(a Account, unknown bool) string {
	for _, pattern := range s.Accounts {
		if pattern == everyAccount || a.ID != "" && glob.Plain(pattern, string(a.ID)) || a.Name != "" && glob.Plain(pattern, a.Name) {
			return "account " + pattern
		}
	}
	switch {
	case unknown && a.ID == "" && len(s.Accounts) > 0:
		return "accounts, and this one's id is not known"
	case unknown && a.Name == "" && s.named():
		return "accounts by name, and this one's is not known"
	case len(s.Labels) == 0:
		return ""
	case a.Labels == nil && unknown:
		return s.labels() + ", and this account's labels are not known"
	}
	for key, value := range s.Labels {
		if have, ok := a.Labels[key]; !ok || have != value {
			return ""
		}
	}
	return s.labels()
}

// unknown says what is not known of an account that was not allowed.
func (s *selection) unknown(a Account) string {
	switch {
	case a.ID == "" && len(s.Accounts) > 0:
		return ", and this one's id is not known"
	case a.Name == "" && s.named():
		return ", and this account's name is not known"
	case len(s.Labels) > 0 && a.Labels == nil:
		return ", and this account's labels are not known"
	}
	return ""
}

// named reports that accounts are selected by something else than their whole ids.
func (s *selection) named() bool {
	return slices.ContainsFunc(s.Accounts, func(p string) bool { return !arn.AccountID(p).Valid() })
}

func (s *selection) labels() string {
	var out []string
	for key, value := range s.Labels {
		out = append(out, key+"="+value)
	}
	slices.Sort(out)
	return "label " + strings.Join(out, ",")
}

// String lists the selection.
func (s *selection) String() string {
	var out []string
	if len(s.Accounts) > 0 {
		out = append(out, strings.Join(s.Accounts, ", "))
	}
	if len(s.Labels) > 0 {
		out = append(out, s.labels())
	}
	return strings.Join(out, " or ")
}
