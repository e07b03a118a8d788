// Package secrets is `stile secrets`: where the secret store has its key, and the
// names of what is in it. No secret is ever printed.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/tty"
)

// New returns the command with its sub-commands.
func New(s *term.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "See and move the secret store: access keys and seeds of MFA devices",
		Long: "See and move the secret store, $XDG_DATA_HOME/stile/secrets: access keys of IAM users and seeds of MFA devices, a file\n" +
			"each, encrypted to one key. Where that key is kept is yours to choose, and to change (stile secrets migrate):\n\n" +
			"  keyring     in the macOS keychain, the Windows credential manager, or the Secret Service of a Linux desktop\n" +
			"  passphrase  in a file that a passphrase opens, which is asked for at the terminal, three times at most\n" +
			"  keyfile     in a file that you alone can read, next to the secrets; whoever reads your files reads them too\n\n" +
			"A new store takes the keyring if there is one, else a passphrase. STILE_SECRETS=keyring, passphrase or keyfile chooses\n" +
			"for a new store; one that exists knows its own.\n\n" +
			"A keyring that is locked prompts on its desktop: stile says so and waits for 40 seconds, unless STILE_NO_LOGIN is set.\n" +
			"Over SSH, GNOME's takes its password from standard input; in bash:\n\n" +
			"  read -rsp 'keyring password: ' p\n" +
			"  printf %s \"$p\" | gnome-keyring-daemon --replace --unlock --components=secrets --daemonize\n\n" +
			"While it is open, stile secrets migrate keyfile or passphrase does without it from then on.\n\n" +
			"Without a terminal a passphrase comes from a program: STILE_PASSPHRASE_COMMAND, run by sh, prints it (\"pass show stile\",\n" +
			"\"cat /run/secrets/stile\"); else SSH_ASKPASS is asked, as by OpenSSH. There is no variable and no argument for the\n" +
			"passphrase itself, since other processes could read those.\n\n" +
			"Over SSH and in WSL there is mostly no keyring: take passphrase or keyfile, or forward an askpass program. In CI keep no\n" +
			"secrets if you can: stile sessions add --web-identity uses the job's own token. If you must, STILE_SECRETS=keyfile makes\n" +
			"a store that lasts as long as the job's disk. docs/sessions.md has more on sources.",
	}
	cmd.AddCommand(newStatus(s), newList(s), newMigrate(s), newRemove(s))
	return cmd
}

// store opens the store, and the desk to close.
func store(s *term.Streams) (*secretstore.Store, *desk.Desk, session.Paths, error) {
	d, paths, err := route.OpenDesk(s)
	if err != nil {
		return nil, nil, paths, err
	}
	st, err := d.Secrets()
	if err != nil {
		d.Close()
		return nil, nil, paths, err
	}
	return st, d, paths, nil
}

// status is what there is to say of the store.
type status struct {
	Directory   string   `json:"directory"`
	Keeper      string   `json:"keeper"` // "" for a store that is new
	Secrets     int      `json:"secrets"`
	Interrupted bool     `json:"interrupted"`       // a move of the key
	Damaged     []string `json:"damaged,omitempty"` // with --check
}

func newStatus(s *term.Streams) *cobra.Command {
	var asJSON, check bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell where the store is and who keeps its key",
		Long: "Tell where the store is and who keeps its key. Nobody is asked anything, unless --check opens every secret.\n\n" +
			"Exit status: 0, or 1 when --check could not open all.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return tell(cmd.Context(), s, asJSON, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "open every secret, to see that it can be; a passphrase may be asked for")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON value")
	return cmd
}

func tell(ctx context.Context, s *term.Streams, asJSON, check bool) error {
	st, d, paths, err := store(s)
	if err != nil {
		return err
	}
	defer d.Close()
	keeper, err := st.Keeper()
	if err != nil {
		return err
	}
	names, err := st.Names()
	if err != nil {
		return err
	}
	out := status{Directory: paths.Secrets, Keeper: string(keeper), Secrets: len(names), Interrupted: st.Moving()}
	var problems error
	if check {
		if out.Damaged, problems = open(ctx, st, names); problems != nil && len(out.Damaged) == 0 {
			return problems
		}
	}
	if asJSON {
		err = s.JSON(out)
	} else {
		out.print(s, check && problems == nil)
	}
	return errors.Join(err, problems)
}

func (o *status) print(s *term.Streams, opened bool) {
	if o.Keeper == "" {
		s.Printf("%s: there is no store yet; STILE_SECRETS chooses who keeps its key\n", o.Directory)
		return
	}
	s.Printf("%s: %d secrets, key kept by %s\n", o.Directory, o.Secrets, o.Keeper)
	if opened {
		s.Printf("all can be opened\n")
	}
	if o.Interrupted {
		s.Note("stile: a move of the key was interrupted, and another keeper may have it still: stile secrets migrate %s removes it there", o.Keeper)
	}
}

// open tells which secrets cannot be opened. Without any of them an error is of
// the key.
func open(ctx context.Context, st *secretstore.Store, names []string) (damaged []string, problems error) {
	var errs []error
	for _, name := range names {
		_, err := st.Get(ctx, name)
		switch {
		case errors.Is(err, secretstore.ErrDamaged):
			damaged = append(damaged, name)
			errs = append(errs, err)
		case err != nil && !errors.Is(err, secretstore.ErrNotFound): // it may go meanwhile
			return nil, err
		}
	}
	return damaged, errors.Join(errs...)
}

func newList(s *term.Streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the names of the secrets",
		Long: "List the names of the secrets: user/SOURCE is an IAM user's access key, totp/SOURCE the seed of an MFA device. Names are\n" +
			"not secret, and nobody is asked for anything.\n\nExit status: 0, or 1 when they cannot be read.",
		Args: term.Args(0),
		RunE: func(*cobra.Command, []string) error {
			st, d, _, err := store(s)
			if err != nil {
				return err
			}
			defer d.Close()
			names, err := st.Names()
			if err != nil {
				return err
			}
			if asJSON {
				return s.JSON(append([]string{}, names...))
			}
			for _, name := range names {
				s.Printf("%s\n", name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON value")
	return cmd
}

func newMigrate(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate keyring|passphrase|keyfile",
		Short: "Have another keeper keep the store's key",
		Long: "Have another keeper keep the store's key; see stile secrets --help for what they are. Secrets are not rewritten. Interrupted,\n" +
			"the store opens by the old keeper or by the new one, and the next migrate removes what was left. migrate passphrase, where\n" +
			"a passphrase keeps it already, changes that.\n\nExit status: 0, or 1 when the key is where it was, or could not be removed there.",
		Args:      term.Args(1),
		ValidArgs: keepers(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(keepers(), args[0]) {
				return fmt.Errorf("keeper %q: want %s", args[0], strings.Join(keepers(), ", "))
			}
			st, d, _, err := store(s)
			if err != nil {
				return err
			}
			defer d.Close()
			err = st.Migrate(cmd.Context(), secretstore.Keeper(args[0]))
			if errors.Is(err, tty.ErrNone) && s.Getenv(tty.PassphraseCommandEnv) == "" && secretstore.Keeper(args[0]) == secretstore.Passphrase {
				return fmt.Errorf("%w; %s may name a program that prints the passphrase", err, tty.PassphraseCommandEnv)
			}
			if err != nil {
				return err
			}
			s.Note("stile: the key of the secret store is kept by %s", args[0])
			return nil
		},
	}
}

func keepers() []string {
	return []string{string(secretstore.Keyring), string(secretstore.Passphrase), string(secretstore.KeyFile)}
}

func newRemove(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove secrets, by their names",
		Long: "Remove secrets, by the names that stile secrets list prints. stile sessions rm removes a source with its secrets; this is for\n" +
			"what is left over or damaged. AWS is not told: an access key is good there until it is deleted (stile rotate).\n\n" +
			"Exit status: 0, or 1 when there is no such secret, and then none is removed.",
		Args: term.ArgsBetween(1, -1),
		RunE: func(cmd *cobra.Command, names []string) error {
			st, d, _, err := store(s)
			if err != nil {
				return err
			}
			defer d.Close()
			known, err := st.Names()
			if err != nil {
				return err
			}
			for _, name := range names {
				if !slices.Contains(known, name) {
					return fmt.Errorf("there is no secret %s; stile secrets list prints those there are", name)
				}
			}
			for _, name := range names {
				if err := st.Delete(cmd.Context(), name); err != nil {
					return err
				}
				if _, source, ok := strings.Cut(name, "/"); ok && d.Book().Source(source) != nil {
					s.Note("stile: %s is removed; source %s had it: stile sessions edit %s puts it there anew", name, source, source)
				}
			}
			return nil
		},
	}
}
