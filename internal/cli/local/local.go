// Package local is `stile local`: the embedded AWS as a server, and the tools
// to steer it.
package local

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws"
)

// New returns the command with its sub-commands.
func New(s *term.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run and steer the embedded local AWS",
		Long: "Run and steer the embedded local AWS: several accounts in one process, AWS's wire protocols, IAM enforced.\n" +
			"Nothing it does reaches the real AWS.\n\n" +
			"Of the policies that AWS manages it has the common ones (aws iam list-policies --scope AWS). ReadOnlyAccess,\n" +
			"ViewOnlyAccess and SecurityAudit, which are lists of thousands of actions, are derived from the access levels of\n" +
			"AWS's Service Authorization Reference: a single action may be in AWS's and not here, or the other way round.",
	}
	endpoint := cmd.PersistentFlags().String("endpoint", "", "the local AWS to steer, by its `URL`; default: the one the environment points at, or the only one")
	find := func() (*Client, error) { return Find(s, *endpoint) }
	cmd.AddCommand(newStart(s), newToken(s, find), newSignIn(s, find), newClock(s, find), newFault(s, find), newDenials(s, find), newState(s, find))
	return cmd
}

type startOptions struct {
	streams     *term.Streams
	accounts    []string
	clusters    []string
	people      []string // files of --identity-center
	setup       Setup
	noOrg       bool
	state       string
	propagation time.Duration
	seed        uint64
}

func newStart(s *term.Streams) *cobra.Command {
	o := &startOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start a local AWS and serve until interrupted",
		Long:  "Start a local AWS and serve until interrupted.\n\n" + identityCenterHelp,
		Example: "  stile local start --account tooling=111111111111 --account orders-prod=222222222222 \\\n" +
			"        --cluster tooling/ci --credentials ./local-credentials",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.accounts, "account", nil, "an account, `NAME=ID`; the first is the organization's management account")
	f.StringArrayVar(&o.clusters, "cluster", nil, "an EKS cluster with its OIDC issuer, `ACCOUNT/NAME[@REGION]`")
	f.StringArrayVar(&o.people, "identity-center", nil, "IAM Identity Center with people, permission sets and assignments, from a YAML `FILE`")
	f.StringVar(&o.setup.Listen, "listen", "127.0.0.1:7171", "`ADDRESS` to listen on; loopback unless a host is given")
	f.StringVar(&o.setup.Credentials, "credentials", "", "write an AWS credentials `FILE` with one administrator profile an account, named like it")
	f.BoolVar(&o.setup.Proxy, "proxy", false, "serve as a forward proxy with real host names, for HTTPS_PROXY and AWS_CA_BUNDLE")
	f.StringVar(&o.setup.CABundle, "ca-bundle", "", "with --proxy: write its certificate to `FILE`")
	f.StringVar(&o.state, "state", "", "keep the state in `FILE`")
	f.BoolVar(&o.noOrg, "no-organization", false, "leave the accounts without an organization")
	f.DurationVar(&o.propagation, "propagation-delay", 0, "how long IAM's changes stay invisible to others")
	f.Uint64Var(&o.seed, "seed", 0, "make ids and keys repeatable")
	return cmd
}

func (o *startOptions) run(ctx context.Context) error {
	cfg := localaws.Config{Organization: !o.noOrg, StateFile: o.state, PropagationDelay: o.propagation, Seed: o.seed}
	ids := map[string]arn.AccountID{}
	for _, text := range o.accounts {
		a, err := parseAccount(text)
		if err != nil {
			return err
		}
		if _, twice := ids[a.Name]; twice {
			return fmt.Errorf("reading --account %q: there are two accounts named %s", text, a.Name)
		}
		ids[a.Name] = a.ID
		cfg.Accounts = append(cfg.Accounts, a)
	}
	for _, text := range o.clusters {
		c, err := parseCluster(text, ids)
		if err != nil {
			return err
		}
		cfg.Clusters = append(cfg.Clusters, c)
	}
	for _, file := range o.people {
		centers, err := readIdentityCenters(file, ids, cfg.Accounts)
		if err != nil {
			return err
		}
		cfg.IdentityCenters = append(cfg.IdentityCenters, centers...)
	}
	if len(cfg.Accounts) == 0 && o.state == "" {
		return fmt.Errorf("starting local AWS: no account; add --account NAME=ID")
	}
	o.setup.AWS = cfg
	r, err := Start(ctx, o.streams, o.setup)
	if err != nil {
		return err
	}
	o.streams.Printf("%s", r.Exports(o.setup.Credentials))
	for _, at := range r.Server.IdentityCenters() {
		o.streams.Note("stile: identity center %s in %s, people %s", at.StartURL, at.Region, strings.Join(at.Users, ", "))
	}
	if r.Exposed {
		o.streams.Note("stile: warning: it listens on %s: anyone on the network can reach it; leave the host out of --listen to keep it to this computer", o.setup.Listen)
	}
	o.streams.Note("stile: local AWS on %s; interrupt to stop", r.URL)
	go func() { <-ctx.Done(); r.stop() }()
	if err := r.Wait(); err != nil {
		return err
	}
	return r.Close()
}

// Exports is the shell text that points AWS clients at the local AWS.
func (r *Running) Exports(credentials string) string {
	var b strings.Builder
	if r.CABundle != "" {
		fmt.Fprintf(&b, "unset AWS_ENDPOINT_URL AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_SSO AWS_ENDPOINT_URL_SSO_OIDC\nexport HTTPS_PROXY=%s\nexport AWS_CA_BUNDLE=%s\n", r.URL, r.CABundle)
	} else {
		// The Go and Rust SDKs find the STS of a profile's role by the second one
		// only: https://github.com/aws/aws-sdk-go-v2/issues/2802,
		// https://github.com/awslabs/aws-sdk-rust/issues/1193
		fmt.Fprintf(&b, "export AWS_ENDPOINT_URL=%s AWS_ENDPOINT_URL_STS=%s\n", r.URL, r.URL)
		if len(r.Server.IdentityCenters()) > 0 { // the Go SDK's sign-in is like its STS
			fmt.Fprintf(&b, "export AWS_ENDPOINT_URL_SSO=%s AWS_ENDPOINT_URL_SSO_OIDC=%s\n", r.URL, r.URL)
		}
	}
	if credentials != "" {
		fmt.Fprintf(&b, "export AWS_SHARED_CREDENTIALS_FILE=%s\n", credentials)
	}
	// The AWS CLI and boto3 read AWS_DEFAULT_REGION, the other SDKs AWS_REGION.
	fmt.Fprintf(&b, "export AWS_REGION=%s AWS_DEFAULT_REGION=%s\n", localaws.DefaultRegion, localaws.DefaultRegion)
	return b.String()
}

func parseAccount(text string) (localaws.Account, error) {
	name, id, ok := strings.Cut(text, "=")
	if !ok {
		name, id = text, text
	}
	parsed, err := arn.ParseAccountID(id)
	if err != nil || name == "" {
		return localaws.Account{}, fmt.Errorf("reading --account %q: want NAME=ID with an id of 12 digits", text)
	}
	return localaws.Account{Name: name, ID: parsed}, nil
}

func parseCluster(text string, ids map[string]arn.AccountID) (localaws.Cluster, error) {
	account, rest, ok := strings.Cut(text, "/")
	name, region, _ := strings.Cut(rest, "@")
	if !ok || name == "" {
		return localaws.Cluster{}, fmt.Errorf("reading --cluster %q: want ACCOUNT/NAME or ACCOUNT/NAME@REGION", text)
	}
	id, known := ids[account]
	if !known {
		id = arn.AccountID(account)
		if !id.Valid() {
			return localaws.Cluster{}, fmt.Errorf("reading --cluster %q: no --account is named %q", text, account)
		}
	}
	return localaws.Cluster{Account: id, Name: name, Region: region}, nil
}

type finder func() (*Client, error)

func newToken(s *term.Streams, find finder) *cobra.Command {
	var cluster, audience string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:     "token NAMESPACE/SERVICEACCOUNT",
		Short:   "Print a service account's token from a cluster's issuer",
		Example: "  stile local token --cluster tooling/ci payroll/api > token",
		Args:    term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace, name, ok := strings.Cut(args[0], "/")
			if !ok {
				return fmt.Errorf("reading %q: want NAMESPACE/SERVICEACCOUNT", args[0])
			}
			c, err := find()
			if err != nil {
				return err
			}
			account, clusterName, err := c.resolveCluster(cmd.Context(), cluster)
			if err != nil {
				return err
			}
			token, err := c.Token(cmd.Context(), TokenRequest{Account: account, Cluster: clusterName, Namespace: namespace, ServiceAccount: name, Audience: audience, Lifetime: lifetime.String()})
			if err != nil {
				return err
			}
			s.Printf("%s\n", token)
			return nil
		},
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "the cluster, `ACCOUNT/NAME`; default: the only one")
	cmd.Flags().StringVar(&audience, "audience", "sts.amazonaws.com", "whom the token is for")
	cmd.Flags().DurationVar(&lifetime, "duration", time.Hour, "how long it is valid")
	return cmd
}

// resolveCluster finds ACCOUNT/NAME, the account by name or id.
func (c *Client) resolveCluster(ctx context.Context, text string) (account, name string, err error) {
	accounts, err := c.Accounts(ctx)
	if err != nil {
		return "", "", err
	}
	var all []string
	for _, a := range accounts {
		for _, k := range a.Clusters {
			if text == a.Name+"/"+k.Name || text == a.ID+"/"+k.Name {
				return a.ID, k.Name, nil
			}
			account, name = a.ID, k.Name
			all = append(all, a.Name+"/"+k.Name)
		}
	}
	if text == "" && len(all) == 1 {
		return account, name, nil
	}
	return "", "", fmt.Errorf("finding cluster %q: the local AWS has %s", text, strings.Join(all, ", "))
}

func newClock(s *term.Streams, find finder) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock [advance DURATION]",
		Short: "Show the local AWS's time, or move it forward",
		Long: "Show the local AWS's time, or move it forward: sessions, tokens and propagation delays end by it.\n" +
			"It cannot be moved back, and a --state file keeps it. Clients go on signing by the computer's clock.",
		Args: term.ArgsBetween(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := find()
			if err != nil {
				return err
			}
			var out struct{ Now time.Time }
			switch {
			case len(args) == 0:
				err = c.Call(cmd.Context(), http.MethodGet, "clock", nil, &out)
			case len(args) == 2 && args[0] == "advance":
				err = c.Call(cmd.Context(), http.MethodPost, "clock", map[string]string{"advance": args[1]}, &out)
			default:
				err = fmt.Errorf("reading %q: want clock, or clock advance 1h", strings.Join(args, " "))
			}
			if err == nil {
				s.Printf("%s\n", out.Now.Format(time.RFC3339))
			}
			return err
		},
	}
	return cmd
}

func newFault(s *term.Streams, find finder) *cobra.Command {
	var fault struct {
		Kind      string `json:"kind"`
		Account   string `json:"account,omitempty"`
		Service   string `json:"service,omitempty"`
		Operation string `json:"operation,omitempty"`
		Times     int    `json:"times,omitempty"`
		Delay     string `json:"delay,omitempty"`
		For       string `json:"for,omitempty"`
	}
	cmd := &cobra.Command{
		Use:   "fault throttle|error|unavailable|outage|latency|list|clear",
		Short: "Make calls fail or slow, by account, service and operation",
		Args:  term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := find()
			if err != nil {
				return err
			}
			switch args[0] {
			case "clear":
				return c.Call(cmd.Context(), http.MethodDelete, "faults", nil, nil)
			case "list":
				return c.printRaw(cmd.Context(), s, "faults")
			}
			fault.Kind = args[0]
			if fault.Account, err = c.resolveAccount(cmd.Context(), fault.Account); err != nil {
				return err
			}
			var out struct{ ID string }
			if err := c.Call(cmd.Context(), http.MethodPost, "faults", fault, &out); err != nil {
				return err
			}
			s.Printf("%s\n", out.ID)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&fault.Account, "account", "", "only calls in this `ACCOUNT`, by name or id")
	f.StringVar(&fault.Service, "service", "", "only this service, as iam")
	f.StringVar(&fault.Operation, "operation", "", "only this operation, as CreateRole")
	f.IntVar(&fault.Times, "times", 0, "only the next `N` calls")
	f.StringVar(&fault.Delay, "delay", "", "for latency: how long, as 200ms")
	f.StringVar(&fault.For, "for", "", "only for this long, as 30s")
	return cmd
}

// raw prints what a control endpoint answers.
func raw(s *term.Streams, find finder, use, path, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := find()
			if err != nil {
				return err
			}
			return c.printRaw(cmd.Context(), s, path)
		},
	}
}

func (c *Client) printRaw(ctx context.Context, s *term.Streams, path string) error {
	var out []byte
	if err := c.Call(ctx, http.MethodGet, path, nil, &out); err != nil {
		return err
	}
	s.Printf("%s", out)
	return nil
}

// resolveAccount turns an account's name into its id; "" stays "".
func (c *Client) resolveAccount(ctx context.Context, nameOrID string) (string, error) {
	if nameOrID == "" {
		return "", nil
	}
	accounts, err := c.Accounts(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, a := range accounts {
		if nameOrID == a.Name || nameOrID == a.ID {
			return a.ID, nil
		}
		names = append(names, a.Name)
	}
	return "", fmt.Errorf("finding account %q: the local AWS has %s", nameOrID, strings.Join(names, ", "))
}

func newDenials(s *term.Streams, find finder) *cobra.Command {
	return raw(s, find, "denials", "denials", "Print the latest denials with their reasons, as JSON, newest first")
}

func newState(s *term.Streams, find finder) *cobra.Command {
	return raw(s, find, "state", "state", "Print everything the local AWS holds, secrets included, as JSON")
}
