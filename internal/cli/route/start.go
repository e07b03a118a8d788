package route

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/scope"
)

// A beginning is a caller's credentials, from which a route is gone.
type beginning struct {
	provider    creds.Provider
	cfg         aws.Config // in the target's region
	hops        int        // how many hops the provider has made already
	proven      string     // whose they are
	settled     bool       // the name of the request tells the same
	sessionName string     // of the hops to come
}

// starter finds out whose credentials are at hand.
type starter struct {
	streams *term.Streams
	options *Options
	narrow  *narrowing
	keep    *keeping
	who     *creds.Identity // of the default chain, once it was asked
	whoErr  error
}

// begin gives the beginning of c, or says what is missing.
func (st *starter) begin(ctx context.Context, c *candidate) (*beginning, error) {
	region := cmp.Or(c.region, st.streams.Getenv("AWS_REGION"), st.streams.Getenv("AWS_DEFAULT_REGION"), defaultRegion)
	token := c.route.Caller.Subject != ""
	load := func() (aws.Config, error) { return scope.LoadDefault(ctx, "", region) }
	if token {
		load = func() (aws.Config, error) { return scope.LoadUnsigned(ctx, region) }
	}
	cfg, err := load()
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if token {
		return st.byToken(ctx, cfg, c.route)
	}
	return st.byDefaultChain(ctx, cfg, c.route.Caller)
}

// byDefaultChain begins with the credentials any AWS client would find here, if
// they are the caller's.
func (st *starter) byDefaultChain(ctx context.Context, cfg aws.Config, caller compile.Caller) (*beginning, error) {
	if st.who == nil && st.whoErr == nil {
		who, err := creds.Identify(ctx, cfg)
		st.who, st.whoErr = &who, err
	}
	if st.whoErr != nil {
		return nil, fmt.Errorf("no credentials of %s at hand; choose them, as by AWS_PROFILE: %s", caller.ARN, awserr.Text(st.whoErr))
	}
	if !st.who.Is(caller.ARN) {
		return nil, fmt.Errorf("the credentials at hand are those of %s, not of %s; choose others, as by AWS_PROFILE", st.who.ARN, caller.ARN)
	}
	b := &beginning{provider: creds.From("default chain", cfg.Credentials), cfg: cfg, sessionName: st.who.SessionName(), proven: st.who.ARN.String() + " " + st.who.UserID}
	if c, err := cfg.Credentials.Retrieve(ctx); err == nil { // those that STS has just seen
		b.settled = settled(st.streams, c)
	}
	return b, nil
}

// byToken enters the first role with the service account's token.
func (st *starter) byToken(ctx context.Context, cfg aws.Config, r compile.Route) (*beginning, error) {
	if len(r.Hops) == 0 || !r.Hops[0].WebIdentity {
		return nil, fmt.Errorf("%s does not begin with a token", r.Access)
	}
	token, err := st.token(ctx, r.Caller)
	if err != nil {
		return nil, err
	}
	name := creds.SessionName(strings.TrimPrefix(r.Caller.Name, "serviceaccount:"))
	p, err := creds.NewWebIdentity(cfg, token, roleOf(r.Hops, 0, name, st.narrow))
	if err != nil {
		return nil, err
	}
	proven := r.Caller.Issuer + " " + r.Caller.Subject
	return &beginning{provider: st.keep.wrap(p, proven), cfg: cfg, hops: 1, sessionName: name, proven: proven, settled: true}, nil
}

// token finds the caller's token: in the file that was named, in the one that
// the environment names, at the local AWS that it points at.
func (st *starter) token(ctx context.Context, caller compile.Caller) (creds.Token, error) {
	if file := st.options.TokenFile; file != "" {
		return creds.TokenFile(file), checkToken(file, caller)
	}
	file := st.streams.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	var problem error
	if file != "" {
		if problem = checkToken(file, caller); problem == nil {
			return creds.TokenFile(file), nil
		}
	}
	get, missing, err := LocalToken(ctx, st.streams, caller)
	switch {
	case err != nil:
		return creds.Token{}, err
	case missing == "":
		return creds.TokenFunc("the local AWS for "+caller.Name, get), nil
	case problem != nil:
		return creds.Token{}, problem
	}
	namespace, name := serviceAccount(caller)
	return creds.Token{}, fmt.Errorf("no token of %s at hand; give --token-file FILE or set AWS_WEB_IDENTITY_TOKEN_FILE (kubectl create token %s -n %s --audience %s makes one); nor has a local AWS one: %s",
		caller.Name, name, namespace, caller.Audience, missing)
}

// LocalToken finds the local AWS that the environment points AWS clients at,
// and in it the cluster of a caller; get has it make tokens of the caller. missing
// says what was looked for in vain, "" when there is get.
func LocalToken(ctx context.Context, s *term.Streams, caller compile.Caller) (get func(context.Context) (string, error), missing string, err error) {
	client := local.Targeted(s)
	if client == nil {
		return nil, local.Untargeted(s), nil
	}
	accounts, err := client.Accounts(ctx)
	if err != nil {
		return nil, "", err
	}
	namespace, name := serviceAccount(caller)
	for _, a := range accounts {
		for _, k := range a.Clusters {
			if bare(k.Issuer) != bare(caller.Issuer) {
				continue
			}
			req := local.TokenRequest{Account: a.ID, Cluster: k.Name, Namespace: namespace, ServiceAccount: name, Audience: caller.Audience}
			return func(ctx context.Context) (string, error) { return client.Token(ctx, req) }, "", nil
		}
	}
	return nil, fmt.Sprintf("the one at %s has no cluster with the issuer %s", client.Endpoint(), bare(caller.Issuer)), nil
}

func serviceAccount(caller compile.Caller) (namespace, name string) {
	namespace, name, _ = strings.Cut(strings.TrimPrefix(caller.Subject, "system:serviceaccount:"), ":")
	return namespace, name
}

func bare(issuer string) string {
	return strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), "/")
}

// checkToken makes sure that the token in a file is the caller's, so that the
// error is ours and says whose it is. STS checks it for good.
func checkToken(file string, caller compile.Caller) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading token: %w", err)
	}
	issuer, subject, err := claims(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("reading token in %s: %w", file, err)
	}
	if subject != caller.Subject || bare(issuer) != bare(caller.Issuer) {
		return fmt.Errorf("the token in %s is of %s, issued by %s; want %s of %s (%s)", file, subject, bare(issuer), caller.Subject, bare(caller.Issuer), caller.Name)
	}
	return nil
}

// claims reads who a JWT is about, without believing it.
func claims(token string) (issuer, subject string, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", "", errors.New("it is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", "", errors.New("it is not a JWT")
	}
	var out struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &out); err != nil || out.Subject == "" {
		return "", "", errors.New("it is not a JWT about a subject")
	}
	return out.Issuer, out.Subject, nil
}
