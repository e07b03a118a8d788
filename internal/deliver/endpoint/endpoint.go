// Package endpoint serves credentials to the programs of this user on this
// computer, as the container credentials provider of the AWS CLI and SDKs asks
// for them: no secret needs to be in an environment, and whoever asks later
// gets fresh ones.
//
// [Start] listens on a random port of 127.0.0.1. A request is answered only if
// it has the token of the token file and [local.Guard] knows who it comes from.
// Fetching and refreshing the credentials is their provider's work.
//
// Source of the protocol: SDKs and Tools reference, feature-container-credentials.
package endpoint

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/deliver/local"
	"github.com/stile-aws/stile/internal/deliver/patience"
)

// Config says what to serve, and to whom. Provider and Dir are required.
type Config struct {
	// Provider is asked for each request; it should be a creds.Cached. It is
	// served at URL and, as the EKS Pod Identity agent does, at /v1/credentials.
	Provider aws.CredentialsProvider
	// Sessions are others, served at URL/NAME. A name may have slashes in it.
	Sessions map[string]aws.CredentialsProvider
	// Dir is a directory of this user alone, for the token file.
	Dir string
	// Addr is where to listen. Default: a random port of 127.0.0.1.
	Addr string
	// Guard says who is answered, beside having to hold the token.
	Guard local.Guard
}

// Server is a running endpoint.
type Server struct {
	guard     local.Guard
	providers map[string]aws.CredentialsProvider // by path
	token     string
	tokenFile string
	http      *local.Server
}

const (
	root       = "/credentials"
	agentsPath = "/v1/credentials"

	// patient is less than the two seconds after which botocore goes away.
	patient = 1500 * time.Millisecond
)

// Start serves until Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Provider == nil || cfg.Dir == "" {
		return nil, errors.New("starting credentials endpoint: no provider, or no directory for the token")
	}
	s := &Server{guard: cfg.Guard, token: newToken(), tokenFile: filepath.Join(cfg.Dir, "token")}
	first := patience.New(cfg.Provider, patient)
	s.providers = map[string]aws.CredentialsProvider{root: first, agentsPath: first}
	for name, p := range cfg.Sessions {
		s.providers[root+"/"+name] = patience.New(p, patient)
	}
	// No newline at the end: clients send the file as it is, and refuse to put
	// line ends into a header.
	if err := os.WriteFile(s.tokenFile, []byte(s.token), 0o600); err != nil {
		return nil, fmt.Errorf("starting credentials endpoint: %w", err)
	}
	ln, err := local.Listen(ctx, cfg.Addr, &s.guard)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting credentials endpoint: %w", err), os.Remove(s.tokenFile))
	}
	s.http = local.Serve(ctx, ln, &s.guard, s)
	return s, nil
}

func newToken() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// URL is for AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (s *Server) URL() string { return "http://" + s.guard.Host() + root }

// SessionURL is the URL of one of Config.Sessions.
func (s *Server) SessionURL(name string) string {
	return "http://" + s.guard.Host() + (&url.URL{Path: root + "/" + name}).EscapedPath()
}

// TokenFile is for AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE. The token stays the
// same until Close, as some clients read it once.
func (s *Server) TokenFile() string { return s.tokenFile }

// Token is what TokenFile holds.
func (s *Server) Token() string { return s.token }

// Close stops serving and removes the token file.
func (s *Server) Close() error { return errors.Join(s.http.Close(), os.Remove(s.tokenFile)) }

// answer is what clients read. botocore insists on Token and Expiration.
type answer struct {
	AccessKeyId, SecretAccessKey, Token, Expiration string
	AccountId                                       string `json:",omitempty"`
}

// failure is what clients show.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status, why := s.refuse(r); why != "" {
		reply(w, status, failure{"AccessDenied", why})
		return
	}
	c, err := s.providers[r.URL.Path].Retrieve(r.Context())
	if err != nil {
		status, f := explain(err)
		reply(w, status, f)
		return
	}
	reply(w, http.StatusOK, answer{
		AccessKeyId: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Token: c.SessionToken, AccountId: c.AccountID,
		Expiration: local.End(c).UTC().Format(time.RFC3339),
	})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

// refuse says why a request is not answered, "" if it is.
func (s *Server) refuse(r *http.Request) (int, string) {
	if status, why := s.guard.Refuse(r); why != "" {
		return status, why
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(s.token)) != 1:
		return http.StatusUnauthorized, "the Authorization header does not hold the token: clients that do not read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE " +
			"(AWS CLI before 2.15, botocore before 1.33) want it in AWS_CONTAINER_AUTHORIZATION_TOKEN, where stile exec --token-in-env puts it"
	case s.providers[r.URL.Path] == nil:
		return http.StatusNotFound, "no credentials are served here"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "credentials are to be had by GET"
	}
	return 0, ""
}

// explain maps an error to what clients make of it: they ask again after 5xx,
// and give up after 4xx.
func explain(err error) (int, failure) {
	status, code := http.StatusInternalServerError, "CredentialsUnavailable"
	switch kind := awserr.KindOf(err); {
	case kind == awserr.Denied:
		status, code = http.StatusForbidden, "AccessDenied"
	case kind.Retry():
		status = http.StatusServiceUnavailable
	}
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	}
	return status, failure{code, awserr.Text(err)}
}
