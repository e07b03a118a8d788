package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws"
)

// ErrNone means that no local AWS of this user runs here.
var ErrNone = errors.New("no local AWS of yours is running here; start one by stile local start")

// Client speaks to the control endpoints of a running local AWS.
type Client struct {
	record Record
	http   *http.Client
}

// Find returns the local AWS at endpoint; with endpoint "" the one that the
// environment points AWS clients at, or the only one that runs.
func Find(s *term.Streams, endpoint string) (*Client, error) {
	dir, err := recordDir(s)
	if err != nil {
		return nil, err
	}
	all, err := records(dir)
	if err != nil {
		return nil, err
	}
	if endpoint != "" {
		if r := at(all, endpoint); r != nil {
			return newClient(*r), nil
		}
		return nil, fmt.Errorf("finding the local AWS at %s: %w (looked in %s)", endpoint, ErrNone, dir)
	}
	for _, name := range pointers() {
		if r := at(all, s.Getenv(name)); r != nil {
			return newClient(*r), nil
		}
	}
	switch len(all) {
	case 0:
		return nil, fmt.Errorf("%w (looked in %s, by XDG_STATE_HOME or HOME)", ErrNone, dir)
	case 1:
		return newClient(all[0]), nil
	}
	return nil, fmt.Errorf("finding the local AWS: %d run here; say which by --endpoint or AWS_ENDPOINT_URL", len(all))
}

// pointers are the variables that point AWS clients at a local AWS.
func pointers() []string { return []string{"AWS_ENDPOINT_URL", "HTTPS_PROXY", "https_proxy"} }

// Targeted returns the local AWS of this user that the environment points AWS
// clients at, so that its tokens are meant; nil when there is none.
func Targeted(s *term.Streams) *Client {
	dir, err := recordDir(s)
	if err != nil {
		return nil
	}
	all, err := records(dir)
	if err != nil {
		return nil
	}
	for _, name := range pointers() {
		if r := at(all, s.Getenv(name)); r != nil {
			return newClient(*r)
		}
	}
	return nil
}

// Untargeted says why Targeted finds none: what was looked for, and where.
func Untargeted(s *term.Streams) string {
	for _, name := range pointers() {
		value := s.Getenv(name)
		if value == "" {
			continue
		}
		dir, err := recordDir(s)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%s is %s, and %s, where stile local start notes what it starts, has no local AWS running there: it may be none, or have been started with another HOME or XDG_STATE_HOME",
			name, withoutUser(value), dir)
	}
	return "AWS_ENDPOINT_URL points at no local AWS"
}

// withoutUser is a URL as it may be printed: a proxy's may hold a password.
func withoutUser(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "no URL"
	}
	u.User = nil
	return u.String()
}

// at finds the record of what serves at an address, by any of loopback's names.
func at(all []Record, address string) *Record {
	if address == "" {
		return nil
	}
	for i := range all {
		if samePlace(address, all[i].URL) {
			return &all[i]
		}
	}
	return nil
}

func samePlace(a, b string) bool {
	if strings.TrimSuffix(a, "/") == b {
		return true
	}
	one, err := url.Parse(a)
	if err != nil {
		return false
	}
	other, err := url.Parse(b)
	return err == nil && one.Scheme == other.Scheme && one.Port() == other.Port() && loopback(one.Hostname()) && loopback(other.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Endpoint is the address AWS clients reach the local AWS at.
func (c *Client) Endpoint() string { return c.record.URL }

func newClient(r Record) *Client {
	return &Client{record: r, http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil}}}
}

// recordDir is where stile local start notes what it starts.
func recordDir(s *term.Streams) (string, error) {
	base, err := state.Dir(s)
	return filepath.Join(base, "local"), err
}

// records reads what is running; records of processes that are gone are skipped.
func records(dir string) ([]Record, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []Record
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it stopped this moment
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("reading %s: %w", f, err)
		}
		if syscall.Kill(r.PID, 0) == nil {
			out = append(out, r)
		}
	}
	return out, nil
}

// Call sends in to a control endpoint and reads the answer into out; nil for
// none.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.record.Through+"/_stile/"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set(localaws.ControlHeader, c.record.Token)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the local AWS: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("asking the local AWS: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("asking the local AWS: %s", strings.TrimSpace(string(text)))
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// Account is one account of a local AWS with its clusters.
type Account struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Clusters []Cluster `json:"clusters"`
}

// Cluster is a cluster with its issuer.
type Cluster struct {
	Name, Region, Issuer string
}

// Accounts lists the accounts.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	var out []Account
	return out, c.Call(ctx, http.MethodGet, "accounts", nil, &out)
}

// TokenRequest asks for a service account's token.
type TokenRequest struct {
	Account        string `json:"account"` // id
	Cluster        string `json:"cluster"`
	Namespace      string `json:"namespace"`
	ServiceAccount string `json:"serviceAccount"`
	Audience       string `json:"audience,omitempty"`
	Lifetime       string `json:"lifetime,omitempty"` // "1h"
}

// Token gets a token from a cluster's issuer.
func (c *Client) Token(ctx context.Context, req TokenRequest) (string, error) {
	var out struct{ Token string }
	if err := c.Call(ctx, http.MethodPost, "token", req, &out); err != nil {
		return "", err
	}
	return out.Token, nil
}
