package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/scope"
)

// find lists the routes to an address.
func (o *Options) find(ctx context.Context, s *term.Streams, to access.Address) ([]candidate, error) {
	var routes []candidate
	err := o.maps(ctx, s, func(a atlas, from string) (err error) {
		if routes, err = a.lead(to, from); err != nil {
			return err
		}
		return o.sameMeaning(s, to, from, routes)
	})
	if errors.Is(err, errNoDeclarations) {
		return nil, fmt.Errorf("going to %s: %w", text(to), err)
	}
	return routes, err
}

var errNoDeclarations = errors.New("no declarations: give --declarations PATH, or apply some from this computer")

// maps offers try what is known, until it takes something: the declarations that
// were named; or else those of the working directory, then what was applied.
// Declarations that cannot be compiled, say because the accounts cannot be read with
// the credentials at hand, do not stand in the way of what was applied.
func (o *Options) maps(ctx context.Context, s *term.Streams, try func(a atlas, from string) error) error {
	if path := cmp.Or(o.Declarations, s.Getenv(state.DeclarationsEnv)); path != "" {
		from, err := o.declared(ctx, path)
		if err != nil {
			return err
		}
		return try(from, path)
	}
	var problem error
	if path := cmp.Or(o.far.around, state.Above()); path != "" {
		from, err := o.declared(ctx, path)
		if err == nil {
			err = try(from, path)
		}
		if err == nil || another(err) {
			return err
		}
		problem = err
	}
	all, damaged, err := state.AllRoutes(s)
	if err != nil {
		return err
	}
	var applied atlas
	for _, r := range all {
		applied = append(applied, chart{names: r.Accounts, regions: r.Regions, labels: r.Labels, routes: r.Routes})
	}
	err = try(applied, "the scopes applied from this computer")
	switch {
	case err == nil:
		return nil
	case problem != nil:
		err = problem
	case len(applied) == 0 && len(damaged) == 0:
		return errNoDeclarations
	}
	for _, d := range damaged { // the way may have been there
		err = fmt.Errorf("%w; %w", err, d)
	}
	return err
}

// declared is what the declarations at path lead to, read once. Who asks meanwhile
// waits for that reading; one who leaves does not end it for the others.
func (o *Options) declared(ctx context.Context, path string) (atlas, error) {
	if a, ok := o.compiledAt(path); ok {
		return a, nil
	}
	reading := o.compiling.DoChan(path, func() (any, error) {
		if a, ok := o.compiledAt(path); ok { // it came between the look and the flight
			return a, nil
		}
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		defer stop()
		a, err := declared(ctx, path)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.compiled == nil {
			o.compiled = map[string]atlas{}
		}
		o.compiled[path] = a
		return a, nil
	})
	select {
	case read := <-reading:
		a, _ := read.Val.(atlas)
		return a, read.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// lookTimeout bounds a reading of declarations with what it looks up in AWS.
const lookTimeout = 5 * time.Minute

func (o *Options) compiledAt(path string) (atlas, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a, ok := o.compiled[path]
	return a, ok
}

// declared compiles the declarations at path. Warnings are for plan to show.
func declared(ctx context.Context, path string) (atlas, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading declarations: %w", err)
	}
	sc, diags := scope.Load(path, scope.Read, nil)
	if sc == nil {
		return nil, failure(diags)
	}
	v, diags, err := sc.Look(ctx)
	if err != nil {
		return nil, fmt.Errorf("compiling declarations %s: %w", path, err)
	}
	if v == nil {
		return nil, failure(diags)
	}
	c := chart{names: map[arn.AccountID]string{}, regions: map[arn.AccountID]string{}, labels: state.Labels(sc.Set.Accounts), routes: v.Wanted.Routes}
	for _, a := range sc.Set.Accounts {
		c.names[a.ID] = a.Name
		if len(a.Regions) > 0 {
			c.regions[a.ID] = a.Regions[0]
		}
	}
	return atlas{c}, nil
}

// failure is the errors of a list without its warnings.
func failure(diags diag.List) error {
	return slices.DeleteFunc(slices.Clone(diags), func(d diag.Diagnostic) bool { return d.Severity != diag.Error }).Err()
}

// A chart is what one scope knows; an atlas is several.
type chart struct {
	names, regions map[arn.AccountID]string
	labels         map[arn.AccountID]map[string]string // none for an account whose labels are not known
	routes         []compile.Route
}

type atlas []chart

// lead lists the routes that lead to an address, or come past it: the hub of a
// chain can be entered by those who go on from there.
func (a atlas) lead(to access.Address, from string) ([]candidate, error) {
	var ends, past []candidate
	var ended time.Time
	for _, c := range a {
		for _, r := range c.routes {
			i := c.stop(r, to)
			if i < 0 {
				continue
			}
			if !r.Expires.IsZero() && !time.Now().Before(r.Expires) {
				ended = r.Expires
				continue
			}
			at := c.candidate(r, i)
			if i == len(r.Hops)-1 {
				ends = append(ends, at)
			} else {
				past = append(past, at)
			}
		}
	}
	switch {
	case len(ends) > 0:
		return ends, nil
	case len(past) > 0:
		return past, nil
	case !ended.IsZero():
		return nil, fmt.Errorf("going to %s: the access ended at %s", text(to), ended.Format(time.RFC3339))
	}
	return nil, fmt.Errorf("going to %s: no way there by %s%s", text(to), from, a.known())
}

func (c *chart) candidate(r compile.Route, hop int) candidate {
	r.Hops = r.Hops[:hop+1]
	a, _ := arn.Parse(r.Hops[hop].Role) // stop has parsed it
	return candidate{route: r, account: a.Account, region: c.regions[a.Account], name: c.names[a.Account], labels: c.labels[a.Account]}
}

// stop is the hop of a route at which an address is reached, -1 for none.
func (c *chart) stop(r compile.Route, to access.Address) int {
	return slices.IndexFunc(r.Hops, func(h compile.Hop) bool {
		a, err := arn.Parse(h.Role)
		switch {
		case err != nil:
			return false
		case to.Role == "":
			return a == to.ARN
		}
		return a.Name() == to.Role && (to.Account == string(a.Account) || to.Account == c.names[a.Account])
	})
}

// maxKnown bounds how many addresses an error lists.
const maxKnown = 10

// known is where the ways lead, for an error.
func (a atlas) known() string {
	all := a.addresses()
	switch {
	case len(all) == 0:
		return ""
	case len(all) > maxKnown:
		return fmt.Sprintf("; they lead to %s and %d more", strings.Join(all[:maxKnown], ", "), len(all)-maxKnown)
	}
	return "; they lead to " + strings.Join(all, ", ")
}

func text(to access.Address) string {
	if to.Role == "" {
		return to.ARN.String()
	}
	return to.Account + "/" + to.Role
}
