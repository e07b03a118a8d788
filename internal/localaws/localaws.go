// Package localaws is the embedded AWS: several accounts in one process, AWS's
// own wire protocols, and IAM enforced on every request.
//
// Start with [New]: a [Server] is an http.Handler, to be put behind one of the
// doors of package frontdoor (a port, a proxy, an in-process RoundTripper).
// Every request goes one way: package service authenticates and decodes it,
// package gate asks authz about it, the package of its service handles it, on
// the records of package store.
//
// Beside AWS's API a Server has control endpoints under /_stile/, see control.go.
// It constructs no AWS client and reaches no other host, except for the keys of
// OIDC issuers that its Config allows.
package localaws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/dynamodb"
	"github.com/stile-aws/stile/internal/localaws/eks"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/iam"
	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/organizations"
	"github.com/stile-aws/stile/internal/localaws/secretsmanager"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/signin"
	"github.com/stile-aws/stile/internal/localaws/sso"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/sts"
)

// DefaultRegion is the Region of clusters that name none.
const DefaultRegion = "us-east-1"

// Config says what a local AWS consists of. Accounts is required, or a
// StateFile that has some.
type Config struct {
	// Accounts exist from the start. The first one is the management account
	// where there is an organization.
	Accounts []Account
	// Organization puts all Accounts into one organization.
	Organization bool
	// Clusters exist from the start, each with an OIDC issuer.
	Clusters []Cluster
	// IdentityCenters exist from the start.
	IdentityCenters []IdentityCenter
	// Clock is the local AWS's time. Default: the computer's clock, which the
	// control endpoint can fast-forward.
	Clock store.Clock
	// Seed makes ids, keys and secrets repeatable. Default 0: random.
	Seed uint64
	// StateFile keeps the state between runs, mode 0600; one Server uses it at a
	// time, which StateFile.lock sees to. Default: none.
	StateFile string
	// PropagationDelay is how long IAM's and the organization's changes stay
	// invisible outside their own control planes. Default: none.
	PropagationDelay time.Duration
	// Faults are consulted for every call. Default: none are on; see Server.Faults.
	Faults *service.Faults
	// Intercept may abort any call before or after it took effect; for tests.
	Intercept service.Intercept
	// IssuerHosts are the hosts, with port if one is in the URL, that OIDC
	// issuers' keys may be fetched from beside loopback. Default: none.
	IssuerHosts []string
	// FetchIssuer gets discovery documents and keys of issuers other than the
	// Clusters'. Default: by HTTP, from loopback and IssuerHosts only.
	FetchIssuer func(ctx context.Context, url string) ([]byte, error)
	// ControlToken guards the control endpoints. Default: drawn at random, see
	// Server.ControlToken.
	ControlToken string
	// ControlTokenFile is where the control token is written, mode 0600, for
	// other processes of the same user. Default: nowhere.
	ControlTokenFile string
	// Logger hears of calls and failures. Default: silent.
	Logger *slog.Logger
}

// Account is an account to begin with.
type Account struct {
	ID    arn.AccountID
	Name  string // default: the id
	Email string // default: NAME@example.com
}

// Cluster is an EKS cluster to begin with.
type Cluster struct {
	Account arn.AccountID
	Name    string
	Region  string // default: DefaultRegion
}

// Server is a running local AWS.
type Server struct {
	world    *store.World
	gate     *gate.Gate
	kernel   *service.Kernel
	services []*service.Service
	faults   *service.Faults
	token    string
	control  http.Handler
	signin   *signin.Endpoint
}

// services lists what is served, in the order in which unsigned requests are
// matched.
func services(world *store.World, verifier *oidc.Verifier) []*service.Service {
	return []*service.Service{
		sts.New(verifier),
		iam.New(),
		eks.New(),
		organizations.New(),
		kms.New(),
		dynamodb.New(),
		secretsmanager.New(),
		signin.NewService(),
		ssooidc.New(world),
		sso.New(),
	}
}

// New makes a local AWS. Close it when its state is kept in a file.
func New(cfg Config) (*Server, error) {
	world, err := store.New(store.Options{Clock: cfg.Clock, Seed: cfg.Seed, File: cfg.StateFile, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("starting local AWS: %w", err)
	}
	s := &Server{world: world, gate: gate.New(world), faults: cfg.Faults, token: cfg.ControlToken}
	s.signin = signin.New(world, s.gate)
	if s.faults == nil {
		s.faults = &service.Faults{}
	}
	if s.token == "" {
		s.token = randomToken()
	}
	if err := s.populate(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("starting local AWS: %w", err), world.Close())
	}
	s.services = services(world, s.verifier(cfg))
	s.kernel, err = service.NewKernel(service.Config{
		World: world, Gate: s.gate, Services: s.services,
		Faults: s.faults, Intercept: cfg.Intercept, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting local AWS: %w", err), world.Close())
	}
	s.control = s.controlHandler()
	if cfg.ControlTokenFile != "" {
		if err := store.WriteFile(cfg.ControlTokenFile, []byte(s.token)); err != nil {
			return nil, errors.Join(fmt.Errorf("starting local AWS: writing the control token: %w", err), world.Close())
		}
	}
	return s, nil
}

// populate adds what cfg asks for and a loaded state does not have.
func (s *Server) populate(cfg Config) error {
	clusters, err := s.newClusters(cfg.Clusters)
	if err != nil {
		return err
	}
	for i := range cfg.IdentityCenters {
		if err := checkIdentityCenter(&cfg.IdentityCenters[i]); err != nil {
			return err
		}
	}
	// What is there from the start is seen by everybody: the delay comes last.
	defer s.world.SetDelay("", cfg.PropagationDelay)
	s.world.Lock()
	defer s.world.Unlock()
	at := s.world.Now()
	for _, a := range cfg.Accounts {
		if s.world.Accounts[a.ID] != nil {
			continue
		}
		name := cmp.Or(a.Name, string(a.ID))
		if _, err := s.world.AddAccount(a.ID, name, cmp.Or(a.Email, name+"@example.com")); err != nil {
			return err
		}
		s.world.AddAdministrator(a.ID, at)
	}
	if len(s.world.Accounts) == 0 {
		return errors.New("it has no account")
	}
	if cfg.Organization && s.world.Organization == nil && len(cfg.Accounts) > 0 {
		org := s.world.NewOrganization(cfg.Accounts[0].ID, at)
		for _, a := range cfg.Accounts[1:] {
			org.Join(a.ID, "CREATED", at)
		}
		s.world.Organization = org
	}
	for _, c := range clusters {
		if s.world.Accounts[c.cluster.Account] == nil {
			return fmt.Errorf("cluster %s is in account %s, which does not exist", c.cluster.Name, c.cluster.Account)
		}
		s.world.AddCluster(c.cluster, c.issuer)
	}
	return s.addIdentityCenters(cfg.IdentityCenters)
}

// newCluster is a cluster that is to be there from the start.
type newCluster struct {
	cluster *store.EKSCluster
	issuer  *store.ClusterIssuer
}

// newClusters makes the clusters that are not there yet, outside the lock, for
// keys take time.
func (s *Server) newClusters(clusters []Cluster) ([]newCluster, error) {
	var made []newCluster
	for _, c := range clusters {
		region := cmp.Or(c.Region, DefaultRegion)
		s.world.RLock()
		account := s.world.Accounts[c.Account]
		known := account != nil && account.EKS.In(region).Clusters[c.Name] != nil
		s.world.RUnlock()
		if known {
			continue
		}
		cluster, issuer, err := s.world.NewCluster(c.Account, region, c.Name)
		if err != nil {
			return nil, err
		}
		made = append(made, newCluster{cluster, issuer})
	}
	return made, nil
}

// verifier checks web identity tokens; keys of our own clusters are found
// without a connection.
func (s *Server) verifier(cfg Config) *oidc.Verifier {
	fetch := cfg.FetchIssuer
	if fetch == nil {
		fetch = configuredOnly(cfg.IssuerHosts, oidc.NewFetcher(oidc.FetcherConfig{AllowHosts: cfg.IssuerHosts}).Get)
	}
	return oidc.NewVerifier(oidc.VerifierConfig{
		AllowHosts: cfg.IssuerHosts,
		Now:        s.world.Now,
		Fetch: func(ctx context.Context, url string) ([]byte, error) {
			if document, ok := s.issuerDocument(url); ok {
				return document, nil
			}
			return fetch(ctx, url)
		},
	})
}

// ServeHTTP answers AWS requests, the control endpoints, the issuers' pages and
// those of sign-in.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case isControl(r):
		s.control.ServeHTTP(w, r)
	case s.serveIssuer(w, r), s.signin.Serve(w, r):
	default:
		s.kernel.ServeHTTP(w, r)
	}
}

// Administrator returns the access key of an account's user Administrator, who
// may do everything there; ok is false when there is none (any more).
func (s *Server) Administrator(account arn.AccountID) (id, secret string, ok bool) {
	s.world.RLock()
	defer s.world.RUnlock()
	key := s.world.AdministratorKey(account)
	if key == nil {
		return "", "", false
	}
	return key.ID, key.Secret, true
}

// World is what exists; for tests and for tools in the same process.
func (s *Server) World() *store.World { return s.world }

// Faults are the faults of this server; add to them at any time.
func (s *Server) Faults() *service.Faults { return s.faults }

// Denials are the requests that were refused lately, with the reasons.
func (s *Server) Denials() *gate.Denials { return s.gate.Denials() }

// ControlToken is what the header X-Stile-Token of control requests must hold.
func (s *Server) ControlToken() string { return s.token }

// Close waits until the state is saved.
func (s *Server) Close() error { return s.world.Close() }
