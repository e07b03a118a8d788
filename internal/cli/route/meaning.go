package route

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/surroundings"
)

// AnotherError is an account's name by which the declarations of the working
// directory mean another account than the person does. Whoever enters a directory
// that somebody else has made must not be led elsewhere by the names they know.
type AnotherError struct {
	Address, Role string
	From          string        // the declarations
	Declared      arn.AccountID // by them
	Known         arn.AccountID // to the person
	By            string        // whom they know it from
}

// Error says how to say which is meant.
func (e *AnotherError) Error() string {
	return fmt.Sprintf("going to %s: that is account %s by the declarations of %s, which are here, and %s by %s; say %s/%s or %[4]s/%[7]s, or --declarations %[3]s",
		e.Address, e.Declared, e.From, e.Known, e.By, e.Declared, e.Role)
}

func another(err error) bool {
	_, ok := errors.AsType[*AnotherError](err)
	return ok
}

// sameMeaning makes sure that declarations which were found around the working
// directory, and not named, mean by an account's name what the person does, by what
// they have applied and what their Identity Centers listed before.
func (o *Options) sameMeaning(s *term.Streams, to access.Address, from string, routes []candidate) error {
	named := cmp.Or(o.Declarations, s.Getenv(state.DeclarationsEnv)) != ""
	if named || from != cmp.Or(o.far.around, state.Above()) || len(routes) == 0 || to.Role == "" || arn.AccountID(to.Account).Valid() {
		return nil
	}
	declared := routes[0].account
	known := accountsCalled(s, to.Account)
	if len(known) == 0 || slices.ContainsFunc(known, func(a called) bool { return a.id == declared }) {
		return nil
	}
	return &AnotherError{Address: text(to), Role: to.Role, From: from, Declared: declared, Known: known[0].id, By: known[0].by}
}

// called is an account of a name, and who says so.
type called struct {
	id arn.AccountID
	by string
}

// accountsCalled are those the person knows by a name. Nobody is asked.
func accountsCalled(s *term.Streams, name string) []called {
	var out []called
	applied, _, _ := state.AllRoutes(s) // what is damaged is told of by those who go there
	for _, r := range applied {
		for id, n := range r.Accounts {
			if n == name {
				out = append(out, called{id, "what was applied from this computer"})
			}
		}
	}
	paths, err := session.FindPaths(s.Getenv)
	if err != nil {
		return out
	}
	book, err := session.Read(paths.Book)
	if err != nil {
		return out
	}
	for i := range book.Sources {
		source := &book.Sources[i]
		if source.IdentityCenter == nil {
			continue
		}
		accounts, _ := idc.New(idc.Config{CacheDir: filepath.Join(paths.Cache, "idc")}, source).KnownAccounts()
		for _, a := range accounts {
			if a.Name == name {
				out = append(out, called{a.ID, source.Name})
			}
		}
	}
	return out
}

// tellForeign says that declarations are passed over which are another user's.
func (o *Options) tellForeign(s *term.Streams) {
	file := surroundings.Foreign()
	if file == "" || cmp.Or(o.Declarations, s.Getenv(state.DeclarationsEnv)) != "" {
		return
	}
	o.foreign.Do(func() {
		s.Note("stile: %q is another user's and is passed over; --declarations takes what is named", file)
	})
}
