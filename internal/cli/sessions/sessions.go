// Package sessions is `stile sessions`: the sources of a person's credentials and
// the sessions that have names.
package sessions

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// New returns the command with its sub-commands.
func New(s *term.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Keep the sources of your credentials, and names for sessions and groups of them",
		Long: "Keep the sources of your credentials (Identity Center, IAM users, profiles, programs, tokens, certificates, SAML)\n" +
			"and names for sessions, and for groups of them, in $XDG_CONFIG_HOME/stile/sessions.yaml. The file is yours: edit it as you like, comments survive these commands.\n" +
			"Secrets are not in it, but in the secret store (stile secrets). docs/sessions.md has every field, with examples.\n\n" +
			"What Identity Center lists needs no name: stile exec ACCOUNT/ROLE finds it.",
	}
	cmd.AddCommand(newAdd(s, false), newAdd(s, true), newRemove(s), newList(s), newImport(s), newExport(s))
	return cmd
}

func newList(s *term.Streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List sources, named sessions and groups",
		Long: "List sources, named sessions and groups. STATE is ready, the command that makes it so, or what this computer does not have;\n" +
			"whether AWS takes the credentials is found out by stile whoami NAME.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, paths, err := route.OpenDesk(s)
			if err != nil {
				return err
			}
			defer d.Close()
			if asJSON {
				b := d.Book() // with lists that are empty, not null
				return s.JSON(session.Book{
					Sources: append([]session.Source{}, b.Sources...), Sessions: append([]session.Session{}, b.Sessions...),
					Groups: append([]session.Group{}, b.Groups...),
				})
			}
			if len(d.Book().Sources)+len(d.Book().Groups) == 0 {
				s.Note("stile: %s has none yet; stile sessions add --help says how to add one", paths.Book)
				return nil
			}
			return list(cmd.Context(), s, d)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON value")
	return cmd
}

func list(ctx context.Context, s *term.Streams, d *desk.Desk) error {
	shared, err := session.ReadShared(desk.ProfileFiles(s.Getenv))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tSTATE\tWHAT")
	for i := range d.Book().Sources {
		src := &d.Book().Sources[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", src.Name, src.Kind(), state(ctx, d, src, shared), what(src))
	}
	for _, x := range d.Book().Sessions {
		way := append(slices.Clone(x.Via), strings.TrimPrefix(x.Account+"/"+x.Role, "/"))
		fmt.Fprintf(w, "%s\tsession\t\t%s: %s\n", x.Name, x.Source, strings.TrimSuffix(strings.Join(way, " > "), "/"))
	}
	for _, g := range d.Book().Groups {
		fmt.Fprintf(w, "%s\tgroup\t\t%s\n", g.Name, strings.Join(g.Members, ", "))
	}
	return w.Flush()
}

// what tells a source in a line.
func what(s *session.Source) string {
	switch {
	case s.IdentityCenter != nil:
		text := s.IdentityCenter.StartURL + " in " + s.IdentityCenter.Region
		if s.IdentityCenter.ReadOnly != "" {
			text += ", to read only as " + s.IdentityCenter.ReadOnly
		}
		return text
	case s.ConsoleLogin != nil:
		return strings.TrimSpace(s.ConsoleLogin.Identity + " in the console at " + s.ConsoleLogin.Region)
	case s.User != nil && s.User.MFA != nil:
		return "IAM user with MFA device " + s.User.MFA.Serial
	case s.User != nil:
		return "IAM user"
	case s.Profile != nil:
		return "AWS profile " + s.Profile.Name
	case s.Process != nil:
		return s.Process.Command
	case s.WebIdentity != nil:
		return strings.TrimPrefix(s.WebIdentity.Role+" by "+tokenOf(s.WebIdentity), " by ")
	case s.RolesAnywhere != nil:
		return s.RolesAnywhere.Role + " by certificate " + cmp.Or(s.RolesAnywhere.Certificate, s.RolesAnywhere.Selector)
	case s.SAML != nil:
		return cmp.Or(s.SAML.Program, s.SAML.StartURL, s.SAML.File)
	}
	return ""
}

// tokenOf tells where a token comes from.
func tokenOf(w *session.WebIdentity) string {
	switch {
	case w.GitHub:
		return "the token of the GitHub Actions job"
	case w.Variable != "":
		return "the token in $" + w.Variable
	}
	return cmp.Or(w.Program, w.TokenFile)
}

func newRemove(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove sources, sessions and groups, with their secrets",
		Long: "Remove sources, sessions and groups, and what the secret store has of them. A source that sessions use stays, and so does\n" +
			"what is a group's member. An access key that is removed is lost if it is nowhere else; AWS is not told.\n\n" +
			"Exit status: 0, or 1 when nothing was removed.",
		Args: term.ArgsBetween(1, -1),
		RunE: func(cmd *cobra.Command, names []string) error {
			d, paths, err := route.OpenDesk(s)
			if err != nil {
				return err
			}
			defer d.Close()
			if err := session.Edit(cmd.Context(), paths.Book, session.Change{Remove: names}); err != nil {
				return err
			}
			return forget(cmd.Context(), s, d, names)
		},
	}
}

// forget removes what the secret store has of sources that are gone.
func forget(ctx context.Context, s *term.Streams, d *desk.Desk, names []string) error {
	var errs []error
	for _, name := range names {
		if src := d.Book().Source(name); src == nil || src.User == nil {
			continue
		}
		store, err := d.Secrets()
		if err != nil {
			return err
		}
		names, err := store.Names()
		if err != nil {
			return err
		}
		err = errors.Join(store.Delete(ctx, desk.KeySecret(name)), store.Delete(ctx, desk.SeedSecret(name)))
		if err == nil && slices.Contains(names, desk.KeySecret(name)) {
			s.Note("stile: the access key of %s is gone from the secret store; AWS has it still", name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func newExport(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "export [NAME]...",
		Short: "Write sources, sessions and groups for others to import, without secrets",
		Long: "Write sources, sessions and groups as YAML, for a colleague's stile sessions import FILE; those of the names, with the\n" +
			"sources they use and the members they have, or all. There is no secret in it.",
		Args: term.ArgsBetween(0, -1),
		RunE: func(_ *cobra.Command, names []string) error {
			d, _, err := route.OpenDesk(s)
			if err != nil {
				return err
			}
			defer d.Close()
			book, err := chosen(d.Book(), names)
			if err != nil {
				return err
			}
			var text bytes.Buffer // an encoder's own errors of writing hide what went wrong
			enc := yaml.NewEncoder(&text)
			enc.SetIndent(2)
			if err := errors.Join(enc.Encode(book), enc.Close()); err != nil {
				return err
			}
			_, err = text.WriteTo(s.Out)
			return err
		},
	}
}

// chosen is the part of a book that names ask for.
func chosen(b *session.Book, names []string) (*session.Book, error) {
	if len(names) == 0 {
		return b, nil
	}
	want := map[string]bool{}
	for _, name := range names {
		if b.Session(name) == nil && b.Source(name) == nil && b.Group(name) == nil {
			return nil, session.NoSuch(name)
		}
		want[name] = true
	}
	for _, name := range b.Spread(names) {
		want[name] = true
		if source, _, ok := strings.Cut(name, ":"); ok { // of a member
			want[source] = true
		}
		if x := b.Session(name); x != nil {
			want[x.Source] = true
		}
	}
	return &session.Book{
		Sources:  slices.DeleteFunc(slices.Clone(b.Sources), func(x session.Source) bool { return !want[x.Name] }),
		Sessions: slices.DeleteFunc(slices.Clone(b.Sessions), func(x session.Session) bool { return !want[x.Name] }),
		Groups:   slices.DeleteFunc(slices.Clone(b.Groups), func(x session.Group) bool { return !want[x.Name] }),
	}, nil
}

func newImport(s *term.Streams) *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Take over what ~/.aws/config has, or what a colleague exported",
		Long: "Take over from the AWS config file: each sso-session becomes a source of its name (so that both share one sign-in), each\n" +
			"profile with a role of it a session. A profile with role_arn becomes a session through its source_profile where that is\n" +
			"an Identity Center's role and no MFA is asked for; other profiles with credentials become sources, used as they are. With FILE, take over an export. What has a name that is taken stays as it is.\n\n" +
			"The AWS files are not changed. Exit status: 0, or 1 when nothing could be read.",
		Args: term.ArgsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, paths, err := route.OpenDesk(s)
			if err != nil {
				return err
			}
			defer d.Close()
			var found *session.Book
			if len(args) == 1 {
				if _, err := os.Stat(args[0]); err != nil {
					return fmt.Errorf("reading an export: %w", err)
				}
				found, err = session.Read(args[0])
			} else {
				found, err = session.FromProfiles(desk.ProfileFiles(s.Getenv))
			}
			if err != nil {
				return err
			}
			return take(cmd.Context(), s, d.Book(), found, paths.Book, dry)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only tell what would be taken over")
	return cmd
}

// take adds what is new in found.
func take(ctx context.Context, s *term.Streams, have, found *session.Book, path string, dry bool) error {
	var c session.Change
	taken := func(name string) bool {
		return have.Source(name) != nil || have.Session(name) != nil || have.Group(name) != nil
	}
	for _, x := range found.Sources {
		if taken(x.Name) {
			s.Note("stile: %s is there already", x.Name)
			continue
		}
		c.Sources = append(c.Sources, x)
		s.Printf("source %s: %s\n", x.Name, what(&x))
	}
	for _, x := range found.Sessions {
		if taken(x.Name) {
			s.Note("stile: %s is there already", x.Name)
			continue
		}
		c.Sessions = append(c.Sessions, x)
		s.Printf("session %s: %s %s/%s\n", x.Name, x.Source, x.Account, x.Role)
	}
	for _, x := range found.Groups {
		if taken(x.Name) {
			s.Note("stile: %s is there already", x.Name)
			continue
		}
		c.Groups = append(c.Groups, x)
		s.Printf("group %s: %s\n", x.Name, strings.Join(x.Members, ", "))
	}
	if len(c.Sources)+len(c.Sessions)+len(c.Groups) == 0 {
		s.Note("stile: there is nothing new to take over")
		return nil
	}
	if dry {
		return nil
	}
	return session.Edit(ctx, path, c)
}
