// Package world is what the commands that ask about whole organizations share:
// where the inventory comes from, the graph of it, and how principals and what
// was not looked at are printed.
package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/reach"
	"github.com/stile-aws/stile/internal/scope"
)

// Depends is the exit code when the answer depends on what is not known.
const Depends = 3

// Source is where the inventory of a question comes from.
type Source struct {
	Streams      *term.Streams
	Inventory    string   // a saved inventory, details or a directory; "": see Declarations
	With         []string // plans and templates over it
	Account      string   // of what they make, where they don't say
	Region       string
	StackName    string   // of templates
	Parameters   []string // of templates, NAME=VALUE
	Declarations string   // the accounts to look at now
	Assume       bool
}

// Help says in a command's help where inventories come from.
const Help = "--inventory reads a saved inventory (stile observe), the output of aws iam get-account-authorization-details, or a\n" +
	"directory that iam-collect wrote, and asks no network; --with puts Terraform plans (terraform show -json) and\n" +
	"CloudFormation templates over it. Without --inventory, everything in the declared accounts is read now.\n" +
	"What was not read makes answers unknown, never no; --assume takes what nobody looked for to be absent.\n" +
	"What was not looked at is listed on standard error.\n"

// Flags adds the flags that fill s.
func (s *Source) Flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.Inventory, "inventory", "", "ask the inventory at `PATH`, a file or directory, instead of AWS")
	s.OverlayFlags(cmd)
	f.StringVarP(&s.Declarations, "declarations", "f", "", "read the accounts declared at `PATH`; default: $STILE_DECLARATIONS, or the stile.yaml at or above the working directory")
	cmd.MarkFlagsMutuallyExclusive("inventory", "declarations")
}

// OverlayFlags adds the flags that fill the rest of s where the command's
// arguments say which inventory is meant.
func (s *Source) OverlayFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.With, "with", nil, "ask what would be, once the Terraform plan or CloudFormation template in `FILE` is applied")
	f.StringVar(&s.Account, "account", "", "with --with: the `ID` of the account of what does not say in which it is")
	f.StringVar(&s.Region, "region", "", "with --with: the `REGION` of what does not say in which it is")
	f.StringVar(&s.StackName, "stack-name", "", "with --with: the `NAME` of a template's stack, which CloudFormation makes names of")
	f.StringArrayVar(&s.Parameters, "parameter", nil, "with --with: the value of a template's parameter, `NAME=VALUE`")
	f.BoolVar(&s.Assume, "assume", false, "take what nobody looked for to be absent")
}

// Load reads the inventory, with what is to be put over it.
func (s *Source) Load(ctx context.Context) (*inventory.Inventory, error) {
	inv, err := s.Base(ctx)
	if err != nil {
		return nil, err
	}
	return s.Over(inv)
}

// Base reads the inventory as it is.
func (s *Source) Base(ctx context.Context) (*inventory.Inventory, error) {
	if s.Inventory != "" {
		return s.read(nil, s.Inventory)
	}
	return s.look(ctx)
}

// Over puts the plans and templates of s over an inventory, which stays as it is.
func (s *Source) Over(inv *inventory.Inventory) (*inventory.Inventory, error) {
	var err error
	for _, path := range s.With {
		if inv, err = s.read(inv, path); err != nil {
			return nil, err
		}
	}
	return inv, nil
}

// read takes in one file or directory. What could not be taken over is told on
// standard error.
func (s *Source) read(base *inventory.Inventory, path string) (*inventory.Inventory, error) {
	o := importer.Options{Account: arn.AccountID(s.Account), Region: s.Region, StackName: s.StackName, Parameters: map[string]string{}}
	for _, p := range s.Parameters {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return nil, fmt.Errorf("reading --parameter %q: want NAME=VALUE", p)
		}
		o.Parameters[name] = value
	}
	if s.Account != "" && !o.Account.Valid() {
		return nil, fmt.Errorf("reading --account %q: want an account id of 12 digits", s.Account)
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	got, err := importer.Read(os.DirFS(filepath.Dir(whole)), filepath.Base(whole), base, o)
	if err != nil {
		return nil, err
	}
	if took := time.Since(began); took > time.Second {
		s.Streams.Note("stile: read %s in %.1f s", path, took.Seconds())
	}
	return got.Inventory, term.Report(s.Streams, got.Findings)
}

// look reads everything in the declared accounts.
func (s *Source) look(ctx context.Context) (*inventory.Inventory, error) {
	paths, err := state.Declarations(s.Streams, s.Declarations)
	if errors.Is(err, state.ErrNoDeclarations) {
		return nil, errors.New("finding an inventory: name one by --inventory, or the declarations of the accounts to read by --declarations")
	}
	if err != nil {
		return nil, err
	}
	inv := &inventory.Inventory{}
	for _, path := range paths {
		sc, diags := scope.Load(path, scope.Read, nil)
		if sc == nil {
			return nil, diags
		}
		if err := term.Report(s.Streams, diags); err != nil {
			return nil, err
		}
		req := inventory.Request{Organization: true}
		for _, a := range sc.Set.Accounts {
			what := req.Account(a.ID)
			what.Everything, what.Regions = true, a.Regions
			req.Candidates = append(req.Candidates, a.ID)
		}
		if err := observe.Fill(ctx, sc.Source, req, inv, sc.Options); err != nil {
			return nil, err
		}
	}
	return inv, nil
}

// Graph loads the inventory and builds its graph.
func (s *Source) Graph(ctx context.Context) (*reach.Graph, error) {
	inv, err := s.Load(ctx)
	if err != nil {
		return nil, err
	}
	return s.Build(inv), nil
}

// Build builds the graph of an inventory.
func (s *Source) Build(inv *inventory.Inventory) *reach.Graph { return reach.New(inv, s.Config()) }

// Config is how graphs are built: with progress told on standard error once it
// takes more than a second.
func (s *Source) Config() reach.Config {
	p := &progress{streams: s.Streams, began: time.Now()}
	return reach.Config{View: effective.Options{Assume: s.Assume}, Progress: p.tell}
}

// progress tells how far something is: on a terminal on one line, elsewhere on
// a line each for stages that take long.
type progress struct {
	streams     *term.Streams
	began, last time.Time
}

func (p *progress) tell(stage string, done, total int) {
	now, pause := time.Now(), 5*time.Second
	if p.streams.Terminal {
		pause = 200 * time.Millisecond
	}
	if now.Sub(p.began) < time.Second || now.Sub(p.last) < pause {
		return
	}
	p.last = now
	if p.streams.Terminal {
		fmt.Fprintf(p.streams.Err, "\r\x1b[K%s: %d of %d\r", stage, done, total)
		return
	}
	p.streams.Note("stile: %s: %d of %d", stage, done, total)
}

// Warn lists on standard error what the answers do not cover.
func Warn(s *term.Streams, gaps []reach.Gap) {
	const most = 12
	if s.Terminal {
		fmt.Fprint(s.Err, "\x1b[K")
	}
	if len(gaps) == 0 {
		return
	}
	s.Note("not looked at:")
	for _, g := range gaps[:min(len(gaps), most)] {
		text := g.What
		if g.Account != "" {
			text += " (" + string(g.Account) + ")"
		}
		s.Note("  %s: %s", text, g.Why)
	}
	if len(gaps) > most {
		s.Note("  and %d more; --json lists all", len(gaps)-most)
	}
}

// Action wants one action that AWS has. The catalog is older than some service:
// an action of one it does not know passes.
func Action(text string) error {
	service, name, ok := strings.Cut(text, ":")
	if !ok || service == "" || name == "" || strings.ContainsAny(text, " *?") {
		return fmt.Errorf("reading ACTION %q: want one action, as dynamodb:GetItem", text)
	}
	if _, known := catalog.ActionOf(text); known {
		return nil
	}
	if meant := catalog.SuggestAction(text); meant != "" {
		return fmt.Errorf("reading ACTION %q: there is no such action; did you mean %s?", text, meant)
	}
	if catalog.KnownService(service) {
		return fmt.Errorf("reading ACTION %q: service %s has no such action", text, service)
	}
	return nil
}

// Target is the RESOURCE that was given after ACTION, or "*" where requests name
// none. Others are refused without one, for whoever may do the action on one
// resource alone would be left out of the answer.
func Target(action string, given []string) (string, error) {
	if err := Action(action); err != nil {
		return "", err
	}
	if len(given) > 0 {
		return given[0], nil
	}
	if known, _ := catalog.ActionOf(action); len(known.ResourceTypes) > 0 {
		return "", fmt.Errorf("reading RESOURCE: none is given, and requests of %s name one (%s): say its ARN, or '*' for all of them",
			known.Name, strings.Join(known.ResourceTypes, ", "))
	}
	return catalog.Everything, nil
}

// Resource wants an ARN without wildcards, or "*".
func Resource(text string) error {
	if text != "*" && (!arn.Is(text) || strings.ContainsAny(text, "*?")) {
		return fmt.Errorf("reading RESOURCE %q: want the ARN of one resource, as arn:aws:s3:::reports/2026.csv, or * for actions without one", text)
	}
	return nil
}

// Context reads KEY=VALUE texts.
func Context(texts []string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("reading --context %q: want KEY=VALUE", text)
		}
		out[key] = append(out[key], value)
	}
	return out, nil
}
