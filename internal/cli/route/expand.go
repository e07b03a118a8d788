package route

import (
	"context"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
)

// Expand gives the addresses that words stand for, each once, sorted: a group's name
// stands for its members, and * in ACCOUNT/ROLE for anything, of declarations and of
// all sources. A pattern without a slash is one of names of sessions. A pattern that
// fits nothing is an error, and so is one where a source cannot be looked through; see
// [Sweep]. What is no pattern is taken as it is.
func (o *Options) Expand(ctx context.Context, s *term.Streams, words []string) ([]string, error) {
	words, err := o.spread(s, words)
	if err != nil {
		return nil, err
	}
	var out, open []string
	for _, p := range words {
		if strings.Contains(p, "*") {
			open = append(open, p)
			continue
		}
		if err := addressable(p); err != nil {
			return nil, err
		}
		if _, err := target(p); err != nil && (!mayBeSession(p) || o.declaredOnly()) {
			return nil, o.missing(err)
		}
		out = append(out, p)
	}
	for _, p := range open {
		fitting, err := o.fitting(ctx, s, p)
		if err != nil {
			return nil, err
		}
		out = append(out, fitting...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ExpandInOrder is [Options.Expand] in the order of the words.
func (o *Options) ExpandInOrder(ctx context.Context, s *term.Streams, words []string) ([]string, error) {
	var out []string
	for _, w := range words {
		some, err := o.Expand(ctx, s, []string{w})
		if err != nil {
			return nil, err
		}
		for _, address := range some {
			if !slices.Contains(out, address) {
				out = append(out, address)
			}
		}
	}
	return out, nil
}

// spread puts groups' members in the place of their names.
func (o *Options) spread(s *term.Streams, words []string) ([]string, error) {
	name := func(w string) bool { return !strings.ContainsAny(w, "/:*") }
	if o.declaredOnly() || !slices.ContainsFunc(words, name) {
		return words, nil
	}
	paths, err := session.FindPaths(s.Getenv)
	if err != nil {
		return nil, err
	}
	book, err := session.Read(paths.Book)
	if err != nil {
		return nil, err
	}
	return book.Spread(words), nil
}

// Meanings tells the entries that any of some words mean: addresses, groups and
// patterns.
func (o *Options) Meanings(s *term.Streams, words []string) (func(*known.Entry) bool, error) {
	words, err := o.spread(s, words)
	if err != nil {
		return nil, err
	}
	var all []func(*known.Entry) bool
	for _, w := range words {
		all = append(all, known.Meaning(w))
	}
	return func(e *known.Entry) bool {
		return slices.ContainsFunc(all, func(means func(*known.Entry) bool) bool { return means(e) })
	}, nil
}

// Place is an address, and what is known of it without going there.
type Place struct {
	known.Entry        // its Source is "" where nothing is known
	Region      string // the session's or profile's own, or the account's by declarations; "" where none is known
}

// Places is [Options.Expand] with what is known of each address.
func (o *Options) Places(ctx context.Context, s *term.Streams, words []string) ([]Place, error) {
	addresses, err := o.Expand(ctx, s, words)
	if err != nil {
		return nil, err
	}
	var all map[string]known.Entry
	var homes func(*known.Entry) home
	out := make([]Place, len(addresses))
	for i, address := range addresses {
		if to, err := target(address); err == nil {
			routes, err := o.find(ctx, s, to)
			if err == nil {
				c := &routes[0]
				role, _ := arn.Parse(c.route.Hops[len(c.route.Hops)-1].Role) // find has parsed it
				out[i] = Place{Region: c.region, Entry: known.Entry{
					Source: known.ByDeclaration, AccountID: string(c.account), Account: c.name, Role: role.Name(), Labels: c.labels,
				}}
				out[i].Address = address
				continue
			}
			if o.declaredOnly() {
				return nil, err
			}
		}
		if all == nil {
			all, homes = everything(s), homesOf(s)
		}
		out[i].Entry = all[address]
		out[i].Address, out[i].Region = address, homes(&out[i].Entry).region
	}
	return out, nil
}

// everything is what is known, by all names it has.
func everything(s *term.Streams) map[string]known.Entry {
	b := known.Read(s)
	return byName(slices.Concat(b.All(), b.Listed())) // SOURCE: before what is declared, too
}

// byName indexes entries by all names they have; the first of a name counts.
func byName(all []known.Entry) map[string]known.Entry {
	out := map[string]known.Entry{}
	for i := range all {
		for _, name := range all[i].Names() {
			if _, taken := out[name]; !taken {
				out[name] = all[i]
			}
		}
	}
	return out
}

// addresses lists where the routes end, each once, sorted.
func (a atlas) addresses() []string {
	var all []string
	for _, c := range a {
		for _, r := range c.routes {
			if r.Address != "" {
				all = append(all, r.Address)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
