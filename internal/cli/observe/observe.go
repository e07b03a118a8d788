// Package observe is `stile observe`: read whole accounts into an inventory.
package observe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/observe"
)

// Partial is the exit code when something could not be read.
const Partial = 3

type options struct {
	streams      *term.Streams
	accounts     []string
	regions      []string
	declarations string
	role         string
	externalID   string
	out          string
	rates        []string
	atOnce       int
	calls        int
	progress     bool
	json         bool
	policy       bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "observe --accounts all|ACCOUNT,... --out FILE",
		Short: "Read accounts and their organization into an inventory: everything that decides about access",
		Long: "Read accounts, and the organization they are in, into an inventory: IAM, service and resource control policies,\n" +
			"and Region by Region what carries a policy or lets somebody in. Nothing is changed. The inventory is for who-can,\n" +
			"what-can, paths, diff and lint.\n\n" +
			"Accounts are named by id or name; all are those of the organization that can be entered, or with -f those declared.\n" +
			"They are entered as their declarations say (-f PATH, readWith), or through the role of one name in each (--role),\n" +
			"or not at all: then the default credentials read their own account. An account that cannot be told for certain\n" +
			"is an error before anything is read. stile observe --policy prints what the credentials have to allow.\n\n" +
			"Regions are those of --regions, else those of the declarations, else that of AWS_REGION or the profile. A Region\n" +
			"that is not enabled in an account is no failure. On the local AWS, kinds it does not serve count as not asked for.\n\n" +
			"Calls are limited for each account, Region and service, to half of what AWS allows where it says so (--rate).\n" +
			"What cannot be read is a problem of its account and kind, is told, and never taken for absence.\n" +
			"Exit status: 0 everything was read, 3 something could not be, 1 nothing was.",
		Example: "  stile observe --accounts all --role StileReader --regions us-east-1,eu-west-1 --out acme.json.gz\n" +
			"  stile observe --accounts orders-prod,tooling -f access/ --out - | jq .accounts",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.accounts, "accounts", nil, "the `ACCOUNTS` to read, ids or names, or all")
	f.StringSliceVar(&o.regions, "regions", nil, "the `REGIONS` to read")
	f.StringVarP(&o.declarations, "declarations", "f", "", "enter the accounts as the declarations at `PATH` say")
	f.StringVar(&o.role, "role", "", "enter the accounts through the role `NAME` in each, with its path if it has one")
	f.StringVar(&o.externalID, "external-id", "", "the external `ID` that the role asks for")
	f.StringVar(&o.out, "out", "", "write the inventory to `FILE` (mode 0600; compressed when it ends in .gz), - for standard output")
	f.StringArrayVar(&o.rates, "rate", nil, "at most N calls a second to a service in an account and Region, `SERVICE=N` or SERVICE:OPERATION=N; * is any other service, 0 no limit")
	f.IntVar(&o.atOnce, "at-once", 16, "how many accounts are read at once")
	f.IntVar(&o.calls, "calls", 8, "how many calls are under way at once in an account")
	f.BoolVar(&o.progress, "progress", false, "tell of the progress where standard error is no terminal, too")
	f.BoolVar(&o.json, "json", false, "print the summary as JSON")
	f.BoolVar(&o.policy, "policy", false, "print a managed policy of what the credentials have to allow, and end")
	return cmd
}

func (o *options) run(ctx context.Context) error {
	if o.policy {
		o.streams.Printf("%s", observe.Policy())
		return nil
	}
	if err := o.check(); err != nil {
		return err
	}
	opt, err := o.limits()
	if err != nil {
		return err
	}
	t, err := o.target(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	inv := &inventory.Inventory{}
	began := time.Now()
	ended := o.follow(opt.Meter)
	err = observe.Fill(ctx, t.source, t.request, inv, opt)
	ended()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return errors.New("reading the accounts: interrupted, nothing was written")
		}
		return err
	}
	sum := summarize(inv, t)
	sum.Calls, sum.Seconds = opt.Meter.Progress().Calls, time.Since(began).Round(time.Millisecond).Seconds()
	if why := nothingRead(inv); why != "" {
		return fmt.Errorf("reading the accounts: nothing could be read of any, and nothing was written: %s", why)
	}
	if err := o.save(inv); err != nil {
		return err
	}
	if err := o.tell(sum); err != nil {
		return err
	}
	if !sum.Complete {
		return &term.Exit{Code: Partial}
	}
	return nil
}

// nothingRead gives the reason when not one account could be entered.
func nothingRead(inv *inventory.Inventory) string {
	why := ""
	for _, id := range slices.Sorted(maps.Keys(inv.Accounts)) {
		problems := inv.Accounts[id].Problems
		i := slices.IndexFunc(problems, func(p inventory.Problem) bool { return p.What == inventory.AllOfIt })
		if i < 0 {
			return ""
		}
		why = cmp.Or(why, "account "+string(id)+": "+problems[i].Why)
	}
	return why
}

// check refuses what cannot be meant, before anything is read.
func (o *options) check() error {
	switch {
	case len(o.accounts) == 0:
		return errors.New("choosing accounts: name them by --accounts, by id or name, or say --accounts all")
	case o.out == "":
		return errors.New("saving the inventory: name a file by --out, or - for standard output")
	case o.out == "-" && o.json:
		return errors.New("printing the summary: --json and --out - would both write to standard output; give --out a file")
	case o.declarations != "" && o.role != "":
		return errors.New("entering accounts: -f and --role are two ways; give one of them")
	case o.externalID != "" && o.role == "":
		return errors.New("entering accounts: --external-id goes with --role")
	case o.atOnce < 1 || o.calls < 1:
		return errors.New("reading --at-once and --calls: want at least 1")
	}
	if o.out == "-" {
		return nil
	}
	if err := atomicfile.Place(o.out); err != nil {
		return fmt.Errorf("saving the inventory: %w", err)
	}
	if o.declarations == "" {
		return nil
	}
	among, err := access.Reads(o.declarations, o.out)
	if err != nil {
		return err
	}
	if among {
		return fmt.Errorf("saving the inventory to %s: the file would lie among the declarations of %s and be read as one; name a file outside", o.out, o.declarations)
	}
	return nil
}

// limits are the bounds of the flags.
func (o *options) limits() (observe.Options, error) {
	opt := observe.Options{Accounts: o.atOnce, Calls: o.calls, Rates: observe.DefaultRates(), Meter: &observe.Meter{}}
	for _, text := range o.rates {
		name, number, ok := strings.Cut(text, "=")
		n, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil || n < 0 || name == "" {
			return opt, fmt.Errorf("reading --rate %q: want SERVICE=N or SERVICE:OPERATION=N, as iam=5", text)
		}
		service, operation, one := strings.Cut(name, ":")
		service = strings.ToLower(service)
		if one {
			service += ":" + operation
		} else { // the whole service, with the operations that have rates of their own
			maps.DeleteFunc(opt.Rates, func(known string, _ observe.Rate) bool { return strings.HasPrefix(known, service+":") })
		}
		opt.Rates[service] = observe.Rate{PerSecond: n, Burst: int(n)}
	}
	return opt, nil
}

// save writes the inventory, whole or not at all.
func (o *options) save(inv *inventory.Inventory) error {
	if o.out == "-" {
		return inventory.Save(o.streams.Out, inv)
	}
	write := inventory.Save
	if strings.HasSuffix(o.out, ".gz") {
		write = inventory.SaveGzip
	}
	var text bytes.Buffer
	if err := write(&text, inv); err != nil {
		return err
	}
	if err := atomicfile.Write(o.out, text.Bytes()); err != nil {
		return fmt.Errorf("saving the inventory: %w", err)
	}
	return nil
}
