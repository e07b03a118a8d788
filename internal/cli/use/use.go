// Package use is `stile use`, which sets the current shell to a session, and
// `stile shell-init`, which prints the shell function that this takes.
//
// The shell gets no credentials. It gets the name of a profile (AWS_PROFILE) that
// stands in a marked block of the AWS config file, whose credential_process is
// stile credential-process: the one way that every AWS client knows, that
// refreshes by itself, and that leaves the user's own profiles where they are. What
// would win over it is taken out, and is put back by --off.
//
// Start with [New] and options.run. What is left in the shell is package
// internal/used's business, what is chosen from package known's.
package use

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/used"
)

type options struct {
	streams *term.Streams
	route   route.Options
	off     bool
	env     bool
	shell   string // whose function has called, "" for nobody's
	process int    // that shell's, 0 where its function does not say it
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "use [ADDRESS | -]",
		Short: "Set the current shell to a session, chosen from all there are or named",
		Long: "Set the current shell to a session: ACCOUNT/ROLE, a role's ARN, a session's name or an AWS profile; - is the one before.\n" +
			"Without an address, in a terminal, everything you can be is offered: type a few letters of an account's name or id, a\n" +
			"role or a label; what you use often and of late comes first.\n\n" +
			"It takes a shell function, from a line in the shell's own startup file:\n\n" +
			"  eval \"$(stile shell-init bash)\"          # ~/.bashrc\n" +
			"  eval \"$(stile shell-init zsh)\"           # ~/.zshrc\n" +
			"  stile shell-init fish | source           # ~/.config/fish/config.fish\n\n" +
			"The shell gets no credentials: AWS_PROFILE names a profile that is written into the block stile-use of the AWS config\n" +
			"file, and gets them by stile credential-process, fresh as long as there are some to be had. Credentials in the\n" +
			"environment, which would win, are taken out. --off puts back what was there before.\n\n" +
			"The block keeps the profiles of shells that run and the 20 others that were used last; older ones are taken out when\n" +
			"one is added, and come back when they are used.\n\n" +
			"The Region is as for stile exec: --region's, the session's or profile's own, the environment's, the account's.\n\n" +
			"STILE_ADDRESS says where the shell is, for the prompt (STILE_ACCOUNT_ID and STILE_ACCOUNT_NAME, too); STILE_EXPIRES until when the credentials fetched now are good\n" +
			"(RFC 3339), after which, but for --env, others are fetched. A confirmation that a guard wants is given once for the\n" +
			"shell; programs of a shell under a guard with \"as: readonly\" only read.\n\n" +
			"Exit status: 0 when the shell is set; 1 when it is not, and 130 when nothing was chosen: then the shell is as it was.",
		Example: "  stile use orders-prod/ReadOnly\n  stile use\n  stile use -\n  stile use --off\n" +
			"  PS1='${STILE_ADDRESS:+[$STILE_ADDRESS] }'$PS1",
		Args: term.ArgsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "")[0]) },
	}
	o.route.Flags(cmd)
	o.route.RegionFlag(cmd, "the `REGION` to set")
	f := cmd.Flags()
	f.BoolVar(&o.off, "off", false, "use nothing, and put back what was there before")
	f.BoolVar(&o.env, "env", false, "put the credentials themselves into the environment, for programs that know nothing else; they end when they expire")
	f.StringVar(&o.shell, "shell", "", "")
	_ = f.MarkHidden("shell") // for the function
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if o.shell != "" {
			cmd.SetOut(s.Err) // standard output is for the shell to evaluate
		}
		help(cmd, args)
	})
	return cmd
}

// choice is what was asked for, so that it can be asked for again.
type choice struct {
	Address                     string
	Env                         bool     `json:",omitempty"`
	Region                      string   `json:",omitempty"`
	Declarations, As, TokenFile string   `json:",omitempty"`
	ReadOnly                    bool     `json:",omitempty"`
	Policy                      string   `json:",omitempty"`
	PolicyARNs                  []string `json:",omitempty"`
}

func (o *options) choice(address string) string {
	text, _ := json.Marshal(choice{
		Address: address, Env: o.env, Region: o.route.Region, Declarations: o.route.Declarations, As: o.route.As, TokenFile: o.route.TokenFile,
		ReadOnly: o.route.ReadOnly, Policy: o.route.PolicyFile, PolicyARNs: o.route.PolicyARNs,
	}) // strings are always written
	return string(text)
}

// again asks for what was asked for before.
func (o *options) again(text string) (address string, err error) {
	var c choice
	if text == "" {
		return "", errors.New("stile use -: nothing was used before in this shell")
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.Address == "" {
		return "", fmt.Errorf("stile use -: what this shell used before cannot be read; say the address")
	}
	o.env, o.route.Region = c.Env, c.Region
	o.route.Declarations, o.route.As, o.route.TokenFile = c.Declarations, c.As, c.TokenFile
	o.route.ReadOnly, o.route.PolicyFile, o.route.PolicyARNs = c.ReadOnly, c.Policy, c.PolicyARNs
	return c.Address, nil
}

func (o *options) run(ctx context.Context, address string) error {
	if o.shell == "" {
		return errors.New("setting the current shell takes a shell function: eval \"$(stile shell-init bash)\", the same with zsh, or\n" +
			"stile shell-init fish | source; then stile use works. stile exec ADDRESS -- COMMAND needs none")
	}
	if !supported(o.shell) {
		return unknownShell(o.shell)
	}
	script := script{shell: o.shell, from: o.environ()}
	before, state := used.Outside(script.from)
	script.used = state
	if o.off {
		if address != "" {
			return errors.New("stile use --off uses nothing: leave the address out")
		}
		if state == nil {
			o.streams.Note("stile: this shell uses nothing")
			return nil
		}
		return script.off(o.streams.Out, before)
	}
	last := o.streams.Getenv(lastEnv)
	o.process, _ = strconv.Atoi(o.streams.Getenv(processEnv)) // 0 for what is none
	if err := errors.Join(used.Leave(), os.Unsetenv(lastEnv), os.Unsetenv(processEnv)); err != nil {
		return err
	}
	address, err := o.address(ctx, address, last)
	if err != nil {
		return err
	}
	to, err := o.environment(ctx, address, before)
	if err != nil {
		return err
	}
	o.remember(ctx, address)
	return script.on(o.streams.Out, to)
}

// environ is the shell's environment.
func (o *options) environ() []string {
	var out []string
	for _, v := range o.streams.Environ() {
		if !strings.HasPrefix(v, lastEnv+"=") && !strings.HasPrefix(v, processEnv+"=") { // of this process alone
			out = append(out, v)
		}
	}
	return out
}

// address is what to use: what was said, the one before, or what is picked.
func (o *options) address(ctx context.Context, address, last string) (string, error) {
	switch address {
	case "-":
		return o.again(last)
	case "":
		return o.pick(ctx)
	}
	return address, nil
}

// environment is what the shell gets instead of before.
func (o *options) environment(ctx context.Context, address string, before []string) ([]string, error) {
	way, err := o.route.Open(ctx, o.streams, address)
	if err != nil {
		return nil, err
	}
	defer way.Close()
	child := way.Child(before)
	if o.env {
		c, err := way.Retrieve(ctx)
		if err != nil {
			return nil, err
		}
		return o.tell(child.WithCredentials(c), address, before, c.Expires), nil
	}
	p := profile{streams: o.streams, route: &o.route, address: address, shell: o.process}
	if way.Region.Own {
		p.region = way.Region.Name
	}
	if confirmed(way) {
		o.route.Confirm = []string{string(way.Account)}
	}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	to := child.WithProfile(p.name)
	expires, err := p.try(ctx, o.tell(to, address, before, time.Time{}))
	switch {
	case err != nil && slices.ContainsFunc(before, secret):
		return nil, fmt.Errorf("%w\nThe keys in the environment are not handed on to the shell's programs, which would need them here: put them into a\nprofile, or give --env", err)
	case err != nil:
		return nil, err
	}
	if err := p.write(ctx); err != nil {
		return nil, err
	}
	return o.tell(to, address, before, expires), nil
}

// confirmed reports that a guard here has asked about the account; Open would
// have failed without a yes.
func confirmed(way *route.Way) bool {
	dir, err := os.Getwd()
	if err != nil {
		return false
	}
	g, err := guard.Find(dir)
	if err != nil {
		return false
	}
	question, err := g.Check(guard.Account{ID: way.Account, Name: way.AccountName, Labels: way.Labels})
	return err == nil && question != ""
}

// tell adds to an environment what says where it is, and how to come back to
// before.
func (o *options) tell(to []string, address string, before []string, expires time.Time) []string {
	to = to[:len(to):len(to)]
	if !expires.IsZero() {
		to = append(to, used.ExpiresEnv+"="+expires.UTC().Format(time.RFC3339))
	}
	state := used.State{Choice: o.choice(address)}
	after := map[string]bool{}
	for _, v := range to {
		after[v] = true
	}
	for _, v := range before {
		if (!after[v] || used.Sets(v)) && !secret(v) {
			state.Before = append(state.Before, v)
		}
	}
	return append(to, used.StateEnv+"="+state.String())
}

// secret reports a variable that must not be handed on to programs.
func secret(v string) bool {
	name, _, _ := strings.Cut(v, "=")
	switch name {
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCESS_KEY", "AWS_SECRET_KEY",
		"AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID", "AWS_CONTAINER_AUTHORIZATION_TOKEN":
		return true
	}
	return false
}

// above is where the working directory's declarations are, if the options do not
// say which.
func (p *profile) above() string {
	if cmp.Or(p.route.Declarations, p.streams.Getenv(state.DeclarationsEnv)) != "" {
		return ""
	}
	return state.Above()
}
