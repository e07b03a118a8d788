// Package serve is `stile serve`: roles' credentials at an endpoint, for programs
// that stile did not start.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/cli/child"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/endpoint"
	"github.com/stile-aws/stile/internal/deliver/env"
	"github.com/stile-aws/stile/internal/deliver/imds"
	"github.com/stile-aws/stile/internal/deliver/local"
	"github.com/stile-aws/stile/internal/surroundings"
)

type options struct {
	streams *term.Streams
	route   route.Options
	imds    bool
	listen  string
	peers   string
	dir     string
	format  string
	json    bool
}

// served is what clients have to be told: how they find the first role, and the
// other roles' URLs by address.
type served struct {
	Variables map[string]string `json:"variables"`
	Sessions  map[string]string `json:"sessions,omitempty"`
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "serve ADDRESS|PATTERN...",
		Short: "Serve roles' credentials to programs on this computer, or to containers",
		Long: "Serve roles' credentials until it is interrupted, and print the variables by which AWS clients find them, for a\n" +
			"shell to evaluate.\n\n" +
			"By default it speaks the container credentials protocol: the first role at /credentials, and as the EKS Pod\n" +
			"Identity agent does at /v1/credentials; each role at /credentials/ACCOUNT/ROLE. Every request must hold the\n" +
			"token of the token file. With --imds it speaks version 2 of the instance metadata service, for one role.\n" +
			"Groups and patterns stand for roles as they do for stile each.\n\n" +
			"It listens on loopback and answers this user's processes alone (on other systems than Linux: whoever has the\n" +
			"token), never web pages, proxies, or requests for another host. For containers, --listen an address of the\n" +
			"computer that they reach, and --peers the network they are in; their users cannot be told apart. On Linux an\n" +
			"address of AWS's own may be listened on too, once lo has it: ip addr add 169.254.169.254/32 dev lo.\n\n" +
			"Exit status: 0 when interrupted, 1 when there are no credentials or the address is taken.",
		Example: "  stile serve orders-prod/payroll-api\n" +
			"  stile serve --imds --listen 172.17.0.1:9911 --peers 172.17.0.0/16 orders-prod/payroll-api",
		Args: term.ArgsBetween(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.route.Flags(cmd)
	o.route.SweepFlags(cmd)
	o.route.RegionFlag(cmd, "with --imds: the `REGION` that the instance is in")
	f := cmd.Flags()
	f.BoolVar(&o.imds, "imds", false, "speak the instance metadata service's protocol, version 2 alone")
	f.StringVar(&o.listen, "listen", "", "the `ADDRESS:PORT` to listen on; default 127.0.0.1 and a random port")
	f.StringVar(&o.peers, "peers", "", "the `NETWORK` whose containers are answered too, such as 172.17.0.0/16")
	f.StringVar(&o.format, "format", "", "`SYNTAX` of the variables: "+strings.Join(env.Formats(), ", ")+"; default: $SHELL's, else bash")
	f.BoolVar(&o.json, "json", false, "print the variables, and each role's URL, as one JSON object")
	f.StringVar(&o.dir, "token-dir", "", "the `DIRECTORY` for the token file, of this user alone; default: a new one under $XDG_RUNTIME_DIR")
	return cmd
}

func (o *options) run(ctx context.Context, words []string) (err error) {
	broker.Harden() // it holds credentials for long
	var guard local.Guard
	if o.peers != "" {
		if guard.Peers, err = netip.ParsePrefix(o.peers); err != nil {
			return fmt.Errorf("reading --peers: %w", err)
		}
	}
	addresses, err := o.route.ExpandInOrder(ctx, o.streams, words)
	if err != nil {
		return err
	}
	if o.imds && len(addresses) > 1 {
		return errors.New("an instance has one role: with --imds, name one")
	}
	sessions := map[string]aws.CredentialsProvider{}
	var first *route.Way
	var keeping sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer func() { stop(); keeping.Wait() }()
	for _, address := range addresses {
		way, err := o.route.Open(ctx, o.streams, address)
		if err != nil {
			return err
		}
		defer way.Close()
		if _, err := way.Retrieve(ctx); err != nil { // clients give an endpoint two seconds
			return err
		}
		keeping.Go(func() { way.Credentials.Keep(ctx) })
		sessions[address] = &telling{from: way.Provider(), streams: o.streams, address: address}
		if first == nil {
			first = way
		}
	}
	if o.imds {
		return o.serveIMDS(ctx, first, sessions[addresses[0]], guard)
	}
	return o.serveEndpoint(ctx, sessions[addresses[0]], sessions, guard)
}

func (o *options) serveIMDS(ctx context.Context, way *route.Way, p aws.CredentialsProvider, guard local.Guard) error {
	s, err := imds.Start(ctx, imds.Config{
		Provider: p, Role: way.Name, Account: string(way.Account), Region: way.Region.Name, Addr: o.listen, Guard: guard,
	})
	if err != nil {
		return err
	}
	return errors.Join(o.untilInterrupted(ctx, served{Variables: map[string]string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": s.URL() + "/", // AWS CLI 2.9 puts the path right behind it
		"AWS_EC2_METADATA_V1_DISABLED":      "true",
	}}), s.Close())
}

// untilInterrupted tells what is served and waits.
func (o *options) untilInterrupted(ctx context.Context, what served) error {
	if err := o.print(what); err != nil {
		return err
	}
	o.streams.Note("stile: interrupt to stop")
	<-ctx.Done()
	return nil
}

func (o *options) print(what served) error {
	if o.json {
		return o.streams.JSON(what)
	}
	var vars []string
	for name, value := range what.Variables {
		vars = append(vars, name+"="+value)
	}
	if err := env.Write(o.streams.Out, cmp.Or(o.format, env.Format(o.streams.Getenv("SHELL"))), nil, vars); err != nil {
		return err
	}
	for _, address := range slices.Sorted(maps.Keys(what.Sessions)) {
		o.streams.Note("stile: %s is at %s", address, what.Sessions[address])
	}
	return nil
}

func (o *options) serveEndpoint(ctx context.Context, first aws.CredentialsProvider, sessions map[string]aws.CredentialsProvider, guard local.Guard) (err error) {
	dir := o.dir
	if dir == "" {
		var remove func() error
		if dir, remove, err = child.Dir(ctx, o.streams, "stile-serve-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	} else if err := checkDir(dir); err != nil {
		return err
	}
	s, err := endpoint.Start(ctx, endpoint.Config{Provider: first, Sessions: sessions, Dir: dir, Addr: o.listen, Guard: guard})
	if err != nil {
		return err
	}
	what := served{Variables: map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": s.URL(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": s.TokenFile(),
	}}
	if len(sessions) > 1 {
		what.Sessions = map[string]string{}
		for address := range sessions {
			what.Sessions[address] = s.SessionURL(address)
		}
	}
	return errors.Join(o.untilInterrupted(ctx, what), s.Close())
}

// telling says on standard error why there are no credentials: clients of the
// metadata service tell their users nothing. Once a reason, and when it is over.
type telling struct {
	from    aws.CredentialsProvider
	streams *term.Streams
	address string

	mu   sync.Mutex // guards told
	told string     // the trouble that was told of, "" for none
}

// Retrieve implements aws.CredentialsProvider.
func (p *telling) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := p.from.Retrieve(ctx)
	if err != nil && ctx.Err() != nil {
		return c, err // nobody waits for it any more
	}
	now := ""
	if err != nil {
		now = awserr.Text(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case now == p.told:
	case err == nil:
		p.streams.Note("stile: %s: there are credentials again", p.address)
	default:
		p.streams.Note("stile: %s: no credentials: %s", p.address, now)
	}
	p.told = now
	return c, err
}

// checkDir refuses a directory that others can look into.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("preparing the token's directory: %w", err)
	case !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !surroundings.Mine(info):
		return fmt.Errorf("preparing the token's directory: %s must be a directory of this user with mode 0700", filepath.Clean(dir))
	}
	return nil
}
