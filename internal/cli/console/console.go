// Package console is `stile console`: the AWS console in a browser, as a role in
// an account.
//
// The sign-in URL lets in whoever has it. It is neither printed, unless asked
// for, nor given to the browser's command line, which others can see: the
// browser gets the address of a page of this computer that forwards it, once.
package console

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/console"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/session/browser"
)

type options struct {
	streams    *term.Streams
	route      route.Options
	service    string
	duration   time.Duration
	print      bool
	json       bool
	logout     bool
	newSession bool
	profile    string
	container  string
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "console ADDRESS",
		Short: "Open the AWS console as a role in an account",
		Long: "Open the AWS console in the browser, as a role in an account (ACCOUNT/ROLE, its ARN, or the name of a session or an\n" +
			"AWS profile); chained roles too. The browser is $BROWSER's or the\n" +
			"system's, and gets the sign-in URL from a page of this computer that answers it once: the URL lets in whoever has\n" +
			"it for 15 minutes. --print prints it instead, with --json as {\"url\", \"address\", \"account\", \"role\", \"region\"}.\n\n" +
			"A browser is one identity in the console at a time. --new-session turns on AWS's multi-session support, up to five\n" +
			"beside each other; --logout ends those there are before; --browser-profile and --container open another profile, or a\n" +
			"container of Firefox with the add-on \"Open external links in a container\".\n\n" +
			"The console's session ends with the credentials, unless --duration says otherwise; AWS lets chained roles choose none,\n" +
			"nor those that are entered from an MFA session: a session of more than an hour is not (stile sessions edit NAME --duration 4h).\n" +
			"An IAM user's own key is exchanged by GetFederationToken, which the user must be allowed. AWS signs in no session of\n" +
			"an MFA code: for a user with a device too the console is by the key, and refuses what takes a code; enter a role for that.\n" +
			"AWS_ENDPOINT_URL_SIGNIN is the sign-in endpoint to use; that of a local AWS is used when AWS_ENDPOINT_URL points at one.\n\n" +
			"Exit status: 0 when the page was opened or printed, else 1.",
		Example: "  stile console orders-prod/reader --service dynamodbv2/home --region eu-west-1\n" +
			"  stile console orders-prod/reader --new-session",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.route.Flags(cmd)
	o.route.RegionFlag(cmd, "the `REGION` to open")
	f := cmd.Flags()
	f.StringVar(&o.service, "service", "", "the `PAGE` to open: the path of a service's console (s3, ec2/v2/home) or a whole URL of the console")
	f.DurationVar(&o.duration, "duration", 0, "how long the console's session should last, 15m to 12h; default: as long as the credentials")
	f.BoolVar(&o.print, "print", false, "print the sign-in URL and open nothing")
	f.BoolVar(&o.json, "json", false, "with --print: one JSON object with url, address, account, role and region")
	f.BoolVar(&o.logout, "logout", false, "end the browser's console sessions first")
	f.BoolVar(&o.newSession, "new-session", false, "sign in beside the browser's other console sessions")
	f.StringVar(&o.profile, "browser-profile", "", "the `NAME` of the browser's profile; $BROWSER must name Firefox, Chrome or one of its kin")
	f.StringVar(&o.container, "container", "", "the `NAME` of a Firefox container")
	cmd.MarkFlagsMutuallyExclusive("logout", "new-session")
	cmd.MarkFlagsMutuallyExclusive("print", "browser-profile")
	cmd.MarkFlagsMutuallyExclusive("print", "container")
	return cmd
}

func (o *options) run(ctx context.Context, address string) error {
	if o.json && !o.print {
		return errors.New("--json is of --print: without it the page is opened, and not printed")
	}
	way, err := o.route.Open(ctx, o.streams, address)
	if err != nil {
		return err
	}
	defer way.Close()
	req := console.Request{Region: way.Region.Name, Service: o.service, Duration: o.duration, Endpoint: o.endpoint()}
	if way.Chained && req.Duration != 0 {
		o.streams.Note("stile: --duration is left off: AWS takes it for a first role alone, and none from an MFA session; the console ends with the credentials")
		req.Duration = 0
	}
	c, err := way.Retrieve(ctx)
	if err != nil {
		return err
	}
	cfg, err := scope.LoadUnsigned(ctx, req.Region)
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	c, isUser, err := o.federated(ctx, cfg, way, c)
	if err != nil {
		return fmt.Errorf("going to %s: %w", address, err)
	}
	if isUser { // whose console lasts as long as the credentials
		req.Duration = 0
	}
	page, err := console.URL(ctx, cfg.HTTPClient, c, req)
	if errors.Is(err, console.ErrRefused) {
		err = refused(ctx, cfg, c, err)
	}
	if err != nil {
		return fmt.Errorf("going to %s: %w", address, err)
	}
	if page, err = o.before(page); err != nil {
		return err
	}
	switch {
	case o.json:
		return o.streams.JSON(printed{URL: page, Address: address, Account: string(way.Account), Role: way.Name, Region: way.Region.Name})
	case o.print:
		o.streams.Printf("%s\n", page)
		return nil
	}
	return o.show(ctx, page)
}

// printed is --json. The URL lets in whoever has it.
type printed struct {
	URL     string `json:"url"`
	Address string `json:"address"`
	Account string `json:"account,omitempty"` // id
	Role    string `json:"role"`
	Region  string `json:"region"`
}

// endpoint is where to sign in instead of at AWS, "" for there.
func (o *options) endpoint() string {
	if at := o.streams.Getenv("AWS_ENDPOINT_URL_SIGNIN"); at != "" {
		return at
	}
	at := o.streams.Getenv("AWS_ENDPOINT_URL")
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		return at
	}
	return ""
}

// before puts what the browser should do first before the sign-in: pages of the
// same endpoint that go on to it. Without a Region's host, logging out and
// opting in are us-east-1's.
func (o *options) before(login string) (string, error) {
	if !o.logout && !o.newSession {
		return login, nil
	}
	u, err := url.Parse(login)
	if err != nil {
		return "", errors.New("the sign-in URL is none") // its text is secret
	}
	if u.Host == "signin.aws.amazon.com" {
		u.Host = "us-east-1." + u.Host
	}
	u.Path, u.RawQuery = "/sessions/v1/opt-in", url.Values{"redirect_uri": {login}}.Encode()
	if o.logout {
		u.Path, u.RawQuery = "/oauth", url.Values{"Action": {"logout"}, "redirect_uri": {login}}.Encode()
	}
	return u.String(), nil
}

// show opens the page in a browser, which gets it from a forwarder.
func (o *options) show(ctx context.Context, page string) error {
	f, err := forward(ctx, page)
	if err != nil {
		return err
	}
	defer f.close()
	if err := o.open(ctx, f.url); err != nil {
		return fmt.Errorf("opening the console: %w; --print prints the sign-in URL", err)
	}
	return f.wait(ctx)
}

func (o *options) open(ctx context.Context, page string) error {
	if o.container != "" {
		page = "ext+container:" + strings.ReplaceAll(url.Values{"name": {o.container}, "url": {page}}.Encode(), "+", "%20")
	}
	if o.profile == "" {
		return browser.Open(ctx, o.streams.Getenv, page)
	}
	command := strings.Fields(o.streams.Getenv("BROWSER"))
	if len(command) != 1 {
		return errors.New("--browser-profile needs a $BROWSER that is the browser's program alone")
	}
	args := []string{"-P", o.profile, page}
	if !strings.Contains(strings.ToLower(command[0]), "firefox") {
		args = []string{"--profile-directory=" + o.profile, page}
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
