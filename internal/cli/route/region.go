package route

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/env"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/used"
)

// defaultRegion is where one works of whom nothing says where.
const defaultRegion = "us-east-1"

// Region is where the end of a way is worked in.
type Region struct {
	Name string
	From string // what says so, in words
	// Own is set when the way itself says so, or the person for it: not the
	// environment, and not for want of anything better.
	Own bool
	// Chosen is set when it is not what the environment says.
	Chosen bool
}

// home is what the end of a way says of its Region.
type home struct {
	region string // "" for nothing
	of     string // whose it is, in words: a session's, a profile's; "" for the account's, by declarations
}

// RegionFlag adds --region, which of is for, to a command whose outcome has one.
func (o *Options) RegionFlag(cmd *cobra.Command, of string) {
	cmd.Flags().StringVar(&o.Region, "region", "", of+"; default: the session's or AWS profile's own, else $AWS_REGION or\n"+
		"$AWS_DEFAULT_REGION, else the account's by declarations, else "+defaultRegion)
}

// region is the one rule for the Region: what the command is told, the session's or
// profile's own, the environment's unless stile has put it there for another address
// (see used.Region), the account's by declarations, a default.
func (o *Options) region(s *term.Streams, address string, h home) Region {
	switch here, variable := used.Region(s.Environ(), address); {
	case o.Region != "":
		return Region{Name: o.Region, From: "--region", Own: true, Chosen: true}
	case h.region != "" && h.of != "":
		return Region{Name: h.region, From: h.of, Own: true, Chosen: true}
	case here != "":
		return Region{Name: here, From: "environment variable " + variable}
	case h.region != "":
		return Region{Name: h.region, From: "the account's first, by declarations", Own: true, Chosen: true}
	}
	return Region{Name: defaultRegion, From: "the default, as nothing says one", Chosen: true}
}

// Child is the environment, made from environ, of a program that works as the end of
// the way.
func (w *Way) Child(environ []string) env.Child {
	return env.Child{Environ: environ, Region: w.Region.Name, Place: env.Place{
		Address: w.address, AccountID: string(w.Account), AccountName: w.AccountName, Chosen: w.Region.Chosen,
	}}
}

// homeOf is the Region that a target says for itself: a session's, or that of the
// AWS profile it is or begins with.
func homeOf(s *term.Streams, t *session.Target) home {
	if t.Region != "" {
		return home{t.Region, "session " + t.Session}
	}
	if t.Source.Profile == nil {
		return home{}
	}
	shared, _ := session.ReadShared(desk.ProfileFiles(s.Getenv)) // what cannot be read says nothing
	name := t.Source.Profile.Name
	if region := shared.Profiles[name]["region"].Value; region != "" {
		return home{region, "AWS profile " + name}
	}
	return home{}
}

// homesOf is [homeOf] for entries that are known.
func homesOf(s *term.Streams) func(*known.Entry) home {
	book := &session.Book{}
	if paths, err := session.FindPaths(s.Getenv); err == nil {
		if read, err := session.Read(paths.Book); err == nil {
			book = read
		}
	}
	return func(e *known.Entry) home {
		if e.Source == known.ByProfile {
			return homeOf(s, profileTarget(e.Address))
		}
		t := &session.Target{Session: e.Session}
		if i := slices.IndexFunc(book.Sessions, func(of session.Session) bool { return of.Name == e.Session }); i >= 0 && e.Session != "" {
			t.Region = book.Sessions[i].Region
		}
		if source := book.Source(e.Source); source != nil {
			t.Source = *source
		}
		return homeOf(s, t)
	}
}
