package scopetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/policy"
)

// Snapshot is everything that gives access in the world, by a name such as
// "222222222222 role payroll-api": equal snapshots mean equal worlds, unique
// ids and times aside. Policies are in canonical form; values of secrets are
// not in it.
func (w *World) Snapshot() map[string]string {
	world := w.Server.World()
	world.RLock()
	defer world.RUnlock()
	out := map[string]string{}
	for _, id := range world.AccountIDs() {
		snapshotIAM(world, id, out)
		snapshotResources(world, id, out)
	}
	return out
}

func snapshotIAM(world *store.World, id arn.AccountID, out map[string]string) {
	records := &world.Accounts[id].IAM
	for _, v := range records.Roles {
		if r := v.Latest(); r != nil {
			out[fmt.Sprintf("%s role %s", id, r.Name)] = fmt.Sprintf("%s trust %s max %s description %q", entity(&r.Entity), canonical(world.Present(r.Trust)), r.MaxSession, r.Description)
		}
	}
	for _, v := range records.Users {
		if u := v.Latest(); u != nil {
			out[fmt.Sprintf("%s user %s", id, u.Name)] = entity(&u.Entity)
		}
	}
	for _, v := range records.Policies {
		if p := v.Latest(); p != nil {
			out[fmt.Sprintf("%s policy %s", id, p.Name)] = canonical(p.Document())
		}
	}
	for _, v := range records.OIDCProviders {
		if p := v.Latest(); p != nil {
			out[fmt.Sprintf("%s provider %s", id, p.Key)] = fmt.Sprintf("audiences %q tags %v", slices.Sorted(slices.Values(p.ClientIDs)), p.Tags)
		}
	}
}

func entity(e *store.Entity) string {
	var b strings.Builder
	fmt.Fprintf(&b, "path %s tags %v attached %q boundary %q", e.Path, e.Tags, e.Attached, e.Boundary)
	for _, name := range slices.Sorted(maps.Keys(e.Inline)) {
		fmt.Fprintf(&b, " inline %s %s", name, canonical(e.Inline[name]))
	}
	return b.String()
}

func snapshotResources(world *store.World, id arn.AccountID, out map[string]string) {
	now := world.Now()
	for _, secrets := range world.Accounts[id].Secrets {
		for _, s := range *secrets {
			if !s.Gone(now) {
				out[fmt.Sprintf("%s secret %s", id, s.Name)] = fmt.Sprintf("tags %v key %s deleted %v policy %s", s.Tags, s.Key, !s.Deleted.IsZero(), canonical(world.Present(s.Policy)))
			}
		}
	}
	for _, keys := range world.Accounts[id].KMS {
		for _, k := range keys.Keys {
			if k.Service == "" && !k.Gone(now) { // AWS managed keys come by themselves and stay
				out[fmt.Sprintf("%s key %s", id, k.ID)] = canonical(world.Present(*k.Policy.Latest()))
			}
		}
	}
}

func canonical(text string) string {
	if text == "" {
		return "none"
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return "unreadable: " + text
	}
	return policy.Canonical(doc)
}

// Owned is what in the world carries the mark of any scope: roles and providers
// by their tags, inline policies on others' principals and statements by the
// names that stile gives them. Each is as a ledger has it, without hashes.
func (w *World) Owned() []ledger.Entry {
	world := w.Server.World()
	world.RLock()
	defer world.RUnlock()
	var out []ledger.Entry
	for _, id := range world.AccountIDs() {
		records := &world.Accounts[id].IAM
		for _, v := range records.Roles {
			if r := v.Latest(); r != nil && r.Tags[compile.TagScope] != "" {
				out = append(out, ledger.Entry{Account: id, Kind: ledger.Role, ID: r.RoleARN(id).String()})
			} else if r != nil {
				out = append(out, inlineEntries(id, ledger.RolePolicy, &r.Entity)...)
			}
		}
		for _, v := range records.Users {
			if u := v.Latest(); u != nil {
				out = append(out, inlineEntries(id, ledger.UserPolicy, &u.Entity)...)
			}
		}
		for _, v := range records.OIDCProviders {
			if p := v.Latest(); p != nil && p.Tags[compile.TagScope] != "" {
				out = append(out, ledger.Entry{Account: id, Kind: ledger.Provider, ID: arn.IAM("aws", id, "oidc-provider", "/", p.Key).String()})
			}
		}
		out = append(out, statementEntries(world, id)...)
	}
	return out
}

// Ledger is the ledger of a scope as its home has it now, empty when there
// is none. Its value is read through the API, for it is encrypted.
func (w *World) Ledger(ctx context.Context, home arn.AccountID, scopeName string) (*ledger.Ledger, error) {
	source := fixed(w.Admin(home, nil))
	l, err := apply.OpenLedgers(ctx, source, plan.Home{Account: home, Region: Region}, scopeName)
	if err != nil {
		return nil, err
	}
	return l.Ledger(), nil
}

// fixed is a source of one configuration.
type fixed aws.Config

// Config implements apply.Source.
func (f fixed) Config(context.Context, arn.AccountID, string) (aws.Config, error) {
	return aws.Config(f), nil
}

// inlineEntries are the inline policies that stile put on somebody else's.
func inlineEntries(id arn.AccountID, kind ledger.Kind, e *store.Entity) []ledger.Entry {
	var out []ledger.Entry
	for name := range e.Inline {
		if strings.HasPrefix(strings.ToLower(name), "stile") {
			out = append(out, ledger.Entry{Account: id, Kind: kind, ID: e.Name + "/" + name})
		}
	}
	return out
}

func statementEntries(world *store.World, id arn.AccountID) []ledger.Entry {
	var out []ledger.Entry
	add := func(kind ledger.Kind, region, target, text string) {
		doc, err := policy.Parse([]byte(text))
		if err != nil {
			return
		}
		for _, st := range doc.Statements {
			if strings.HasPrefix(st.Sid, "Stile") {
				out = append(out, ledger.Entry{Account: id, Region: region, Kind: kind, ID: target + "#" + st.Sid})
			}
		}
	}
	for region, secrets := range world.Accounts[id].Secrets {
		for _, s := range *secrets {
			add(ledger.SecretSid, region, s.ARN().String(), s.Policy)
		}
	}
	for region, keys := range world.Accounts[id].KMS {
		for _, k := range keys.Keys {
			add(ledger.KeySid, region, k.ARN().String(), *k.Policy.Latest())
		}
	}
	return out
}
