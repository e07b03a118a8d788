package sessions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/tty"
)

// adding is what the flags of add and edit say.
type adding struct {
	streams *term.Streams
	edit    bool

	startURL, region, flow            string
	scopes                            []string
	port                              int
	user, keyStdin, console           bool
	account, serial, code, program    string
	profile, process, role, tokenFile string
	saml                              session.SAML
	web                               session.WebIdentity
	anywhere                          session.RolesAnywhere
	source, external, session         string
	readOnly, login                   string
	via, labels, tags                 []string
	identity                          string
	members, more, fewer              []string
	duration                          time.Duration
	given                             *pflag.FlagSet
}

func newAdd(s *term.Streams, edit bool) *cobra.Command {
	o := &adding{streams: s, edit: edit}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a source, a session with a name, or a group of sessions",
		Long: "Add a source by one of --start-url, --console-login, --user, --profile, --process, --web-identity, --web-program,\n" +
			"--web-variable, --github, --saml-url, --saml-file, --saml-program and --trust-anchor, or with --source a name for a session.\n" +
			"With --member it is a group: a name for several sessions over several accounts, which stile each, config write, serve\n" +
			"and ls --group take in their place. Members are ACCOUNT/ROLE, names, and patterns such as '*/ReadOnly'.\n\n" +
			"A token or assertion opens the role of --role, or without it the first role of every address: NAME:ACCOUNT/ROLE.\n" +
			"--trust-anchor is IAM Roles Anywhere, by AWS's program aws_signing_helper: with --anchor-profile, --role, --certificate\n" +
			"and --private-key, which are files, or pkcs11: URIs, or the handle: of a key in the TPM.\n\n" +
			"--console-login is who you are in the AWS console, as by aws login: credentials of 15 minutes, renewed for up to 12 hours.\n" +
			"With --identity nobody else's sign-in is taken.\n\n" +
			"For --user the access key is asked for at the terminal, or read from standard input with --key-stdin (two lines: id,\n" +
			"secret; a third line is the seed of --mfa totp), and goes into the secret store: $STILE_SECRETS says where the key of a\n" +
			"new store is, keyring, passphrase or keyfile.\n\n" +
			"An Identity Center's sessions take no session policies: --read-only-role names the permission set that --read-only, and\n" +
			"guards with as: readonly, go to instead in the same account.\n\n" +
			"Exit status: 0, or 1 when nothing was added.",
		Example: "  stile sessions add acme --start-url https://acme.awsapps.com/start --region eu-central-1\n" +
			"  stile sessions add me --user --mfa-serial arn:aws:iam::111111111111:mfa/me\n" +
			"  stile sessions add shop --console-login --region eu-central-1\n" +
			"  stile sessions add ci --github\n" +
			"  stile sessions add host --trust-anchor arn:aws:rolesanywhere:eu-west-1:111111111111:trust-anchor/ID \\\n" +
			"    --anchor-profile arn:aws:rolesanywhere:eu-west-1:111111111111:profile/ID --role arn:aws:iam::111111111111:role/host \\\n" +
			"    --certificate /etc/host.pem --private-key /etc/host.key\n" +
			"  stile sessions add prod-db --source acme --via tooling/Hub --account orders-prod --role db-admin --label env=prod\n" +
			"  stile sessions add release --member orders-prod/Admin --member billing/ReadOnly --member prod-db",
		Args: term.Args(1),
	}
	if edit {
		cmd.Use, cmd.Short = "edit NAME", "Change a source, session or group"
		cmd.Long = "Change what the flags name, and leave the rest, comments in the file too. For a user, --user asks for a new access key.\n\n" +
			"Exit status: 0, or 1 when nothing was changed."
		cmd.Example = "  stile sessions edit prod-db --role db-reader --duration 30m\n" +
			"  stile sessions edit release --add-member network/Admin --remove-member billing/ReadOnly"
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.given = cmd.Flags()
		return o.run(cmd.Context(), args[0])
	}
	o.flags(cmd)
	return cmd
}

func (o *adding) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.startURL, "start-url", "", "Identity Center: the `URL` of the access portal")
	f.StringVar(&o.region, "region", "", "Identity Center: the portal's `REGION`; console: that of the sign-in; of a session: its default")
	f.StringSliceVar(&o.scopes, "scopes", nil, "Identity Center: default sso:account:access")
	f.StringVar(&o.readOnly, "read-only-role", "", "Identity Center: the `ROLE` that --read-only goes to instead of others")
	f.StringVar(&o.flow, "flow", "", "Identity Center: pkce (default) or device")
	f.IntVar(&o.port, "port", 0, "Identity Center, console: the `PORT` of the browser's answer; default: any")
	f.BoolVar(&o.console, "console-login", false, "who you are in the AWS console")
	f.StringVar(&o.login, "identity", "", "console: the `ARN` of the user, root user or role session that may sign in; default: whoever does first")
	f.BoolVar(&o.user, "user", false, "an IAM user with an access key")
	f.BoolVar(&o.keyStdin, "key-stdin", false, "user: read the access key from standard input")
	f.StringVar(&o.serial, "mfa-serial", "", "user: the `ARN` of the MFA device, or a hardware device's number")
	f.StringVar(&o.code, "mfa", "", "user: where codes come from, prompt (default), program or totp")
	f.StringVar(&o.program, "mfa-program", "", "user: the `COMMAND` that prints a code")
	f.StringVar(&o.profile, "profile", "", "an AWS `PROFILE`")
	f.StringVar(&o.process, "process", "", "a `COMMAND` that speaks the credential_process protocol")
	f.StringVar(&o.tokenFile, "web-identity", "", "a token in a `FILE`")
	f.StringVar(&o.web.Program, "web-program", "", "a `COMMAND` that prints a token")
	f.StringVar(&o.web.Variable, "web-variable", "", "a token in the environment variable `NAME`, as id_tokens of a GitLab job makes")
	f.BoolVar(&o.web.GitHub, "github", false, "the token of the GitHub Actions job that this runs in")
	f.StringVar(&o.web.Audience, "audience", "", "--github: the token's `AUDIENCE`; default: sts.amazonaws.com")
	f.StringVar(&o.saml.File, "saml-file", "", "a SAML assertion in a `FILE`, - for standard input")
	f.StringVar(&o.saml.Program, "saml-program", "", "a `COMMAND` that prints a SAML assertion")
	f.StringVar(&o.saml.StartURL, "saml-url", "", "the `URL` of the identity provider's page that ends at AWS; people sign in there in a browser")
	f.StringVar(&o.saml.Browser, "browser", "", "--saml-url: the `PROGRAM`, of Chromium's family; default: the first on PATH")
	f.StringVar(&o.anywhere.TrustAnchor, "trust-anchor", "", "Roles Anywhere: the trust anchor's `ARN`")
	f.StringVar(&o.anywhere.Profile, "anchor-profile", "", "Roles Anywhere: the profile's `ARN`")
	f.StringVar(&o.anywhere.Certificate, "certificate", "", "Roles Anywhere: the certificate, a `FILE` or pkcs11: URI")
	f.StringVar(&o.anywhere.PrivateKey, "private-key", "", "Roles Anywhere: its key, a `FILE`, pkcs11: URI, or handle: in the TPM")
	f.StringVar(&o.anywhere.Intermediates, "intermediates", "", "Roles Anywhere: a `FILE` of intermediate certificates")
	f.StringVar(&o.anywhere.Selector, "cert-selector", "", "Roles Anywhere: a certificate of the system's store, `Key=x509Subject,Value=CN=…`")
	f.StringVar(&o.anywhere.Endpoint, "endpoint", "", "Roles Anywhere: the `URL` of the service; default: the Region's")
	f.StringVar(&o.anywhere.Helper, "helper", "", "Roles Anywhere: the `PATH` of aws_signing_helper; default: on PATH")
	f.StringVar(&o.session, "session-name", "", "tokens, Roles Anywhere: the `NAME` of the sessions")
	f.StringVar(&o.source, "source", "", "session: the `SOURCE` it begins with")
	f.StringVar(&o.account, "account", "", "session, user: the `ACCOUNT`, by name or id")
	f.StringVar(&o.role, "role", "", "session: the `ROLE` in the account; tokens, Roles Anywhere: the `ARN` of the role")
	f.StringArrayVar(&o.via, "via", nil, "session: a role to go through, `ACCOUNT/ROLE` or ARN; may be repeated")
	f.StringVar(&o.external, "external-id", "", "session: the external `ID` of the last role")
	f.StringVar(&o.identity, "source-identity", "", "session: the source identity of the roles it assumes, a `TEXT`, or caller for the person's name")
	f.StringArrayVar(&o.tags, "tag", nil, "session: a session tag of the last role, `KEY=VALUE`; may be repeated")
	f.StringArrayVar(&o.labels, "label", nil, "session: `KEY=VALUE`; may be repeated")
	f.DurationVar(&o.duration, "duration", 0, "session, Roles Anywhere: how long it should last, 15m to 12h")
	f.StringArrayVar(&o.members, "member", nil, "group: an `ADDRESS`, name or pattern; may be repeated; in edit, in place of all there are")
	if o.edit {
		f.StringArrayVar(&o.more, "add-member", nil, "group: an `ADDRESS`, name or pattern to add; may be repeated")
		f.StringArrayVar(&o.fewer, "remove-member", nil, "group: the `ADDRESS`, name or pattern to take out; may be repeated")
	}
}

func (o *adding) run(ctx context.Context, name string) error {
	d, paths, err := route.OpenDesk(o.streams)
	if err != nil {
		return err
	}
	defer d.Close()
	c, err := o.change(ctx, d, name)
	if err != nil {
		return err
	}
	if err := session.Edit(ctx, paths.Book, c); err != nil {
		return err
	}
	if hint := diag.DidYouMean(o.region, catalog.Regions()); hint != "" && !slices.Contains(catalog.Regions(), o.region) {
		o.streams.Note("stile: no Region %s is known here; %s stile sessions edit %s --region REGION changes it", o.region, hint, name)
	}
	if len(c.Sources) == 1 && (c.Sources[0].IdentityCenter != nil || c.Sources[0].ConsoleLogin != nil) && !o.edit {
		o.streams.Note("stile: stile login %s signs in", name)
	}
	return nil
}

// change is what is to be written, after the secrets are kept.
func (o *adding) change(ctx context.Context, d *desk.Desk, name string) (c session.Change, err error) {
	b := d.Book()
	src, x, g := b.Source(name), b.Session(name), b.Group(name)
	there := src != nil || x != nil || g != nil
	switch {
	case !o.edit && there:
		return c, fmt.Errorf("%s is there already; stile sessions edit %s changes it", name, name)
	case o.edit && !there:
		return c, session.NoSuch(name)
	case o.edit && o.given.NFlag() == 0:
		return c, fmt.Errorf("changing %s: say what, by flags; stile sessions edit --help lists them, stile sessions export %[1]s shows what there is", name)
	case g != nil || !there && len(o.members) > 0:
		made := session.Group{Name: name}
		if g != nil {
			made = *g
		}
		c.Groups = []session.Group{made}
		return c, o.grouped(&c.Groups[0])
	case x != nil || src == nil && o.source != "":
		made := session.Session{Name: name}
		if x != nil {
			made = *x
		}
		c.Sessions = []session.Session{made}
		return c, o.named(&c.Sessions[0], b)
	}
	made := session.Source{Name: name}
	if src != nil {
		made = *src
	}
	c.Sources = []session.Source{made}
	return c, o.sourced(ctx, d, &c.Sources[0], src == nil)
}

// sourced changes what flags say of a source, and keeps its secrets.
func (o *adding) sourced(ctx context.Context, d *desk.Desk, s *session.Source, fresh bool) error {
	if err := o.kind(s); err != nil {
		return err
	}
	if *s == (session.Source{Name: s.Name}) {
		return fmt.Errorf("adding %s: nothing says what it is: --start-url, --console-login, --user, --profile, --process, --web-identity, --github, --saml-url and --trust-anchor make a source, "+
			"--source a session, --member a group; stile sessions add --help has all of them", s.Name)
	}
	if err := fitting(o.given, s.Name, s.Kind()); err != nil {
		return err
	}
	if err := errors.Join(s.Check(), desk.CheckFiles(s)); err != nil {
		return err
	}
	return o.secrets(ctx, d, s, fresh)
}

// named changes what flags say of a named session.
func (o *adding) named(x *session.Session, b *session.Book) error {
	if err := fitting(o.given, x.Name, aSession); err != nil {
		return err
	}
	o.set("source", func() { x.Source = o.source })
	o.set("account", func() { x.Account = o.account })
	o.set("role", func() { x.Role = o.role })
	o.set("via", func() { x.Via = o.via })
	o.set("external-id", func() { x.ExternalID = o.external })
	o.set("region", func() { x.Region = o.region })
	o.set("duration", func() { x.Duration = session.Duration(o.duration) })
	o.set("source-identity", func() { x.SourceIdentity = o.identity })
	if err := errors.Join(o.pairs("label", o.labels, &x.Labels), o.pairs("tag", o.tags, &x.Tags)); err != nil {
		return err
	}
	if err := x.Check(); err != nil {
		return err
	}
	if why := x.Unheeded(b.Source(x.Source)); why != "" {
		o.streams.Note("stile: %s", why)
	}
	return nil
}

// pairs puts the KEY=VALUEs of a flag in place of what was there.
func (o *adding) pairs(flag string, given []string, into *map[string]string) error {
	if !o.given.Changed(flag) {
		return nil
	}
	pairs := map[string]string{}
	for _, p := range given {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return fmt.Errorf("%s %q: want KEY=VALUE", flag, p)
		}
		pairs[key] = value
	}
	*into = pairs
	return nil
}

func (o *adding) set(flag string, change func()) {
	if o.given.Changed(flag) {
		change()
	}
}

// kind changes what flags say of a source.
func (o *adding) kind(s *session.Source) error {
	if o.startURL != "" || s.IdentityCenter != nil {
		s.IdentityCenter = o.center(s.IdentityCenter)
	}
	if o.console || s.ConsoleLogin != nil {
		s.ConsoleLogin = o.consoleLogin(s.ConsoleLogin)
	}
	if o.user || s.User != nil {
		if err := o.iamUser(s); err != nil {
			return err
		}
	}
	if o.profile != "" {
		s.Profile = &session.Profile{Name: o.profile}
	}
	if o.process != "" {
		s.Process = &session.Process{Command: o.process}
	}
	if o.tokenFile != "" || o.web.Program != "" || o.web.Variable != "" || o.web.GitHub || s.WebIdentity != nil {
		s.WebIdentity = o.webIdentity(s.WebIdentity)
	}
	if o.anywhere.TrustAnchor != "" || s.RolesAnywhere != nil {
		var err error
		if s.RolesAnywhere, err = o.rolesAnywhere(s.RolesAnywhere); err != nil {
			return err
		}
	}
	if o.saml.File != "" || o.saml.Program != "" || o.saml.StartURL != "" {
		s.SAML = new(o.saml)
	} else if s.SAML != nil {
		o.set("browser", func() { s.SAML.Browser = o.saml.Browser })
	}
	return nil
}

func (o *adding) center(old *session.IdentityCenter) *session.IdentityCenter {
	c := session.IdentityCenter{}
	if old != nil {
		c = *old
	}
	o.set("start-url", func() { c.StartURL = o.startURL })
	o.set("region", func() { c.Region = o.region })
	o.set("scopes", func() { c.Scopes = o.scopes })
	o.set("flow", func() { c.Flow = session.Flow(o.flow) })
	o.set("port", func() { c.Port = o.port })
	o.set("read-only-role", func() { c.ReadOnly = o.readOnly })
	return &c
}

func (o *adding) consoleLogin(old *session.ConsoleLogin) *session.ConsoleLogin {
	c := session.ConsoleLogin{}
	if old != nil {
		c = *old
	}
	o.set("region", func() { c.Region = o.region })
	o.set("identity", func() { c.Identity = o.login })
	o.set("port", func() { c.Port = o.port })
	return &c
}

func (o *adding) webIdentity(old *session.WebIdentity) *session.WebIdentity {
	w := session.WebIdentity{}
	if old != nil {
		w = *old
	}
	if changed := o.given.Changed; changed("web-identity") || changed("web-program") || changed("web-variable") || changed("github") {
		w.TokenFile, w.Program, w.Variable, w.GitHub = o.tokenFile, o.web.Program, o.web.Variable, o.web.GitHub
	}
	o.set("audience", func() { w.Audience = o.web.Audience })
	o.set("role", func() { w.Role = o.role })
	o.set("session-name", func() { w.SessionName = o.session })
	return &w
}

// rolesAnywhere makes paths absolute: the source is used from anywhere.
func (o *adding) rolesAnywhere(old *session.RolesAnywhere) (*session.RolesAnywhere, error) {
	r := session.RolesAnywhere{}
	if old != nil {
		r = *old
	}
	given := &o.anywhere
	for _, path := range []*string{&given.Certificate, &given.PrivateKey, &given.Intermediates} {
		if !session.KeyFile(*path) {
			continue
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	o.set("trust-anchor", func() { r.TrustAnchor = given.TrustAnchor })
	o.set("anchor-profile", func() { r.Profile = given.Profile })
	o.set("certificate", func() { r.Certificate, r.Selector = given.Certificate, "" })
	o.set("cert-selector", func() { r.Selector, r.Certificate = given.Selector, "" })
	o.set("private-key", func() { r.PrivateKey = given.PrivateKey })
	o.set("intermediates", func() { r.Intermediates = given.Intermediates })
	o.set("endpoint", func() { r.Endpoint = given.Endpoint })
	o.set("helper", func() { r.Helper = given.Helper })
	o.set("role", func() { r.Role = o.role })
	o.set("region", func() { r.Region = o.region })
	o.set("session-name", func() { r.SessionName = o.session })
	o.set("duration", func() { r.Duration = session.Duration(o.duration) })
	return &r, nil
}

func (o *adding) iamUser(s *session.Source) error {
	u := session.User{}
	if s.User != nil {
		u = *s.User
	}
	if o.given.Changed("account") {
		id, err := arn.ParseAccountID(o.account)
		if err != nil {
			return fmt.Errorf("reading --account: %w", err)
		}
		u.Account = id
	}
	if o.serial != "" || o.code != "" || o.program != "" {
		m := session.MFA{}
		if u.MFA != nil {
			m = *u.MFA
		}
		o.set("mfa-serial", func() { m.Serial = o.serial })
		o.set("mfa", func() { m.Code = session.Code(o.code) })
		o.set("mfa-program", func() { m.Program, m.Code = o.program, session.Program })
		u.MFA = &m
	}
	s.User = &u
	return nil
}

// secrets puts a user's secrets into the store before the source is there, so
// that it is never there without them.
func (o *adding) secrets(ctx context.Context, d *desk.Desk, s *session.Source, fresh bool) error {
	if s.User == nil {
		return nil
	}
	key := fresh || o.user || o.keyStdin
	seed := s.User.MFA != nil && s.User.MFA.Code == session.TOTP && (fresh || o.code == string(session.TOTP))
	ask := func(prompt string) (string, error) { return tty.Secret(ctx, prompt, false) }
	if o.keyStdin {
		lines := bufio.NewScanner(o.streams.In)
		ask = func(prompt string) (string, error) {
			if !lines.Scan() {
				return "", errors.Join(lines.Err(), fmt.Errorf("standard input ends before the %s", prompt))
			}
			return strings.TrimSpace(lines.Text()), nil
		}
	}
	if key {
		if err := o.accessKey(ctx, d, s.Name, ask); err != nil {
			return err
		}
	}
	if !seed {
		return nil
	}
	text, err := ask("seed of the MFA device (base32)")
	if err != nil {
		return err
	}
	return d.SetSeed(ctx, s.Name, text)
}

func (o *adding) accessKey(ctx context.Context, d *desk.Desk, name string, ask func(string) (string, error)) error {
	id, err := ask("access key id")
	if err != nil {
		return err
	}
	secret, err := ask("secret access key")
	if err != nil {
		return err
	}
	if id == "" || secret == "" {
		return errors.New("no access key was given")
	}
	return d.SetKey(ctx, name, desk.AccessKey{ID: id, Secret: secret})
}
