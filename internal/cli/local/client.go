package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	all, err := records(s)
	if err != nil {
		return nil, err
	}
	for _, want := range []string{endpoint, s.Getenv("AWS_ENDPOINT_URL"), s.Getenv("HTTPS_PROXY"), s.Getenv("https_proxy")} {
		if want == "" {
			continue
		}
		for _, r := range all {
			if strings.TrimSuffix(want, "/") == r.URL {
				return newClient(r), nil
			}
		}
		if endpoint != "" {
			return nil, fmt.Errorf("finding the local AWS at %s: %w", endpoint, ErrNone)
		}
	}
	switch len(all) {
	case 0:
		return nil, ErrNone
	case 1:
		return newClient(all[0]), nil
	}
	return nil, fmt.Errorf("finding the local AWS: %d run here; say which by --endpoint or AWS_ENDPOINT_URL", len(all))
}

// Targeted reports whether the environment points AWS clients at a local AWS
// that runs here, so that its tokens are meant.
func Targeted(s *term.Streams) (*Client, bool) {
	if s.Getenv("AWS_ENDPOINT_URL") == "" && s.Getenv("HTTPS_PROXY") == "" && s.Getenv("https_proxy") == "" {
		return nil, false
	}
	all, err := records(s)
	if err != nil {
		return nil, false
	}
	for _, r := range all {
		for _, name := range []string{"AWS_ENDPOINT_URL", "HTTPS_PROXY", "https_proxy"} {
			if strings.TrimSuffix(s.Getenv(name), "/") == r.URL {
				return newClient(r), true
			}
		}
	}
	return nil, false
}

func newClient(r Record) *Client {
	return &Client{record: r, http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil}}}
}

// records reads what is running; records of processes that are gone are skipped.
func records(s *term.Streams) ([]Record, error) {
	base, err := state.Dir(s)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(base, "local", "*.json"))
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
