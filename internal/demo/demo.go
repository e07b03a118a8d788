// Package demo is the main job from end to end on a local AWS that it starts
// itself: declarations become access over several accounts, the access is
// proven, used as the pods would use it, and tried in every way that must fail.
//
// [Run] does it all and prints what it does. What it prints of successes and
// refusals comes from the wire: nothing here decides anything.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/examples"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/verify"
)

// accounts are those of the demo's local AWS.
var accounts = [...]localaws.Account{
	{Name: "tooling", ID: "111111111111"},
	{Name: "orders-prod", ID: "222222222222"},
	{Name: "network", ID: "333333333333"},
}

const region = localaws.DefaultRegion

// Config is what a demo needs.
type Config struct {
	Server *localaws.Server // with the accounts of Setup
	URL    string           // where Server is served
	Out    io.Writer
}

// Setup is the local AWS that a demo runs on.
func Setup() localaws.Config {
	return localaws.Config{
		Accounts: accounts[:], Organization: true,
		Clusters: []localaws.Cluster{{Account: "111111111111", Name: "ci", Region: region}},
	}
}

// Run plays the demo. An error means that something did not go as it must.
func Run(ctx context.Context, cfg Config) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	d := &demo{Config: cfg, http: &http.Client{Transport: transport}}
	for _, act := range []func(context.Context) error{d.seed, d.declare, d.asPods, d.refusals} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

type demo struct {
	Config
	http      *http.Client
	secretARN string
}

func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.Out, format, args...) }

func (d *demo) title(text string) { d.printf("\n=== %s\n", text) }

// declare applies and proves both scopes.
func (d *demo) declare(ctx context.Context) error {
	for _, name := range []string{"payroll", "assume-role"} {
		if err := d.applyScope(ctx, name); err != nil {
			return fmt.Errorf("examples/%s: %w", name, err)
		}
	}
	return nil
}

func (d *demo) applyScope(ctx context.Context, name string) error {
	set, diags := access.Load(examples.Files, name)
	if diags.HasErrors() {
		return diags
	}
	s := scope.New(set, scope.Manage, d.loader)
	d.title("plan of examples/" + name)
	p, view, diags, err := s.Plan(ctx, scope.PlanOptions{})
	if err != nil {
		return err
	}
	if p == nil {
		return diags
	}
	if err := p.Text(d.Out, true); err != nil {
		return err
	}
	d.title("apply")
	result, err := apply.Run(ctx, p, apply.Config{Source: s.Source, Ledgers: view.Ledgers})
	if err != nil {
		return err
	}
	d.printf("%d steps done\n", result.Done)
	return d.prove(ctx, s)
}

// prove looks again, at what is there now, and asks the policy engine.
func (d *demo) prove(ctx context.Context, s *scope.Scope) error {
	d.title("proof")
	view, diags, err := s.Look(ctx)
	if err != nil {
		return err
	}
	if view == nil {
		return diags
	}
	report := verify.Check(view.Wanted, view.Inventory, view.Ledger())
	if err := report.Text(d.Out, s.Name); err != nil {
		return err
	}
	if !report.OK {
		return errors.New("the proof does not hold")
	}
	again, _, _, err := s.Plan(ctx, scope.PlanOptions{})
	if err != nil {
		return err
	}
	if again == nil || again.Changes() {
		return errors.New("planning again finds something to change")
	}
	d.printf("planning again: nothing to change\n")
	return nil
}
