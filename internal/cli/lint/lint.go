// Package lint is `stile lint`: findings on IAM documents, AWS config and
// credentials files, aws-auth ConfigMaps, CloudFormation templates, Terraform
// plans, inventories and stile's own declarations.
package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/cli/observe"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/accept"
	"github.com/stile-aws/stile/internal/lint/output"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

type options struct {
	streams *term.Streams
	version string
	paths   []string
	now     func() time.Time

	json          bool
	format        string
	severity      string
	failOn        string
	kind          string
	account       string
	organization  []string
	baseline      string
	writeBaseline string
	suppressions  string

	inventoryFile string
	unused        time.Duration
	// Passed to stile observe.
	accounts, regions              []string
	role, externalID, declarations string
}

const long = `Find mistakes in IAM documents, AWS config and credentials files, aws-auth ConfigMaps,
CloudFormation templates, Terraform plans (terraform show -json) and stile's declarations; in a whole
inventory (--inventory, of every kind that stile reads) also what shows only when both sides of a
crossing are known: trust in what does not exist, grants and shares that lead nowhere, tags nobody can
set, third parties. Each finding has a code with a page in docs/lint. A directory is searched for files
that may hold something to check.

A finding is accepted by a comment in the file, on its line or above it,

    # stile-lint-ignore: trust/wide-subject one namespace a team

or by an entry with code, path, subject, reason and expires in .stile-lint.yaml. A suppression
without a reason, or of nothing, is a finding itself. With --baseline only findings that the
baseline does not have are reported; they are compared by what they say, not by line.

Exit status: 0 when nothing at least as severe as --fail-on was found, 1 when something was, or
when a file could not be read, which is a finding of it and keeps no other file from being checked; 3 when nothing was, and something of the inventory or the accounts could not
be read, so that it was not checked.`

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s, now: time.Now}
	cmd := &cobra.Command{
		Use:   "lint [FILE|DIRECTORY...]",
		Short: "Find mistakes in IAM documents, templates, plans, declarations, inventories and AWS config files",
		Long:  long,
		Example: "  stile lint policies/ template.yaml\n" +
			"  stile lint --inventory acme.json.gz --format sarif > lint.sarif\n" +
			"  terraform show -json plan.out > plan.json && stile lint --inventory acme.json.gz plan.json\n" +
			"  stile lint --accounts all --role StileReader --baseline lint-baseline.json",
		Args: term.ArgsBetween(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.paths, o.version = args, cmd.Root().Version
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "print the findings as JSON (as --format json)")
	f.StringVar(&o.format, "format", "text", "text, json, sarif or github (workflow commands)")
	f.StringVar(&o.severity, "severity", "info", "report findings at least so severe: info, low, medium, high or critical")
	f.StringVar(&o.failOn, "fail-on", "high", "exit with status 1 when a finding is at least so severe")
	f.StringVar(&o.kind, "kind", "", "what the documents are: identity, trust, resource, key, endpoint, scp or rcp (default: guessed)")
	f.StringVar(&o.account, "account", "", "the account the documents are in")
	f.StringSliceVar(&o.organization, "own-accounts", nil, "the organization's accounts: others are third parties")
	f.StringVar(&o.baseline, "baseline", "", "report only what this file of accepted findings does not have")
	f.StringVar(&o.writeBaseline, "write-baseline", "", "write the findings to this file, as a baseline, and exit with status 0")
	f.StringVar(&o.suppressions, "suppressions", accept.FileName, "file of suppressions")
	f.StringVar(&o.inventoryFile, "inventory", "", "check this inventory too, and take the organization's accounts from it; - for standard input")
	f.DurationVar(&o.unused, "unused", 90*24*time.Hour, "how long a role that lets others in may go unused")
	f.StringSliceVar(&o.accounts, "accounts", nil, "observe these accounts now and check them: ids, names or all (see stile observe)")
	f.StringSliceVar(&o.regions, "regions", nil, "with --accounts: the Regions to read")
	f.StringVar(&o.role, "role", "", "with --accounts: enter them through the role of this name")
	f.StringVar(&o.externalID, "external-id", "", "with --accounts: the external id that the role asks for")
	f.StringVarP(&o.declarations, "declarations", "f", "", "with --accounts: enter them as the declarations at this path say")
	return cmd
}

// maxFile bounds what is read: plans may be large, policies and config files are not.
const maxFile = 64 << 20

// levels are the options that name a severity.
type levels struct{ shown, failing rule.Severity }

func (o *options) levels() (l levels, err error) {
	if err := l.shown.UnmarshalText([]byte(o.severity)); err != nil {
		return l, fmt.Errorf("--severity: %w", err)
	}
	if !slices.Contains([]string{"text", "json", "sarif", "github"}, o.format) {
		return l, fmt.Errorf("--format %q: want text, json, sarif or github", o.format)
	}
	if err := l.failing.UnmarshalText([]byte(o.failOn)); err != nil {
		return l, fmt.Errorf("--fail-on: %w", err)
	}
	return l, nil
}

func (o *options) run(ctx context.Context) error {
	l, err := o.levels()
	if err != nil {
		return err
	}
	if len(o.paths) == 0 && o.inventoryFile == "" && len(o.accounts) == 0 {
		return errors.New("choosing what to check: name files or directories, an inventory by --inventory, or accounts by --accounts")
	}
	if o.inventoryFile != "" && len(o.accounts) > 0 {
		return errors.New("choosing what to check: --inventory and --accounts are two ways to the same; give one of them")
	}
	if o.writeBaseline != "" {
		if err := atomicfile.Place(o.writeBaseline); err != nil {
			return err
		}
	}
	s := &search{set: &accept.Set{}}
	if s.ctx, err = o.context(); err != nil {
		return err
	}
	if err := o.readSuppressions(s.set); err != nil {
		return err
	}
	if err := o.look(ctx, s); err != nil {
		return err
	}
	s.found.Sort()
	found, accepted := s.set.Apply(s.found, s.files, o.now())
	found.Sign()
	if o.writeBaseline != "" {
		return o.saveBaseline(found.AtLeast(l.shown))
	}
	if found, err = o.sinceBaseline(found); err != nil {
		return err
	}
	found = found.AtLeast(l.shown)
	if err := o.print(found, accepted); err != nil {
		return err
	}
	unread := o.unread(s.inv)
	switch {
	case len(found.AtLeast(l.failing)) > 0, s.unread:
		return term.ErrSaid
	case unread:
		return &term.Exit{Code: Partial}
	}
	return nil
}

// Partial is the exit status when something could not be read, as that of
// stile observe.
const Partial = observe.Partial

// unread tells what of an inventory could not be read, and reports whether
// there is anything: what was not read was not checked, and has no findings.
func (o *options) unread(inv *inventory.Inventory) bool {
	if inv == nil {
		return false
	}
	const most = 10
	n := 0
	for _, id := range slices.Sorted(maps.Keys(inv.Accounts)) {
		a := inv.Accounts[id]
		if a == nil {
			continue
		}
		for _, p := range a.Problems {
			if n++; n <= most && len(o.accounts) == 0 { // stile observe has told
				what := p.What
				if what != inventory.AllOfIt {
					what += " of account"
				}
				o.streams.Note("not checked: %s %s: %s", what, cmp.Or(a.Name, string(id)), p.Why)
			}
		}
	}
	if n > most && len(o.accounts) == 0 {
		o.streams.Note("not checked: %d more", n-most)
	}
	return n > 0
}

// context is what the options say about all documents.
func (o *options) context() (lint.Context, error) {
	var ctx lint.Context
	if o.account != "" {
		id, err := arn.ParseAccountID(o.account)
		if err != nil {
			return ctx, fmt.Errorf("--account: %w", err)
		}
		ctx.Account = id
	}
	for _, text := range o.organization {
		id, err := arn.ParseAccountID(text)
		if err != nil {
			return ctx, fmt.Errorf("--own-accounts: %w", err)
		}
		ctx.Organization = append(ctx.Organization, id)
	}
	if o.kind != "" {
		kinds := map[string]policy.Kind{
			"identity": policy.Identity, "trust": policy.Trust, "resource": policy.Resource, "key": policy.Key,
			"endpoint": policy.Endpoint, "scp": policy.SCP, "rcp": policy.RCP,
		}
		kind, ok := kinds[o.kind]
		if !ok {
			return ctx, fmt.Errorf("--kind %q: want identity, trust, resource, key, endpoint, scp or rcp", o.kind)
		}
		ctx.Kind = &kind
	}
	return ctx, nil
}

// readSuppressions reads the list of suppressions; the default one need not
// exist.
func (o *options) readSuppressions(set *accept.Set) error {
	text, err := readFile(o.suppressions)
	if errors.Is(err, fs.ErrNotExist) && o.suppressions == accept.FileName {
		return nil
	}
	if err != nil {
		return err
	}
	set.ParseFile(o.suppressions, text)
	return nil
}

func (o *options) saveBaseline(found rule.List) error {
	text, err := accept.NewBaseline(found).Text()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(o.writeBaseline, text); err != nil {
		return err
	}
	o.streams.Note("%s accepts %d findings", o.writeBaseline, len(found))
	return nil
}

func (o *options) sinceBaseline(found rule.List) (rule.List, error) {
	if o.baseline == "" {
		return found, nil
	}
	text, err := readFile(o.baseline)
	if err != nil {
		return nil, err
	}
	b, err := accept.ParseBaseline(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.baseline, err)
	}
	fresh, gone := b.New(found)
	if gone > 0 {
		o.streams.Note("%d of the findings in %s are gone: write it anew with --write-baseline", gone, o.baseline)
	}
	return fresh, nil
}

func (o *options) print(found rule.List, accepted []rule.Accepted) error {
	format := o.format
	if o.json {
		format = "json"
	}
	switch format {
	case "json":
		return o.streams.JSON(found)
	case "sarif":
		origin := output.Origin{Version: o.version, Inventory: o.inventoryFile, Line: (&lines{}).line}
		if origin.Inventory == "-" {
			origin.Inventory = ""
		}
		return output.SARIF(o.streams.Out, found, accepted, origin)
	case "github":
		return output.GitHub(o.streams.Out, found)
	}
	return output.Text(o.streams.Out, found)
}
