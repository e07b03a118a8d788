package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/glob"
)

// doubter tells what in requests cannot be meant. An answer to a misspelt question
// is as expected as often as not, most of all where a denial is.
type doubter struct {
	actions map[string]action
	keys    map[string]key
}

// action is what is known of an action: why it cannot be meant, or what its
// requests are on. Nothing is known of the targets of an action without any.
type action struct {
	name, doubt string
	targets     []target
}

// target is a kind of resource: its ARN, as AWS and as a policy writes it.
type target struct{ arn, pattern string }

// key is what is known of a condition key: why it cannot be meant, or what its
// values are; fits is nil when they are any.
type key struct {
	doubt string
	kind  catalog.KeyType
	fits  func(string) bool
}

func newDoubter() *doubter {
	return &doubter{actions: map[string]action{}, keys: map[string]key{}}
}

// of lists the doubts about a request.
func (d *doubter) of(req *authz.Request) []string {
	var out []string
	add := func(doubt string) {
		if doubt != "" {
			out = append(out, doubt)
		}
	}
	add(doubtPrincipal(&req.Principal))
	asked := remember(d.actions, req.Action, actionNamed)
	add(asked.doubt)
	add(asked.on(req.Resource))
	req.Context.All(func(name string, values []string, known bool) bool {
		k := remember(d.keys, name, keyNamed)
		add(k.doubt)
		if known {
			add(k.with(name, values))
		}
		return true
	})
	return out
}

// remembered is how many answers of a kind are kept: cases repeat themselves, and
// there may be millions.
const remembered = 10_000

func remember[T any](seen map[string]T, name string, ask func(string) T) T {
	known, ok := seen[name]
	if !ok {
		if known = ask(name); len(seen) < remembered {
			seen[name] = known
		}
	}
	return known
}

func doubtPrincipal(p *authz.Principal) string {
	for _, a := range []arn.ARN{p.ARN, p.Entity, p.Provider} {
		switch {
		case a == (arn.ARN{}):
		case strings.ContainsAny(a.Resource, "*?"):
			return fmt.Sprintf("principal %s has a wildcard, which callers do not", a)
		case !a.Account.Valid():
			return fmt.Sprintf("principal %s is of no account: an id has 12 digits", a)
		}
	}
	return ""
}

func actionNamed(name string) action {
	service, operation, ok := strings.Cut(name, ":")
	if !ok || service == "" || operation == "" || strings.ContainsAny(name, " *?") {
		return action{doubt: fmt.Sprintf("action %q is not one action, as s3:GetObject is", name)}
	}
	known, ok := catalog.ActionOf(name)
	if !ok {
		if meant := catalog.SuggestAction(name); meant != "" {
			return action{doubt: fmt.Sprintf("there is no action %s; did you mean %s?", name, meant)}
		}
		if catalog.KnownService(service) {
			return action{doubt: fmt.Sprintf("service %s has no action %s", service, operation)}
		}
		return action{}
	}
	out := action{name: known.Name}
	for _, name := range known.ResourceTypes {
		kind, ok := catalog.ResourceTypeOf(service, name)
		if !ok {
			return action{}
		}
		out.targets = append(out.targets, target{kind.ARN, kind.Pattern()})
	}
	return out
}

// on tells that a resource is none that requests of the action name.
func (a *action) on(resource string) string {
	switch {
	case resource == catalog.Everything:
		return ""
	case !strings.HasPrefix(resource, "arn:"):
		return fmt.Sprintf("resource %q is neither an ARN nor *", resource)
	case len(a.targets) == 0 || slices.ContainsFunc(a.targets, func(t target) bool { return glob.Plain(t.pattern, resource) }):
		return ""
	case len(a.targets) > 3:
		return fmt.Sprintf("requests of %s are not on %s but on one of %d other kinds of resources", a.name, resource, len(a.targets))
	}
	var others []string
	for _, t := range a.targets {
		others = append(others, t.arn)
	}
	return fmt.Sprintf("requests of %s are not on %s but on %s", a.name, resource, strings.Join(others, " or "))
}

func keyNamed(name string) key {
	prefix, _, ok := strings.Cut(name, ":")
	if !ok || strings.ContainsFunc(name, unicode.IsSpace) && !strings.Contains(name, "/") {
		return key{doubt: fmt.Sprintf("context key %q is none: keys are as aws:SourceIp", name)}
	}
	known, ok := catalog.ConditionKeyOf(name)
	if !ok {
		if strings.EqualFold(prefix, "aws") || catalog.KnownService(prefix) {
			return key{doubt: fmt.Sprintf("context key %s is not known", name)}
		}
		return key{}
	}
	out := key{kind: known.Type}
	switch known.Type {
	case catalog.IP:
		out.fits = func(v string) bool { _, err := netip.ParseAddr(v); return err == nil }
	case catalog.Bool:
		out.fits = func(v string) bool { return strings.EqualFold(v, "true") || strings.EqualFold(v, "false") }
	case catalog.Numeric:
		out.fits = func(v string) bool { _, err := strconv.ParseFloat(v, 64); return err == nil }
	case catalog.String, catalog.ARN, catalog.Date, catalog.Binary:
	}
	return out
}

// with tells of a value that the key cannot have.
func (k *key) with(name string, values []string) string {
	if k.fits == nil {
		return ""
	}
	for _, v := range values {
		if !k.fits(v) {
			return fmt.Sprintf("context key %s cannot have the value %q: its values are of type %s", name, v, k.kind)
		}
	}
	return ""
}
