// Package login is `stile login`: whatever needs the person, done now, so that
// nothing asks for a while.
package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

type options struct {
	streams *term.Streams
	login   desk.LoginOptions
	device  bool
	paste   bool
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "login [SOURCE]",
		Short: "Sign in to Identity Center, the console or by SAML, or begin a user's MFA session",
		Long: "Sign in to an Identity Center or to the console in the browser, have a SAML assertion from an identity provider's page, or\n" +
			"begin an IAM user's MFA session. One serves all commands, and the AWS CLI too: Identity Center's where its sso-session has\n" +
			"the source's name, the console's in profiles of aws login, which may be SOURCE. Without SOURCE the only one is meant. The\n" +
			"flags --paste and --port are Identity Center's and the console's, --device Identity Center's.\n\n" +
			"The answer of the browser comes to a port of this computer. With a browser on another one, use --paste, or --port and\n" +
			"forward it (ssh -L PORT:127.0.0.1:PORT). A device code (--device) works anywhere, but whoever sends you one gets your\n" +
			"session: allow only a code that you see in your own terminal. The page's address is always on standard error too; where\n" +
			"there is neither a browser nor a terminal, --device waits for as long as its code is good, --paste reads standard input,\n" +
			"and a sign-in that nobody could answer ends at once.\n\n" +
			"Exit status: 0, or 1 when nobody signed in.",
		Args: term.ArgsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "")[0]) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.device, "device", false, "by a code that you compare, instead of an answer to this computer")
	f.BoolVar(&o.paste, "paste", false, "paste the address, or the console's code, that the browser ends up at, or have it come on standard input")
	f.IntVar(&o.login.Port, "port", 0, "wait for the browser's answer on `PORT`; default: the source's, else any")
	f.BoolVar(&o.login.Force, "force", false, "sign in anew, as somebody else say")
	f.BoolVar(&o.json, "json", false, "write one JSON value")
	return cmd
}

// needsPerson are the sources that login is for.
func needsPerson(s *session.Source) bool {
	return s.IdentityCenter != nil || s.ConsoleLogin != nil || s.User != nil && s.User.MFA != nil || s.SAML != nil && s.SAML.StartURL != ""
}

func (o *options) run(ctx context.Context, name string) error {
	if o.device && o.paste {
		return errors.New("a device code is answered on its page: say --device or --paste")
	}
	person := *o.streams
	env := o.streams.Env
	person.Env = func(name string) (string, bool) { // to ask is what this command is for
		if name == route.NoLoginEnv {
			return "", false
		}
		return env(name)
	}
	d, _, err := route.OpenDesk(&person)
	if err != nil {
		return err
	}
	defer d.Close()
	source, err := d.Book().Only(name, needsPerson)
	if profile := d.SignInSource(name); err != nil && profile != nil {
		source, err = profile, nil
	}
	if err != nil {
		return err
	}
	if o.device {
		o.login.Flow = session.Device
	}
	if o.paste {
		o.login.Flow = session.PKCE
		paste, explained := pasting(o.streams, source.IdentityCenter == nil), route.ExplainWait(o.streams.Note, source.Name)
		defer explained()
		o.login.Paste = func(ctx context.Context, problem error) (string, error) {
			explained()
			return paste(ctx, problem)
		}
	}
	o.login.Note = o.streams.Note
	until, err := d.Login(ctx, source, o.login)
	if err != nil {
		return err
	}
	if o.login.Force { // it may be another person now, and a broker has what was the other's
		if err := route.EndBrokers(ctx, o.streams); err != nil {
			return fmt.Errorf("having the broker forget what the sign-in before gave: %w; stile broker stop ends it", err)
		}
	}
	identity := d.ConsoleIdentity(ctx, source)
	if o.json {
		return o.streams.JSON(struct {
			Source   string    `json:"source"`
			Identity string    `json:"identity,omitempty"` // in the console
			Until    time.Time `json:"until,omitzero"`
		}{source.Name, identity, until})
	}
	o.streams.Note("stile: signed in to %s%s", source.Name, lasting(source, until, identity))
	return nil
}

// lasting is what a sign-in leads to. console is who it is that signed in there.
func lasting(s *session.Source, until time.Time, console string) string {
	switch {
	case s.IdentityCenter != nil:
		return "; stile ls lists what you can be"
	case console != "":
		return " as " + console
	}
	return fmt.Sprintf(" until %s", until.Local().Format("15:04"))
}
