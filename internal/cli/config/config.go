// Package config is `stile config`: AWS profiles for chosen addresses in the AWS
// config file, for programs that know nothing else.
//
// How the text is edited is internal/render/awsconfig's business, how the file is
// replaced internal/cli/replace's.
package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/replace"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/render/awsconfig"
	"github.com/stile-aws/stile/internal/session"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write AWS profiles for addresses into the AWS config file",
		Long: "Write AWS profiles for addresses into the AWS config file, in a marked block: what is outside it stays as it is,\n" +
			"byte for byte.",
	}
	cmd.AddCommand(newWrite(s), newRemove(s))
	return cmd
}

// file is the flags for the file, and how it is changed.
type file struct {
	streams *term.Streams
	path    string
	block   string
	diff    bool
	yes     bool
	step    func(string) error
}

func (f *file) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.path, "file", "", "the config `FILE`; default: $AWS_CONFIG_FILE, or ~/.aws/config")
	flags.StringVar(&f.block, "block", "stile", "the `NAME` of the block; several blocks do not touch each other")
	flags.BoolVar(&f.diff, "diff", false, "show what would change and change nothing; exit status 2 when there is something")
	flags.BoolVarP(&f.yes, "yes", "y", false, "change the file without asking")
	cmd.MarkFlagsMutuallyExclusive("diff", "yes")
}

// Path is where the AWS config file is; given is what a flag says, "" for nothing.
func Path(s *term.Streams, given string) (string, error) {
	if path := cmp.Or(given, s.Getenv("AWS_CONFIG_FILE")); path != "" {
		return path, nil
	}
	home := s.Getenv("HOME")
	if home == "" {
		return "", errors.New("finding the AWS config file: HOME is not set; set AWS_CONFIG_FILE")
	}
	return filepath.Join(home, ".aws", "config"), nil
}

// among names the blocks there are instead.
func among(owners []string) string {
	if len(owners) == 0 {
		return ", nor another"
	}
	return ", but " + strings.Join(owners, ", ")
}

// change puts sections into the block, after showing what changes.
func (f *file) change(ctx context.Context, sections []awsconfig.Section) error {
	s := f.streams
	path, err := Path(s, f.path)
	if err != nil {
		return err
	}
	paths, err := session.FindPaths(s.Getenv)
	if err != nil {
		return err
	}
	old, err := replace.Read(replace.Config{Locks: paths.Locks, Step: f.step}, path)
	if err != nil {
		return err
	}
	text, err := awsconfig.Edit(old.Text, f.block, sections)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	change := diff.Diff(path, old.Text, path, text)
	if len(change) == 0 {
		if owners := awsconfig.Owners(old.Text); len(sections) == 0 && !slices.Contains(owners, f.block) {
			s.Note("stile: %s has no block %s%s", path, f.block, among(owners))
			return nil
		}
		s.Note("stile: %s has that already", path)
		return nil
	}
	if _, err := s.Out.Write(change); err != nil {
		return err
	}
	if f.diff {
		return &term.Exit{Code: term.Changes}
	}
	if err := f.confirm(ctx, path); err != nil {
		return err
	}
	return old.Write(ctx, text)
}

func (f *file) confirm(ctx context.Context, path string) error {
	if f.yes {
		return nil
	}
	if !f.streams.Ask {
		return fmt.Errorf("changing %s: nobody can be asked here; look at the difference above and run the command again with --yes", path)
	}
	f.streams.Note("\nChange %s? Only \"yes\" is taken.", path)
	if !f.streams.Yes(ctx) {
		return fmt.Errorf("%s was not changed", path)
	}
	return nil
}

func newRemove(s *term.Streams) *cobra.Command {
	f := &file{streams: s}
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove a block of profiles from the AWS config file",
		Long: "Remove a block of profiles from the AWS config file. The rest stays as it is.\n\n" +
			"Exit status: 0 when it is gone, 1 when it is not, 2 with --diff when it would be removed.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.change(cmd.Context(), nil) },
	}
	f.flags(cmd)
	return cmd
}

// options are of write.
type options struct {
	file
	route    route.Options
	template string
	program  string

	unchecked bool
}

func newWrite(s *term.Streams) *cobra.Command { return newStepping(s, nil) }

// newStepping is write with a function that is told of every step.
func newStepping(s *term.Streams, step func(string) error) *cobra.Command {
	o := &options{file: file{streams: s, step: step}}
	cmd := &cobra.Command{
		Use:   "write ADDRESS|PATTERN...",
		Short: "Write profiles for addresses into the AWS config file",
		Long: "Write a profile for each address into the AWS config file. A profile gets its credentials from\n" +
			"stile credential-process; no credential is written. * in an address stands for anything, and a group's name for\n" +
			"its members, as for stile each.\n\n" +
			"A profile has the Region that --region says, or the session, the AWS profile or the account's declaration; else none.\n\n" +
			"An address that leads nowhere is an error; what Identity Center listed before counts as known.\n\n" +
			"The profiles stand in one marked block, in place of those that were in it. The difference is shown and has to be\n" +
			"confirmed. The file is replaced as a whole or not at all, and not when somebody else changed it meanwhile.\n\n" +
			"AWS clients read all profiles each time they start: write those that are needed, and use stile exec for the rest.\n\n" +
			"Exit status: 0 when the profiles are there, 1 when they are not, 2 with --diff when something would change.",
		Example: "  stile config write orders-prod/reader billing/reader\n" +
			"  stile config write --block readers --profile-template '{account}' '*/reader'",
		Args: term.ArgsBetween(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.route.Flags(cmd)
	o.route.SweepFlags(cmd)
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.template, "profile-template", "{account}-{role}", "the profiles' names; {account} is the account as in the address, {role} the role's name")
	f.StringVar(&o.route.Region, "region", "", "the profiles' `REGION`; default: the session's or AWS profile's own, or the account's by declarations, where there is one")
	f.BoolVar(&o.unchecked, "unchecked", false, "write profiles for addresses of which nobody can tell whether they lead anywhere")
	f.StringVar(&o.program, "program", "", "the `PATH` of stile to write; default: stile if that is this program by $PATH, else where this program is")
	return cmd
}

func (o *options) run(ctx context.Context, patterns []string) error {
	places, err := o.route.Places(ctx, o.streams, patterns)
	if err != nil {
		return err
	}
	if err := o.check(ctx, places); err != nil {
		return err
	}
	program, err := Program(o.streams, o.program)
	if err != nil {
		return err
	}
	command, err := Command(&o.route, cmp.Or(o.route.Declarations, o.streams.Getenv(state.DeclarationsEnv)))
	if err != nil {
		return err
	}
	command = append([]string{program}, command...)
	var sections []awsconfig.Section
	named := map[string]string{}
	for _, p := range places {
		name, err := o.name(p.Address)
		if err != nil {
			return err
		}
		if other, ok := named[name]; ok {
			return fmt.Errorf("%s and %s would both be profile %s; say --profile-template with {account} and {role}", other, p.Address, name)
		}
		named[name] = p.Address
		line, err := Line(append(slices.Clone(command), p.Address))
		if err != nil {
			return err
		}
		heading := "profile " + name
		if name == "default" {
			heading = name
		}
		section := awsconfig.Section{Heading: heading, Settings: []awsconfig.Setting{{Name: "credential_process", Value: line}}}
		if region := cmp.Or(o.route.Region, p.Region); region != "" {
			section.Settings = append(section.Settings, awsconfig.Setting{Name: "region", Value: region})
		}
		sections = append(sections, section)
	}
	return o.change(ctx, sections)
}

// Command is the arguments of stile that get credentials by the options of o, to
// be followed by an address. declarations stand in for those of o, "" for none.
func Command(o *route.Options, declarations string) ([]string, error) {
	words := []string{"credential-process"}
	for _, flag := range []struct {
		name, value string
		path        bool
	}{
		{"--declarations", declarations, true},
		{"--token-file", o.TokenFile, true}, {"--as", o.As, false}, {"--policy", o.PolicyFile, true},
	} {
		if flag.value == "" {
			continue
		}
		if flag.path { // it will be run from anywhere
			full, err := filepath.Abs(flag.value)
			if err != nil {
				return nil, err
			}
			flag.value = full
		}
		words = append(words, flag.name, flag.value)
	}
	if o.ReadOnly {
		words = append(words, "--read-only")
	}
	for _, a := range o.PolicyARNs {
		words = append(words, "--policy-arn", a)
	}
	for _, a := range o.Confirm {
		words = append(words, "--confirm", a)
	}
	return words, nil
}

// Line is a command as a credential_process has it.
func Line(words []string) (string, error) {
	out := make([]string, len(words))
	for i, w := range words {
		quoted, err := quote(w)
		if err != nil {
			return "", err
		}
		out[i] = quoted
	}
	return strings.Join(out, " "), nil
}

// Program is how this program is started from elsewhere; given is what a flag
// says, "" for nothing.
func Program(s *term.Streams, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w; give --program", err)
	}
	if sameFile(own, onPath(s.Getenv("PATH"), "stile")) {
		return "stile", nil
	}
	return own, nil
}

// onPath finds a program as shells do.
func onPath(path, name string) string {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); filepath.IsAbs(dir) && err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

func sameFile(a, b string) bool {
	one, errOne := os.Stat(a)
	two, errTwo := os.Stat(b)
	return errOne == nil && errTwo == nil && os.SameFile(one, two)
}

// plain is what neither a shell nor a program that splits words changes.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+=,"

// quote writes a word so that a shell (Go's SDK), Python's shlex (botocore) and a
// config file read it alike. What they would read differently is refused.
func quote(word string) (string, error) {
	if word != "" && strings.Trim(word, plain) == "" {
		return word, nil
	}
	if strings.ContainsAny(word, "\"$`\\!%\r\n") || strings.Contains(word, " #") || strings.Contains(word, " ;") {
		return "", fmt.Errorf("%q cannot be written into an AWS config file", word)
	}
	return `"` + word + `"`, nil
}

// name makes a profile's name of an address.
func (o *options) name(address string) (string, error) {
	account, role := address, ""
	if i := strings.LastIndexByte(address, '/'); i >= 0 {
		account, role = address[:i], address[i+1:]
	}
	if strings.HasPrefix(address, "arn:") { // arn:aws:iam::ACCOUNT:role/path/NAME
		if parts := strings.SplitN(address, ":", 6); len(parts) == 6 {
			account = parts[4]
		}
	}
	name := o.template
	if role == "" { // a session
		name = "{account}"
	}
	name = strings.NewReplacer("{account}", account, "{role}", role).Replace(name)
	if name == "" || strings.ContainsAny(name, "{}") {
		return "", fmt.Errorf("--profile-template %q makes no profile's name of %s; it knows {account} and {role}", o.template, address)
	}
	out := []byte(name)
	for i, c := range out {
		if !strings.ContainsRune(plain, rune(c)) {
			out[i] = '-'
		}
	}
	return string(out), nil
}
