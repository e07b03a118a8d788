// Package endpoint serves credentials to the programs of this user on this
// computer, as the container credentials provider of the AWS CLI and SDKs asks
// for them: no secret needs to be in an environment, and whoever asks later
// gets fresh ones.
//
// [Start] listens on a random port of 127.0.0.1. A request is answered only if
// it has the token of the token file, names exactly this host and port, comes
// from no web page and no proxy, and, on Linux, its sender's process belongs to
// the same user. Fetching and refreshing the credentials is their provider's work.
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
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/awserr"
)

// Config says what to serve, and to whom. Provider and Dir are required.
type Config struct {
	// Provider is asked for each request; it should be a creds.Cached.
	Provider aws.CredentialsProvider
	// Dir is a directory of this user alone, for the token file.
	Dir string
	// UID is the user whose processes are answered. Default: this process's.
	UID *int
}

// Server is a running endpoint.
type Server struct {
	provider  aws.CredentialsProvider
	host      string // HOST:PORT
	token     string
	tokenFile string
	uid       int
	http      *http.Server
	done      chan error
}

const (
	path       = "/credentials"
	maxHeader  = 64 << 10
	headerTime = 5 * time.Second
	idleTime   = time.Minute
	closeTime  = time.Second
)

// Start serves until Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Provider == nil || cfg.Dir == "" {
		return nil, errors.New("starting credentials endpoint: no provider, or no directory for the token")
	}
	s := &Server{provider: cfg.Provider, token: newToken(), tokenFile: filepath.Join(cfg.Dir, "token"), uid: os.Getuid(), done: make(chan error, 1)}
	if cfg.UID != nil {
		s.uid = *cfg.UID
	}
	// No newline at the end: clients send the file as it is, and refuse to put
	// line ends into a header.
	if err := os.WriteFile(s.tokenFile, []byte(s.token), 0o600); err != nil {
		return nil, fmt.Errorf("starting credentials endpoint: %w", err)
	}
	// The literal address: Go and botocore accept no other http host without
	// asking DNS.
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting credentials endpoint: %w", err)
	}
	s.host = ln.Addr().String()
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // broken requests are their senders' business
		BaseContext:                  func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return withPeer(ctx, s.uid, c) },
	}
	go func() { s.done <- s.http.Serve(ln) }()
	return s, nil
}

func newToken() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// URL is for AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (s *Server) URL() string { return "http://" + s.host + path }

// TokenFile is for AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE. The token stays the
// same until Close, as some clients read it once.
func (s *Server) TokenFile() string { return s.tokenFile }

// Token is what TokenFile holds.
func (s *Server) Token() string { return s.token }

// Close stops serving and removes the token file.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // cuts what did not end in time
	}
	err := <-s.done
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, os.Remove(s.tokenFile))
}

// answer is what clients read.
type answer struct {
	AccessKeyId, SecretAccessKey string
	Token                        string `json:",omitempty"`
	Expiration                   string `json:",omitempty"`
	AccountId                    string `json:",omitempty"`
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
	c, err := s.provider.Retrieve(r.Context())
	if err != nil {
		status, f := explain(err)
		reply(w, status, f)
		return
	}
	out := answer{AccessKeyId: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Token: c.SessionToken, AccountId: c.AccountID}
	if c.CanExpire {
		out.Expiration = c.Expires.UTC().Format(time.RFC3339)
	}
	reply(w, http.StatusOK, out)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

// refuse says why a request is not answered, "" if it is. A page in a browser
// can send requests here, under a name of its own that it lets resolve to
// 127.0.0.1 too: it betrays itself by Host, by Origin, or by the headers in
// which browsers tell where a request comes from, and it has no token.
func (s *Server) refuse(r *http.Request) (int, string) {
	switch {
	case !peerAllowed(r.Context()):
		return http.StatusForbidden, "only processes of the user who runs stile are answered"
	case r.Host != s.host:
		return http.StatusForbidden, "the Host is not " + s.host
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return http.StatusForbidden, "web pages are not answered"
	case r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "":
		return http.StatusForbidden, "forwarded requests are not answered"
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(s.token)) != 1:
		return http.StatusUnauthorized, "the Authorization header does not hold the token"
	case r.URL.Path != path:
		return http.StatusNotFound, "credentials are at " + path
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "credentials are to be had by GET"
	}
	return 0, ""
}

// explain maps an error to what clients make of it: they ask again after 5xx,
// and give up after 4xx.
func explain(err error) (int, failure) {
	code := "CredentialsUnavailable"
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	}
	status := http.StatusInternalServerError
	switch kind := awserr.KindOf(err); {
	case kind == awserr.Denied:
		status = http.StatusForbidden
	case kind.Retry():
		status = http.StatusServiceUnavailable
	}
	return status, failure{code, awserr.Text(err)}
}
