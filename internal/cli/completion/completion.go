// Package completion gives shell completion its names: addresses, sources,
// accounts and what else flags take.
//
// [Add] puts them onto the whole tree of commands, and is called only when a shell
// asks, so that no other command pays for it. Nothing here logs in, asks or calls
// the network (see package known), and what cannot be read completes to nothing.
// The scripts themselves are cobra's: stile completion bash, zsh or fish.
package completion

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
)

// Asked reports that the arguments are a shell's question.
func Asked(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// A source gives the names that begin with a text.
type source func(b *known.Book, text string) []string

// arguments is what a command takes: no more names than most, 0 for any number.
type arguments struct {
	names source
	most  int
}

// commands are the commands that take names, by their path.
func commands() map[string]arguments {
	one, any := arguments{addresses, 1}, arguments{several, 0}
	return map[string]arguments{
		"exec": one, "env": one, "credential-process": one, "console": one, "use": one, "whoami": one, "ls": one, "explain-credential": one,
		"each": any, "serve": any, "config write": any,
		"login": {signIns, 1}, "logout": {signIns, 1}, "rotate": {users, 1},
		"sessions rm": {entries, 0}, "sessions export": {entries, 0}, "sessions edit": {entries, 1},
	}
}

// flags are the flags that take names, by their own.
func flags() map[string]source {
	severities := fixed("info", "low", "medium", "high", "critical")
	return map[string]source{
		"confirm": accounts, "account": accounts, "own-accounts": accounts, "accounts": accounts, "via": addresses, "as": callers,
		"group": groups, "member": addresses, "add-member": addresses, "remove-member": addresses, "except": several,
		"source": sources, "profile": profiles, "label": labels, "region": regions, "regions": regions,
		"severity": severities, "fail-on": severities, "kind": fixed("identity", "trust", "resource", "key", "endpoint", "scp", "rcp"),
		"delivery": fixed("exec", "env", "credential-process", "serve", "each", "console"),
		"flow":     fixed("pkce", "device"), "mfa": fixed("prompt", "program", "totp"), "probe": fixed("none", "assume", "read"),
	}
}

// Add sets the completion of all commands below root, for what a shell asks by
// args.
func Add(root *cobra.Command, s *term.Streams, args []string) {
	a := &adder{streams: s, commands: commands(), flags: flags(), dashed: slices.Contains(args[:max(0, len(args)-1)], "--")}
	a.add(root, "")
}

type adder struct {
	streams  *term.Streams
	commands map[string]arguments
	flags    map[string]source
	dashed   bool // -- was typed: what follows is a command of somebody else's
}

func (a *adder) add(cmd *cobra.Command, path string) {
	if takes, ok := a.commands[path]; ok {
		cmd.ValidArgsFunction = a.arguments(takes)
	}
	for name, names := range a.flags {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
				return a.list(names, text, nil)
			}) // the command's own goes before
		}
	}
	for _, sub := range cmd.Commands() {
		a.add(sub, strings.TrimSpace(path+" "+sub.Name()))
	}
}

func (a *adder) arguments(takes arguments) cobra.CompletionFunc {
	return func(_ *cobra.Command, given []string, text string) ([]string, cobra.ShellCompDirective) {
		if a.dashed {
			return nil, cobra.ShellCompDirectiveDefault
		}
		if takes.most > 0 && len(given) >= takes.most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.list(takes.names, text, given)
	}
}

// list lists names, after a comma those of a list's next.
func (a *adder) list(names source, text string, given []string) ([]string, cobra.ShellCompDirective) {
	before := ""
	if i := strings.LastIndexByte(text, ','); i >= 0 {
		before, text = text[:i+1], text[i+1:]
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	var out []string
	for _, name := range names(known.Read(a.streams), text) {
		if !strings.HasPrefix(name, text) || slices.Contains(given, name) || !known.Typeable(name) {
			continue
		}
		if strings.HasSuffix(name, "/") || strings.HasSuffix(name, "=") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		out = append(out, before+name)
	}
	return out, directive
}

func fixed(words ...string) source {
	return func(*known.Book, string) []string { return words }
}

func addresses(b *known.Book, text string) []string { return b.Begins(text) }

// several are for commands that take many addresses.
func several(b *known.Book, text string) []string { return append(b.Begins(text), b.Groups()...) }

func groups(b *known.Book, _ string) []string { return b.Groups() }

func accounts(b *known.Book, text string) []string { return b.Accounts(text) }

func callers(b *known.Book, _ string) []string { return b.Callers() }

func profiles(b *known.Book, _ string) []string { return b.Profiles() }

func labels(b *known.Book, text string) []string { return b.LabelWords(text) }

func regions(*known.Book, string) []string { return catalog.Regions() }

func sources(b *known.Book, _ string) []string {
	return b.Sources(func(*session.Source) bool { return true })
}

func signIns(b *known.Book, _ string) []string {
	return b.Sources(func(s *session.Source) bool { return s.IdentityCenter != nil || s.ConsoleLogin != nil || s.User != nil })
}

func users(b *known.Book, _ string) []string {
	return append(b.Sources(func(s *session.Source) bool { return s.User != nil }), b.Profiles()...)
}

func entries(b *known.Book, _ string) []string {
	return slices.Concat(sources(b, ""), b.Sessions(), b.Groups())
}
