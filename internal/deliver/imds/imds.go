// Package imds serves credentials as the instance metadata service of EC2 does,
// version 2 alone, for containers and programs that know no other way.
//
// Every read needs a token that was got by PUT, which neither a web page nor a
// proxy can send: [local.Guard] refuses them, and X-Forwarded-For, as EC2 does.
//
// Source: EC2 User Guide, "Use the Instance Metadata Service to access instance
// metadata" and "Instance metadata categories".
package imds

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/deliver/local"
	"github.com/stile-aws/stile/internal/deliver/patience"
)

// Config says what to serve, and to whom. Provider and Role are required.
type Config struct {
	// Provider is asked for each request for credentials; it should be a creds.Cached.
	Provider aws.CredentialsProvider
	Role     string // the name clients find the credentials under
	Account  string // of the role; "" where it is not known
	Region   string // default us-east-1
	Addr     string // where to listen; default a random port of 127.0.0.1
	Guard    local.Guard
	Now      func() time.Time // by which tokens end; default time.Now
}

// Server is a running metadata service.
type Server struct {
	cfg      Config
	provider aws.CredentialsProvider
	guard    local.Guard
	http     *local.Server
	key      [sha256.Size]byte // signs tokens
}

const (
	patient     = 800 * time.Millisecond // botocore goes away after a second
	maxTTL      = 6 * time.Hour          // "The token can be valid for … up to six hours"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	instanceID  = "i-00000000000000000" // this is no instance
)

// Start serves until Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Provider == nil || cfg.Role == "" {
		return nil, errors.New("starting metadata service: no provider, or no role")
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, provider: patience.New(cfg.Provider, patient), guard: cfg.Guard}
	rand.Read(s.key[:])                                                                              // never fails
	s.guard.Hosts = append(s.guard.Hosts[:len(s.guard.Hosts):len(s.guard.Hosts)], "169.254.169.254") // where it is redirected here
	ln, err := local.Listen(ctx, cfg.Addr, &s.guard)
	if err != nil {
		return nil, fmt.Errorf("starting metadata service: %w", err)
	}
	s.http = local.Serve(ctx, ln, &s.guard, s)
	return s, nil
}

// URL is for AWS_EC2_METADATA_SERVICE_ENDPOINT.
func (s *Server) URL() string { return "http://" + s.guard.Host() }

// Close stops serving. Tokens end with it.
func (s *Server) Close() error { return s.http.Close() }

// ServeHTTP answers one request. Errors are as short as EC2's: clients look at
// the status alone.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if status, why := s.guard.Refuse(r); why != "" {
		http.Error(w, why, status)
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path == "/latest/api/token" {
		s.issue(w, r)
		return
	}
	switch {
	case r.Method != http.MethodGet:
		http.Error(w, "metadata is to be had by GET", http.StatusMethodNotAllowed)
	case !s.valid(r.Header.Get(tokenHeader)):
		http.Error(w, "a token is needed: this is version 2 of the metadata service", http.StatusUnauthorized)
	default:
		s.metadata(w, r, path)
	}
}

// issue gives a token.
func (s *Server) issue(w http.ResponseWriter, r *http.Request) {
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	switch {
	case r.Method != http.MethodPut:
		http.Error(w, "tokens are to be had by PUT", http.StatusMethodNotAllowed)
		return
	case err != nil || ttl < 1 || time.Duration(ttl)*time.Second > maxTTL:
		http.Error(w, ttlHeader+": want 1 to 21600 seconds", http.StatusBadRequest)
		return
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	_, _ = w.Write([]byte(s.token(s.cfg.Now().Add(time.Duration(ttl) * time.Second))))
}

const expiryBytes = 8

// token makes one that is good until end: when it ends, and the signature of that.
// Nothing is remembered of it, so that no number of them uses the service up.
func (s *Server) token(end time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, expiryBytes+sha256.Size), uint64(end.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(b, s.sign(b)...))
}

func (s *Server) valid(token string) bool {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != expiryBytes+sha256.Size || !hmac.Equal(b[expiryBytes:], s.sign(b[:expiryBytes])) {
		return false
	}
	return s.cfg.Now().Before(time.Unix(0, int64(binary.BigEndian.Uint64(b))))
}

func (s *Server) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write(b)
	return mac.Sum(nil)
}

// metadata answers for the few categories that clients read to find credentials
// and Region.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request, path string) {
	const credentials = "/latest/meta-data/iam/security-credentials"
	switch path {
	case credentials:
		text(w, s.cfg.Role)
	case credentials + "/" + s.cfg.Role:
		s.credentials(w, r)
	case "/latest/meta-data/iam/info":
		writeJSON(w, http.StatusOK, map[string]string{
			"Code": "Success", "LastUpdated": stamp(time.Now()), "InstanceProfileId": "AIPA0000000000000STIL",
			"InstanceProfileArn": "arn:aws:iam::" + s.cfg.Account + ":instance-profile/" + s.cfg.Role,
		})
	case "/latest/meta-data/instance-id":
		text(w, instanceID)
	case "/latest/meta-data/placement/region":
		text(w, s.cfg.Region)
	case "/latest/meta-data/placement/availability-zone":
		text(w, s.cfg.Region+"a")
	case "/latest/dynamic/instance-identity/document":
		writeJSON(w, http.StatusOK, map[string]string{
			"accountId": s.cfg.Account, "region": s.cfg.Region, "availabilityZone": s.cfg.Region + "a", "instanceId": instanceID, "version": "2017-09-30",
		})
	default:
		http.NotFound(w, r)
	}
}

// answer is what clients read.
type answer struct {
	Code, LastUpdated, Type      string
	AccessKeyId, SecretAccessKey string
	Token                        string `json:",omitempty"`
	Expiration                   string `json:",omitempty"`
	AccountId                    string `json:",omitempty"`
}

func (s *Server) credentials(w http.ResponseWriter, r *http.Request) {
	c, err := s.provider.Retrieve(r.Context())
	if err != nil {
		// EC2 answers 200 with another Code, which clients take for a failure.
		code := "Failed"
		if awserr.KindOf(err) == awserr.Denied {
			code = "AssumeRoleUnauthorizedAccess"
		}
		writeJSON(w, http.StatusOK, map[string]string{"Code": code, "Message": awserr.Text(err), "LastUpdated": stamp(time.Now())})
		return
	}
	writeJSON(w, http.StatusOK, answer{
		Code: "Success", LastUpdated: stamp(time.Now()), Type: "AWS-HMAC",
		AccessKeyId: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Token: c.SessionToken, Expiration: stamp(local.End(c)), AccountId: c.AccountID,
	})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte(s)) // the client is gone if this fails
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
