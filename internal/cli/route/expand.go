package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/cli/term"
)

// Expand gives the addresses that patterns stand for, each once, sorted: * in
// ACCOUNT/ROLE stands for anything. A pattern that fits nothing is an error. What
// is no pattern is taken as it is.
func (o *Options) Expand(ctx context.Context, s *term.Streams, patterns []string) ([]string, error) {
	var out, open []string
	for _, p := range patterns {
		if strings.Contains(p, "*") {
			open = append(open, p)
			continue
		}
		if _, err := target(p); err != nil && (!mayBeSession(p) || o.declaredOnly()) {
			return nil, err
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

// fitting lists the addresses that fit a pattern: of declarations, or else of
// people's sources.
func (o *Options) fitting(ctx context.Context, s *term.Streams, pattern string) (out []string, err error) {
	err = o.maps(ctx, s, func(a atlas, from string) error {
		out, err = a.fitting(pattern, from)
		return err
	})
	if err == nil || o.declaredOnly() {
		return out, err
	}
	people, listErr := listed(ctx, s, pattern)
	switch {
	case listErr != nil:
		return nil, fmt.Errorf("expanding %s: %w", pattern, listErr)
	case len(people) > 0:
		return people, nil
	case errors.Is(err, errNoDeclarations):
		return nil, fmt.Errorf("expanding %s: nothing fits that people's sources list (stile ls), and there are %w", pattern, err)
	}
	return nil, err
}

// Place is an address, and what is known of it without going there.
type Place struct {
	Address string
	Region  string // the account's default, "" where it is not known
}

// Places is [Options.Expand] with what is known of each address.
func (o *Options) Places(ctx context.Context, s *term.Streams, patterns []string) ([]Place, error) {
	addresses, err := o.Expand(ctx, s, patterns)
	if err != nil {
		return nil, err
	}
	out := make([]Place, len(addresses))
	for i, address := range addresses {
		out[i].Address = address
		to, err := target(address)
		if err != nil {
			continue // the name of a session
		}
		routes, err := o.find(ctx, s, to)
		switch {
		case err == nil:
			out[i].Region = routes[0].region
		case o.declaredOnly():
			return nil, err
		}
	}
	return out, nil
}

// fitting lists the known addresses that fit a pattern.
func (a atlas) fitting(pattern, from string) ([]string, error) {
	var out []string
	for _, address := range a.addresses() {
		if wild(pattern).MatchString(address) {
			out = append(out, address)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("expanding %s: no address fits by %s%s", pattern, from, a.known())
	}
	return out, nil
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
