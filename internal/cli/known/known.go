// Package known is what the person can be, as far as it is known without asking
// anybody: named sessions, what Identity Center listed before, what declarations
// lead to that were applied from this computer or are those of the working
// directory, AWS profiles.
//
// Start with [Read], then [Book.All]; shell completion, which has a few
// milliseconds, asks [Book.Begins]. [OfCenter] makes entries of a listing. Nothing
// here logs in, asks, or calls the network, and nothing fails: what cannot be read
// is not known.
package known

import (
	"cmp"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/match"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
)

// Entry is one thing to be.
type Entry struct {
	Address   string            `json:"address"`
	Source    string            `json:"source"` // a source's name, "declared" or "profile"
	AccountID string            `json:"accountId,omitempty"`
	Account   string            `json:"account,omitempty"`
	Role      string            `json:"role,omitempty"`
	Session   string            `json:"session,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Where entries come from that are of no source.
const (
	ByDeclaration = "declared"
	ByProfile     = "profile"
)

// Text is what people look for in an entry: its address, its account's name and
// id, its role, its labels.
func (e *Entry) Text() match.Text {
	parts := []string{e.Address}
	if e.AccountID != "" && e.Role != "" {
		parts = append(parts, e.AccountID+"/"+e.Role)
	} else {
		parts = append(parts, e.AccountID)
	}
	if e.Account+"/"+e.Role != e.Address && e.Account != "" {
		parts = append(parts, e.Account+"/"+e.Role)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Labels)) {
		parts = append(parts, key+"="+e.Labels[key])
	}
	return match.Prepare(parts...)
}

// Notes are what there is to say of an entry beside its address and source.
func (e *Entry) Notes() []string {
	var out []string
	switch {
	case e.Session != "" && e.Role != "":
		out = append(out, e.Account+"/"+e.Role)
	case e.AccountID != "" && !strings.Contains(e.Address, e.AccountID):
		out = append(out, e.AccountID)
	case e.Account != "" && !strings.Contains(e.Address, e.Account):
		out = append(out, e.Account)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Labels)) {
		out = append(out, key+"="+e.Labels[key])
	}
	return out
}

// Book is what is known.
type Book struct {
	streams *term.Streams
	book    *session.Book
	paths   session.Paths
	routes  []state.Routes
	set     *access.Set // the declarations of the working directory, nil for none

	// Damaged are the files of applied routes that could not be read.
	Damaged []*state.Damaged
}

// Read reads the files that are short.
func Read(s *term.Streams) *Book {
	b := &Book{streams: s, book: &session.Book{}}
	var err error
	if b.paths, err = session.FindPaths(s.Getenv); err == nil {
		if book, err := session.Read(b.paths.Book); err == nil {
			b.book = book
		}
	}
	b.routes, b.Damaged, _ = state.AllRoutes(s)
	if path := cmp.Or(s.Getenv(state.DeclarationsEnv), state.Above()); path != "" {
		if set, problems := access.LoadPath(path); !problems.HasErrors() {
			b.set = set
		}
	}
	return b
}

// Sources are the names of the sources that keep lets pass.
func (b *Book) Sources(keep func(*session.Source) bool) []string {
	var out []string
	for i := range b.book.Sources {
		if keep(&b.book.Sources[i]) {
			out = append(out, b.book.Sources[i].Name)
		}
	}
	return out
}

// Sessions are the names of sessions.
func (b *Book) Sessions() []string {
	var out []string
	for _, s := range b.book.Sessions {
		out = append(out, s.Name)
	}
	return out
}

// Groups are the names of groups.
func (b *Book) Groups() []string {
	var out []string
	for _, g := range b.book.Groups {
		out = append(out, g.Name)
	}
	return out
}

// Profiles are the AWS profiles that have credentials of their own.
func (b *Book) Profiles() []string {
	var out []string
	for _, e := range once(b.profiles()) {
		out = append(out, e.Address)
	}
	return out
}

// Callers are those who can go somewhere, by what was applied.
func (b *Book) Callers() []string {
	var out []string
	for _, r := range b.routes {
		for i := range r.Routes {
			out = append(out, r.Routes[i].Caller.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// LabelWords are KEY=, and KEY=VALUE where text has the key.
func (b *Book) LabelWords(text string) []string {
	var out []string
	add := func(labels map[string]string) {
		for key, value := range labels {
			word := key + "="
			if strings.HasPrefix(text, word) {
				word += value
			}
			out = append(out, word)
		}
	}
	for _, s := range b.book.Sessions {
		add(s.Labels)
	}
	for _, labels := range b.Labels() {
		add(labels)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// All lists everything, each address once, in the order in which commands take an
// address for one or the other.
func (b *Book) All() []Entry {
	return once(slices.Concat(b.Declared(), Sessions(b.book), Own(b.book), b.Listed(), b.profiles()))
}

// Listed is what Identity Centers listed before, SOURCE: before what several did.
func (b *Book) Listed() []Entry {
	labels := b.Labels()
	var listed []Entry
	for _, c := range b.centers() {
		accounts, _ := c.client.KnownAccounts()
		roles := make([][]string, len(accounts))
		for i, a := range accounts {
			roles[i], _ = c.client.KnownRoles(a.ID)
		}
		listed = append(listed, OfCenter(c.source, accounts, roles)...)
	}
	for i := range listed {
		listed[i].Labels = labels[arn.AccountID(listed[i].AccountID)]
	}
	return Distinct(listed)
}

// once keeps the first of each address.
func once(all []Entry) []Entry {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(e Entry) bool {
		if seen[e.Address] {
			return true
		}
		seen[e.Address] = true
		return false
	})
}

// Distinct writes SOURCE: before the addresses that several sources have, but for
// what is declared, which commands take such an address for.
func Distinct(all []Entry) []Entry {
	source := map[string]string{}
	several := map[string]bool{}
	for _, e := range all {
		if other, ok := source[e.Address]; ok && other != e.Source {
			several[e.Address] = true
		}
		source[e.Address] = e.Source
	}
	for i := range all {
		if e := &all[i]; several[e.Address] && strings.Contains(e.Address, "/") && e.Source != ByDeclaration {
			e.Address = e.Source + ":" + e.Address
		}
	}
	return all
}

// Names are how people may write the entry: its address first, then its account by
// name and id, and with its source.
func (e *Entry) Names() []string {
	out := []string{e.Address}
	if e.Session == "" && e.Role != "" {
		for _, account := range []string{e.Account, e.AccountID} {
			if account != "" {
				out = append(out, account+"/"+e.Role, e.Source+":"+account+"/"+e.Role)
			}
		}
	}
	return out
}

// Meaning tells the entries that an address means, or a pattern in which * stands
// for anything. One without a slash means names.
func Meaning(address string) func(*Entry) bool {
	pattern := Wild(address)
	return func(e *Entry) bool {
		return slices.ContainsFunc(e.Names(), func(name string) bool {
			return strings.Contains(name, "/") == strings.Contains(address, "/") && pattern.MatchString(name)
		})
	}
}

// Wild is a pattern in which * stands for anything.
func Wild(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
}

// Labels are the accounts' labels, by the declarations that were applied and those
// of the working directory.
func (b *Book) Labels() map[arn.AccountID]map[string]string {
	out := map[arn.AccountID]map[string]string{}
	for _, r := range b.routes {
		maps.Copy(out, r.Labels)
	}
	if b.set != nil {
		maps.Copy(out, state.Labels(b.set.Accounts))
	}
	return out
}

// Accounts are names and ids of accounts that begin with text.
func (b *Book) Accounts(text string) []string {
	var out []string
	add := func(words ...string) {
		for _, w := range words {
			if w != "" && strings.HasPrefix(w, text) {
				out = append(out, w)
			}
		}
	}
	for _, r := range b.routes {
		for id, name := range r.Accounts {
			add(name, string(id))
		}
	}
	for _, c := range b.centers() {
		accounts, _ := c.client.KnownAccounts()
		for _, a := range accounts {
			add(a.Name, string(a.ID))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Begins lists the addresses that begin with text. Those of an Identity Center are
// given as far as their account, with the slash, until text has it: reading the
// roles of all accounts takes too long.
func (b *Book) Begins(text string) []string {
	var out []string
	for _, e := range once(slices.Concat(b.Declared(), Sessions(b.book), Own(b.book), b.profiles())) {
		out = append(out, e.Address)
	}
	prefix, rest := "", text
	only, after, named := strings.Cut(text, ":")
	if named && b.book.Source(only) != nil {
		prefix, rest = only+":", after
	}
	for _, c := range b.centers() {
		if prefix != "" && c.source != only {
			continue
		}
		accounts, _ := c.client.KnownAccounts()
		names := namesOf(accounts)
		cut := strings.LastIndexByte(rest, '/')
		for i, a := range accounts {
			switch {
			case cut < 0:
				out = append(out, prefix+names[i]+"/")
			case rest[:cut] == names[i] || rest[:cut] == string(a.ID):
				roles, _ := c.client.KnownRoles(a.ID)
				for _, role := range roles {
					out = append(out, prefix+rest[:cut]+"/"+role)
				}
			}
		}
	}
	out = slices.DeleteFunc(out, func(address string) bool { return !strings.HasPrefix(address, text) })
	slices.Sort(out)
	return slices.Compact(out)
}

// Typeable reports a name that a shell can be given as it is: completion puts what
// several names begin with onto the command line without quotes, and reads the line
// again for the next question, with whatever would be run in it.
func Typeable(name string) bool {
	return !strings.HasPrefix(name, "-") && !strings.ContainsAny(name, "$`\\\"'!;|&<>(){}[]*?#~^%") && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// center is an Identity Center that is not asked.
type center struct {
	source string
	client *idc.Client
}

func (b *Book) centers() []center {
	var out []center
	for i := range b.book.Sources {
		s := &b.book.Sources[i]
		if s.IdentityCenter != nil {
			out = append(out, center{s.Name, idc.New(idc.Config{CacheDir: filepath.Join(b.paths.Cache, "idc")}, s)})
		}
	}
	return out
}

// Declared is what declarations lead to: those that were applied from this
// computer, and those of the working directory.
func (b *Book) Declared() []Entry {
	var out []Entry
	for _, r := range b.routes {
		for i := range r.Routes {
			route := &r.Routes[i]
			if route.Address == "" || len(route.Hops) == 0 {
				continue
			}
			role, err := arn.Parse(route.Hops[len(route.Hops)-1].Role)
			if err != nil {
				continue
			}
			out = append(out, Entry{
				Address: route.Address, Source: ByDeclaration, AccountID: string(role.Account), Account: r.Accounts[role.Account], Role: role.Name(),
				Labels: r.Labels[role.Account],
			})
		}
	}
	here, _ := b.Here()
	out = append(out, here...)
	slices.SortStableFunc(out, func(x, y Entry) int { return cmp.Compare(x.Address, y.Address) })
	return once(out)
}

// Here is what the declarations of the working directory name a role for, whoever
// has applied them, and whether there are some that can be read.
func (b *Book) Here() (out []Entry, ok bool) {
	if b.set == nil {
		return nil, false
	}
	for _, a := range b.set.Accesses {
		if a.As == "" || a.Via == access.ResourcePolicy || !a.Expires.IsZero() && !time.Now().Before(a.Expires) {
			continue
		}
		for _, name := range a.To.Accounts {
			if account, ok := b.set.Account(name); ok {
				out = append(out, Entry{
					Address: account.Name + "/" + a.As, Source: ByDeclaration, AccountID: string(account.ID), Account: account.Name, Role: a.As, Labels: account.Labels,
				})
			}
		}
	}
	return out, true
}

// Sessions are those with names.
func Sessions(book *session.Book) []Entry {
	var out []Entry
	for _, s := range book.Sessions {
		e := Entry{Address: s.Name, Source: s.Source, Account: s.Account, Role: s.Role, Session: s.Name, Labels: s.Labels}
		if id := arn.AccountID(s.Account); id.Valid() {
			e.AccountID = s.Account
		}
		out = append(out, e)
	}
	return out
}

// Own is what sources give by themselves.
func Own(book *session.Book) []Entry {
	var out []Entry
	for _, s := range book.Sources {
		if s.IdentityCenter == nil && s.SAML == nil {
			out = append(out, Entry{Address: s.Name, Source: s.Name})
		}
	}
	return out
}

// OfCenter makes entries of what an Identity Center lists; roles has a list for
// each account.
func OfCenter(source string, accounts []session.Account, roles [][]string) []Entry {
	var out []Entry
	names := namesOf(accounts)
	for i, a := range accounts {
		for _, role := range roles[i] {
			out = append(out, Entry{Address: names[i] + "/" + role, Source: source, AccountID: string(a.ID), Account: a.Name, Role: role})
		}
	}
	return out
}

// namesOf is what accounts are called in addresses: by their ids where names do
// not tell them apart, or would be something else to a shell or as an argument.
func namesOf(accounts []session.Account) []string {
	of := map[string]int{}
	for _, a := range accounts {
		of[a.Name]++
	}
	out := make([]string, len(accounts))
	for i, a := range accounts {
		out[i] = a.Name
		if a.Name == "" || of[a.Name] > 1 || !Typeable(a.Name) {
			out[i] = string(a.ID)
		}
	}
	return out
}

// profiles are those of AWS's files that have credentials of their own.
func (b *Book) profiles() []Entry {
	files := slices.Clone(desk.ProfileFiles(b.streams.Getenv))
	for i, file := range files {
		if !filepath.IsAbs(file) && b.streams.Getenv("HOME") == "" {
			files[i] = "" // of nobody
		}
	}
	shared, _ := session.ReadShared(files)
	var out []Entry
	for _, name := range slices.Sorted(maps.Keys(shared.Profiles)) {
		if ownCredentials(shared.Profiles[name]) && !strings.ContainsAny(name, "/:") {
			out = append(out, Entry{Address: name, Source: ByProfile})
		}
	}
	return out
}

// leading are the settings by which a profile has credentials.
var leading = []string{"aws_access_key_id", "role_arn", "sso_account_id", "credential_process", "login_session", "web_identity_token_file"}

// ownCredentials reports that a profile has credentials. Those that get them from
// stile are what something else is.
func ownCredentials(p map[string]session.Setting) bool {
	if strings.Contains(p["credential_process"].Value, " credential-process ") {
		return false
	}
	return slices.ContainsFunc(leading, func(key string) bool { return p[key].Value != "" })
}
